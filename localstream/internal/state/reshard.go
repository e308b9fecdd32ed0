package state

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shardrun/shardrun/internal/hashkey"
)

// Step is one split or one merge. Numbers may name shards that earlier steps
// of the same reshard make.
type Step struct {
	Shard uint32       `json:"shard"`
	Merge *uint32      `json:"merge,omitempty"` // the adjacent shard above, for a merge
	Split *hashkey.Key `json:"split,omitempty"` // the first key of the upper child, for a split
}

// NewShards makes the first shards of a stream: count equal hash key ranges.
// They are dated two seconds back, as AWS does it, but after retired, the
// latest second in which a shard of a removed stream was created.
func NewShards(count int, now time.Time, retired int64) []Shard {
	shards := make([]Shard, count)
	created := max(now.Unix()-2, retired+1)
	for i, r := range hashkey.Split(count) {
		shards[i] = Shard{
			Number: uint32(i), Range: r, CreateSecs: created, Opened: now.UnixMilli(),
			Parent: NoShard, AdjacentParent: NoShard,
		}
	}
	return shards
}

// Reshard is the event of doing the steps in order, now. Now has to be later
// than the arrival of every record of the shards that are closed: the time of
// closing decides when they expire and where a reader that starts at a time
// has to begin.
//
// A child is dated after its parents and after now, so its sequence numbers
// are above every number of theirs whatever the clock did.
func (s *Stream) Reshard(steps []Step, now time.Time) (*Resharded, error) {
	r := &Resharded{ID: s.ID}
	shards := slices.Clone(s.Shards)
	next := s.NextShard
	find := func(number uint32) (*Shard, error) {
		i := slices.IndexFunc(shards, func(sh Shard) bool { return sh.Number == number && !sh.IsClosed() })
		if i < 0 {
			return nil, fmt.Errorf("shard %d is not open", number)
		}
		return &shards[i], nil
	}
	for _, step := range steps {
		var parents [2]*Shard
		var ranges []hashkey.Range
		var err error
		if parents[0], err = find(step.Shard); err != nil {
			return nil, err
		}
		child := Shard{CreateSecs: max(now.Unix(), parents[0].CreateSecs) + 1, Opened: now.UnixMilli(), Parent: int64(step.Shard), AdjacentParent: NoShard}
		switch low := parents[0].Range; {
		case step.Split != nil:
			if !low.Contains(*step.Split) || *step.Split == low.Start {
				return nil, fmt.Errorf("shard %d cannot be split at %s", step.Shard, *step.Split)
			}
			ranges = []hashkey.Range{{Start: low.Start, End: step.Split.Prev()}, {Start: *step.Split, End: low.End}}
		case step.Merge != nil:
			if parents[1], err = find(*step.Merge); err != nil {
				return nil, err
			}
			if !low.Adjacent(parents[1].Range) {
				return nil, fmt.Errorf("shards %d and %d are not adjacent", step.Shard, *step.Merge)
			}
			ranges = []hashkey.Range{{Start: low.Start, End: parents[1].Range.End}}
			child.AdjacentParent = int64(*step.Merge)
			child.CreateSecs = max(child.CreateSecs, parents[1].CreateSecs+1)
		default:
			return nil, errors.New("reshard step is neither a split nor a merge")
		}
		for _, p := range parents {
			if p != nil { // no shard is open for no time at all: a time must find either it or its children
				child.Opened = max(child.Opened, p.Opened+1)
			}
		}
		for _, p := range parents {
			if p != nil {
				p.Closed, p.EndSecs = child.Opened, child.CreateSecs-1
			}
		}
		for _, rng := range ranges {
			child.Number, child.Range = next, rng
			shards = append(shards, child)
			next++
		}
	}
	for _, sh := range shards {
		switch old, existed := s.Shard(sh.Number); {
		case !existed:
			r.Opened = append(r.Opened, sh)
		case sh.IsClosed() && !old.IsClosed():
			r.Closed = append(r.Closed, Closed{Number: sh.Number, At: sh.Closed, EndSecs: sh.EndSecs})
		}
	}
	return r, nil
}

// slack is how far two bounds may be apart and still count as the same in a
// uniform scaling. Ranges of n equal parts and of m equal parts share bounds
// only up to rounding, which is below the number of shards.
const slack = 1 << 32

// PlanUniform gives the steps that turn the open shards of a stream into
// target shards of equal size: it splits at the bounds that are missing, then
// merges what lies between two of them. As in AWS the shards in between stay
// behind, closed and empty.
func (s *Stream) PlanUniform(target int) []Step {
	type piece struct {
		number uint32
		start  hashkey.Key
	}
	var pieces []piece
	for _, sh := range s.Open() {
		pieces = append(pieces, piece{sh.Number, sh.Range.Start})
	}
	var steps []Step
	next := s.NextShard
	bounds := make([]hashkey.Key, 0, target) // the first keys of the new shards
	i := 0                                   // the piece that holds the bound
	for _, r := range hashkey.Split(target) {
		for i+1 < len(pieces) && pieces[i+1].start.Compare(r.Start) <= 0 {
			i++
		}
		switch {
		case near(pieces[i].start, r.Start):
			bounds = append(bounds, pieces[i].start)
		case i+1 < len(pieces) && near(pieces[i+1].start, r.Start):
			bounds = append(bounds, pieces[i+1].start)
		default:
			at := r.Start
			steps = append(steps, Step{Shard: pieces[i].number, Split: &at})
			pieces[i].number = next
			pieces = slices.Insert(pieces, i+1, piece{next + 1, at})
			next += 2
			bounds = append(bounds, at)
		}
	}
	for i := 1; i < len(pieces); {
		if slices.Contains(bounds, pieces[i].start) {
			i++
			continue
		}
		above := pieces[i].number
		steps = append(steps, Step{Shard: pieces[i-1].number, Merge: &above})
		pieces[i-1].number = next
		next++
		pieces = slices.Delete(pieces, i, i+1)
	}
	return steps
}

// near reports whether two keys are less than slack apart.
func near(a, b hashkey.Key) bool {
	if a.Compare(b) < 0 {
		a, b = b, a
	}
	lo := a.Lo - b.Lo
	hi := a.Hi - b.Hi
	if a.Lo < b.Lo {
		hi--
	}
	return hi == 0 && lo < slack
}

// PeakOpen is the greatest number of shards that are open at once while the
// steps are done, starting from open.
func PeakOpen(open int, steps []Step) int {
	peak := open
	for _, s := range steps {
		if s.Split != nil {
			open++
		} else {
			open--
		}
		peak = max(peak, open)
	}
	return peak
}

// checkTiling reports what is wrong with shards sorted by hash key that ought
// to cover every key once.
func checkTiling(open []Shard) error {
	if len(open) == 0 {
		return errors.New("no open shard")
	}
	if open[0].Range.Start != (hashkey.Key{}) || open[len(open)-1].Range.End != hashkey.Max {
		return errors.New("open shards do not cover all hash keys")
	}
	for i := 1; i < len(open); i++ {
		if !open[i-1].Range.Adjacent(open[i].Range) {
			return fmt.Errorf("open shards %d and %d leave a gap or overlap", open[i-1].Number, open[i].Number)
		}
	}
	return nil
}
