package state

import (
	"cmp"
	"slices"
	"time"
)

// The rule by which an on-demand stream scales, in parts of what one shard
// takes.
const (
	// splitAbove is the load of the last minute above which a shard is split, so
	// that a stream comes to twice what is written to it.
	splitAbove = 0.5
	// mergeBelow is the load that two neighbours together did not pass for a
	// day before they are merged. What they make is far from being split again.
	mergeBelow = 0.25
	// mergeAge is how old a shard has to be before it is merged.
	mergeAge = 24 * time.Hour
)

// Load is how much was written to a shard, where 1 is all that it takes.
type Load struct {
	Now  float64 // in the last minute
	Peak float64 // in the busiest minute of the day that has just ended
}

// PlanOnDemand gives the steps that fit the open shards of an on-demand stream
// to their loads. A shard of which more than half is used is split in the
// middle, the busiest first, as long as there is room for more shards. If there
// is nothing to split and a day has ended, neighbours that were nearly idle
// all through it are merged, each shard once, so that at least half of the
// shards remain, and no fewer than floor.
func (s *Stream) PlanOnDemand(loads map[uint32]Load, floor, room int, dayEnded bool, now time.Time) []Step {
	open := s.Open()
	if steps := splitBusy(open, loads, room); len(steps) > 0 || !dayEnded {
		return steps
	}
	return mergeIdle(open, loads, floor, now)
}

func splitBusy(open []Shard, loads map[uint32]Load, room int) []Step {
	var steps []Step
	busiest := slices.SortedStableFunc(slices.Values(open), func(a, b Shard) int {
		return cmp.Compare(loads[b.Number].Now, loads[a.Number].Now)
	})
	for _, sh := range busiest {
		if len(steps) >= room || loads[sh.Number].Now <= splitAbove {
			break
		}
		if at := sh.Range.Middle(); sh.Range.Contains(at) { // a range of one key has none
			steps = append(steps, Step{Shard: sh.Number, Split: &at})
		}
	}
	return steps
}

func mergeIdle(open []Shard, loads map[uint32]Load, floor int, now time.Time) []Step {
	var steps []Step
	old := func(sh Shard) bool { return now.UnixMilli()-sh.Opened >= mergeAge.Milliseconds() }
	for i := 0; i+1 < len(open) && len(open)-len(steps) > floor; i++ {
		low, high := open[i], open[i+1]
		if old(low) && old(high) && loads[low.Number].Peak+loads[high.Number].Peak <= mergeBelow {
			steps = append(steps, Step{Shard: low.Number, Merge: &high.Number})
			i++ // each shard once
		}
	}
	return steps
}
