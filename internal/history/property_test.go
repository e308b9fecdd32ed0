package history

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// miniOptions are what the histories of mini are judged by.
var miniOptions = Options{TTL: 8 * time.Second, Beat: 2 * time.Second, Lag: 10 * time.Second}

// playIn is play in a bubble.
func playIn(t *testing.T, seed uint64, steps int) []byte {
	t.Helper()
	var out []byte
	synctest.Test(t, func(*testing.T) { out = play(seed, steps) })
	return out
}

func TestCorrectRunsBreakNothing(t *testing.T) {
	for seed := range uint64(60) {
		h, err := ReadHistories(bytes.NewReader(playIn(t, seed, 400)))
		if err != nil {
			t.Fatal(err)
		}
		if v := h.Check(miniOptions); !v.OK() {
			var b bytes.Buffer
			if testing.Verbose() {
				_ = h.Timeline(&b) // a buffer takes everything
			}
			t.Fatalf("seed %d: %s\n%s", seed, v, b.String())
		}
		if c := h.Counts(); c.Acked < 50 || c.Handled < c.Acked {
			t.Errorf("seed %d: %s", seed, fmt.Sprint(c))
		}
	}
}

// lines reads what a recorder wrote.
func lines(t *testing.T, text []byte) []*line {
	t.Helper()
	var out []*line
	for text := range bytes.Lines(bytes.TrimSpace(text)) {
		l := new(line)
		if err := json.Unmarshal(text, l); err != nil {
			t.Fatal(err)
		}
		out = append(out, l)
	}
	return out
}

// retell is the history of lines.
func retell(t *testing.T, all []*line) *History {
	t.Helper()
	h, s := New(), newSource(nil)
	s.puts, s.calls = map[int]int{}, map[int]int{}
	for _, l := range all {
		if err := h.replay(s, l); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// corruption does to a history what a defect would. It reports false when the
// history has nothing that it could be done to.
type corruption struct {
	name   string
	breaks Rule
	do     func(all []*line, rnd *rand.Rand) ([]*line, bool)
}

// one changes one random line of those that fit.
func one(fits func(l *line) bool, change func(l *line)) func([]*line, *rand.Rand) ([]*line, bool) {
	return func(all []*line, rnd *rand.Rand) ([]*line, bool) {
		i := pick(all, rnd, fits)
		if i < 0 {
			return nil, false
		}
		change(all[i])
		return all, true
	}
}

// pick is a random line of those that fit, -1 for none.
func pick(all []*line, rnd *rand.Rand, fits func(l *line) bool) int {
	var some []int
	for i, l := range all {
		if fits(l) {
			some = append(some, i)
		}
	}
	if len(some) == 0 {
		return -1
	}
	return some[rnd.IntN(len(some))]
}

// drop takes one random line out of those that fit.
func drop(fits func(l *line) bool) func([]*line, *rand.Rand) ([]*line, bool) {
	return func(all []*line, rnd *rand.Rand) ([]*line, bool) {
		i := pick(all, rnd, fits)
		if i < 0 {
			return nil, false
		}
		return slices.Delete(all, i, i+1), true
	}
}

func acked(l *line) bool     { return l.End != nil && l.End.Acked }
func delivered(l *line) bool { return l.Delivered != nil }
func readSome(l *line) bool  { return l.Read != nil && len(l.Read.Got) > 2 }

// shard is the shard of a line with the truth that has most records.
func biggest(l *line) *shardLine {
	return &l.Stream.Shards[slices.IndexFunc(l.Stream.Shards, func(s shardLine) bool {
		return !slices.ContainsFunc(l.Stream.Shards, func(o shardLine) bool { return len(o.Records) > len(s.Records) })
	})]
}

func truthful(l *line) bool { return l.Stream != nil && len(biggest(l).Records) > 3 }

// saves are the calls of a history that were accepted saves, by the line of
// their answer.
func savesIn(all []*line) map[int]*callLine {
	calls, out := map[int]*callLine{}, map[int]*callLine{}
	for i, l := range all {
		if l.Call != nil {
			calls[l.Call.No] = l.Call
		}
		if l.Answer != nil && calls[l.Answer.Call].Op == OpSave && l.Answer.Results[0].Err == "" {
			out[i] = calls[l.Answer.Call]
		}
	}
	return out
}

// goesBack has an answer show the start of a shard, of which an answer before
// the call had shown more.
func goesBack(op Op) func(all []*line, rnd *rand.Rand) ([]*line, bool) {
	return func(all []*line, _ *rand.Rand) ([]*line, bool) {
		shown := map[string]bool{} // leases
		calls := map[int]*callLine{}
		for _, l := range all {
			switch {
			case l.Lost != nil:
				clear(shown)
				clear(calls)
			case l.Call != nil && len(l.Call.Items) == 1 && (l.Call.Op != op || shown[l.Call.Items[0].Lease]):
				calls[l.Call.No] = l.Call
			case l.Answer != nil && calls[l.Answer.Call] != nil:
				c, r := calls[l.Answer.Call], &l.Answer.Results[0]
				if c.Op == op && r.Stored && shown[c.Items[0].Lease] {
					r.Position = checkpoint.Start()
					return all, true
				}
				if r.Position.Rank == checkpoint.RankRecord {
					shown[c.Items[0].Lease] = true
				}
			}
		}
		return nil, false
	}
}

var corruptions = []corruption{
	{"a record that no handler finished", H1, func(all []*line, rnd *rand.Rand) ([]*line, bool) {
		i := pick(all, rnd, acked)
		id := all[i].End.ID
		return slices.DeleteFunc(all, func(l *line) bool { return l.Handled != nil && l.Handled.ID == id }), true
	}},
	{"a record that the stream lost", H1, func(all []*line, rnd *rand.Rand) ([]*line, bool) {
		id := all[pick(all, rnd, acked)].End.ID
		return one(truthful, func(l *line) {
			for i := range l.Stream.Shards {
				s := &l.Stream.Shards[i]
				s.Records = slices.DeleteFunc(s.Records, func(r rawLine) bool { return r.Sequence == id.Sequence })
			}
		})(all, rnd)
	}},
	{"two puts in one place", H1, func(all []*line, rnd *rand.Rand) ([]*line, bool) {
		i, k := pick(all, rnd, acked), pick(all, rnd, acked)
		if i == k {
			return nil, false
		}
		all[i].End.ID = all[k].End.ID
		return all, true
	}},
	{"a byte that flipped on the way", H2, one(delivered, func(l *line) { l.Delivered.Sum[3] ^= 1 })},
	{"a position that is saved before it is handled", H1, func(all []*line, rnd *rand.Rand) ([]*line, bool) {
		handled := func(l *line) *line { // the last record of a save that was accepted, or is on its way
			if l.Call == nil || l.Call.Op != OpSave {
				return nil
			}
			item := l.Call.Items[0]
			for _, o := range all {
				if h := o.Handled; h != nil && h.Lease == item.Lease && h.Worker == l.Call.Actor && position(h.ID) == item.Position &&
					strings.HasSuffix(item.Token, fmt.Sprintf("#%d", h.Epoch)) {
					return o
				}
			}
			return nil
		}
		i := pick(all, rnd, func(l *line) bool { return handled(l) != nil })
		if i < 0 {
			return nil, false
		}
		late := handled(all[i])
		all = slices.Insert(all, i+1, late)
		first := slices.Index(all, late)
		return slices.Delete(all, first, first+1), true
	}},
	{"two owners", H5, func(all []*line, rnd *rand.Rand) ([]*line, bool) {
		// A tenure goes on after another of its lease has begun to deliver.
		other := map[string]*line{} // by lease: the first delivery of its first tenure
		i := pick(all, rnd, func(l *line) bool {
			if l.Delivered == nil {
				return false
			}
			d := l.Delivered
			if other[d.Lease] == nil {
				other[d.Lease] = l
			}
			o := other[d.Lease].Delivered
			return o.Epoch < d.Epoch && o.Worker != d.Worker
		})
		if i < 0 || slices.ContainsFunc(all, func(l *line) bool { return l.Lost != nil }) {
			return nil, false
		}
		again := *other[all[i].Delivered.Lease]
		all = slices.Insert(all, i+1, &again)
		return slices.DeleteFunc(all, func(l *line) bool { return l.Actor != nil }), true // nobody was held
	}},
	{"another key", H2, one(delivered, func(l *line) { l.Delivered.Key += "'" })},
	{"a hash key that was lost", H2, one(func(l *line) bool { return delivered(l) && l.Delivered.HashKey != "" }, func(l *line) { l.Delivered.HashKey = "" })},
	{"another member of the aggregate", H2, one(delivered, func(l *line) { l.Delivered.ID.Subsequence += 7 })},
	{"a record of nobody", H2, one(delivered, func(l *line) { l.Delivered.ID.Sequence += "1"; l.Delivered.Key = "nobody's" })},
	{"a record that is skipped", H3, func(all []*line, rnd *rand.Rand) ([]*line, bool) {
		for range 100 { // until one in the middle of its tenure was found
			i := pick(all, rnd, delivered)
			d := all[i].Delivered
			mine := func(l *line) bool {
				return delivered(l) && l.Delivered.Lease == d.Lease && l.Delivered.Epoch == d.Epoch
			}
			if slices.ContainsFunc(all[:i], mine) && slices.ContainsFunc(all[i+1:], mine) && !slices.ContainsFunc(all, func(l *line) bool {
				return l != all[i] && mine(l) && l.Delivered.ID == d.ID
			}) {
				return slices.DeleteFunc(all, func(l *line) bool {
					return l == all[i] || l.Handled != nil && l.Handled.ID == d.ID && l.Handled.Epoch == d.Epoch
				}), true
			}
		}
		return nil, false
	}},
	{"two records of a batch that change places", H3, func(all []*line, _ *rand.Rand) ([]*line, bool) {
		for i := range len(all) - 1 {
			if delivered(all[i]) && delivered(all[i+1]) && all[i].Delivered.Lease == all[i+1].Delivered.Lease {
				all[i].Delivered, all[i+1].Delivered = all[i+1].Delivered, all[i].Delivered
				return all, true
			}
		}
		return nil, false
	}},
	{"a handled record again", H3, func(all []*line, rnd *rand.Rand) ([]*line, bool) {
		i := pick(all, rnd, func(l *line) bool { return l.Handled != nil })
		k := slices.IndexFunc(all, func(l *line) bool {
			return delivered(l) && l.Delivered.ID == all[i].Handled.ID && l.Delivered.Epoch == all[i].Handled.Epoch
		})
		again := *all[k]
		return slices.Insert(all, i+1, &again), true
	}},
	{"puts of a key that change places", H3, func(all []*line, rnd *rand.Rand) ([]*line, bool) {
		key := all[pick(all, rnd, func(l *line) bool { return l.Put != nil })].Put.Key
		var nos []int
		for _, l := range all {
			if l.Put != nil && l.Put.Key == key {
				nos = append(nos, l.Put.No)
			}
		}
		var ends []*endLine
		for _, l := range all {
			if acked(l) && slices.Contains(nos, l.End.No) {
				ends = append(ends, l.End)
			}
		}
		if len(ends) < 2 {
			return nil, false
		}
		ends[0].ID, ends[1].ID = ends[1].ID, ends[0].ID
		return all, true
	}},
	{"a stored position that goes back", H4, goesBack(OpSave)},
	{"a save under a token of nobody", H5, func(all []*line, _ *rand.Rand) ([]*line, bool) {
		for i := range all { // in order, for the test to be the same each time
			if c := savesIn(all)[i]; c != nil {
				c.Items[0].Token = "nobody#1"
				return all, true
			}
		}
		return nil, false
	}},
	{"a fence that is open", H5, func(all []*line, _ *rand.Rand) ([]*line, bool) {
		// The last refused save of a tenure that somebody took the lease from.
		calls := map[int]*callLine{}
		granted := map[string][]string{} // by lease: tokens
		asked := map[string]int{}
		seen := map[int]map[string]int{} // by call: the tokens granted before it, by lease
		lost := false
		for i, l := range all {
			switch {
			case l.Lost != nil:
				lost = true
			case l.Call != nil:
				calls[l.Call.No] = l.Call
				seen[l.Call.No] = map[string]int{}
				for lease, tokens := range granted {
					seen[l.Call.No][lease] = len(tokens)
				}
				if l.Call.Op == OpAcquire {
					asked[l.Call.Items[0].Token] = l.Call.No
				}
			case l.Answer != nil && calls[l.Answer.Call].Op == OpAcquire && l.Answer.Results[0].Err == "":
				lease := calls[l.Answer.Call].Items[0].Lease
				granted[lease] = append(granted[lease], l.Answer.Results[0].Token)
			case l.Answer != nil && calls[l.Answer.Call].Op == OpSave && l.Answer.Results[0].Err == "fenced" && !lost:
				item := calls[l.Answer.Call].Items[0]
				at := slices.Index(granted[item.Lease], item.Token)
				last := seen[l.Answer.Call][item.Lease] - 1
				if item.Release || at < 0 || last <= at {
					continue
				}
				// The other asked when this one had been granted.
				if seen[asked[granted[item.Lease][last]]][item.Lease] <= at {
					continue
				}
				all[i].Answer.Results[0] = Result{Position: item.Position, Stored: true}
				return all, true
			}
		}
		return nil, false
	}},
	{"children before their parent", H6, func(all []*line, _ *rand.Rand) ([]*line, bool) {
		for i, l := range all {
			if l.Call == nil || l.Call.Op != OpComplete {
				continue
			}
			lease := l.Call.Items[0].Lease
			if slices.ContainsFunc(all, func(o *line) bool {
				return o != l && o.Call != nil && o.Call.Op == OpComplete && o.Call.Items[0].Lease == lease
			}) {
				continue // it is not the only one
			}
			last := slices.IndexFunc(all, func(o *line) bool { return o.Stream != nil })
			late := slices.IndexFunc(all, func(o *line) bool { return o.Answer != nil && o.Answer.Call == l.Call.No })
			if late < 0 || !slices.ContainsFunc(all[i:last], func(o *line) bool {
				return delivered(o) && slices.Contains(l.Call.Items[0].Children, o.Delivered.Lease)
			}) {
				continue
			}
			answer := all[late]
			all = slices.Insert(all, last, l, answer)
			all = slices.Delete(all, late, late+1)
			all = slices.Delete(all, i, i+1)
			return slices.DeleteFunc(all, func(o *line) bool { return o.Owners != nil }), true // which tell of it
		}
		return nil, false
	}},
	{"a lease that is missing", H7, one(func(l *line) bool { return l.Owners != nil && len(*l.Owners) > 1 }, func(l *line) {
		*l.Owners = slices.DeleteFunc(*l.Owners, func(o Owner) bool { return !o.Position.IsEnd() && o.StartHashKey == "0" })
	})},
	{"numbers that fall", H8, one(truthful, func(l *line) { s := biggest(l); s.Records[1], s.Records[2] = s.Records[2], s.Records[1] })},
	{"a read with a gap", H9, one(readSome, func(l *line) { l.Read.Got = slices.Delete(l.Read.Got, 1, 2) })},
	{"a read that repeats", H9, one(readSome, func(l *line) { l.Read.Got[1] = l.Read.Got[0] })},
	{"a reader told too early that it is at the tip", H9, one(func(l *line) bool { return readSome(l) && l.Read.Behind == 0 && !l.Read.Closed },
		func(l *line) { l.Read.Got = l.Read.Got[:1]; l.Read.Last = l.Read.Last.Add(time.Hour) })},
	{"a promise kept twice", H10, func(all []*line, rnd *rand.Rand) ([]*line, bool) {
		i := pick(all, rnd, acked)
		again := *all[i]
		return slices.Insert(all, i+1, &again), true
	}},
	{"a promise that is forgotten", H10, drop(acked)},
	{"an error that hides a success", H10, one(func(l *line) bool { return l.End != nil && l.End.Maybe }, func(l *line) { l.End.Maybe = false })},
	{"a lease granted too early in the shard", H11, goesBack(OpAcquire)},
	{"a lease that nobody takes", H12, func(all []*line, _ *rand.Rand) ([]*line, bool) {
		for _, l := range slices.Backward(all) {
			if l.Owners != nil {
				(*l.Owners)[len(*l.Owners)-1].Worker = ""
				return all, true
			}
		}
		return nil, false
	}},
}

// Each corruption of a correct run is seen for what it is, in nearly every run
// that it can be done to: it may happen to make another correct run, such as
// two records that change places between two that are delivered again.
func TestCorruptionsAreFound(t *testing.T) {
	type tally struct{ done, found int }
	tallies := make([]tally, len(corruptions))
	for seed := range uint64(9) {
		text := playIn(t, seed, 400)
		for i, c := range corruptions {
			all, done := c.do(lines(t, text), rand.New(rand.NewPCG(seed, 1)))
			if !done {
				continue
			}
			tallies[i].done++
			if v := retell(t, all).Check(miniOptions); v.Broken[c.breaks] > 0 {
				tallies[i].found++
			}
		}
	}
	for i, c := range corruptions {
		n := tallies[i]
		t.Logf("%3s %2d of %2d  %s", c.breaks, n.found, n.done, c.name)
		if n.done < 3 || n.found*10 < n.done*9 {
			t.Errorf("%s: %s was found in %d of %d runs", c.breaks, c.name, n.found, n.done)
		}
	}
}
