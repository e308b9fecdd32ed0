package state

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/shardrun/shardrun/internal/hashkey"
)

var testTime = time.UnixMilli(1_800_000_000_123)

func testStream(shards int) *Stream {
	return &Stream{
		Key: Key{Scope{"123456789012", "eu-west-1"}, "s"}, ID: "id", Created: testTime.UnixMilli(), Status: Active,
		RetentionHours: 24, MaxRecordKiB: 1024, NextShard: uint32(shards), Shards: NewShards(shards, testTime, 0),
	}
}

// do applies steps to a stream and returns it as it is then.
func do(t *testing.T, st *Stream, steps []Step, now time.Time) *Stream {
	t.Helper()
	r, err := st.Reshard(steps, now)
	if err != nil {
		t.Fatalf("reshard: %v", err)
	}
	s := New()
	s.Streams[st.ID] = st
	if err := s.Apply(Event{Resharded: r}); err != nil {
		t.Fatalf("apply: %v", err)
	}
	return s.Streams[st.ID]
}

func split(shard uint32, at hashkey.Key) []Step { return []Step{{Shard: shard, Split: &at}} }

func merge(low, high uint32) []Step { return []Step{{Shard: low, Merge: &high}} }

func TestSplitAndMerge(t *testing.T) {
	st := testStream(2)
	before := fmt.Sprintf("%+v", st)
	later := testTime.Add(time.Minute)
	mid := st.Shards[0].Range.Middle()
	st2 := do(t, st, split(0, mid), later)
	if fmt.Sprintf("%+v", st) != before {
		t.Error("a reshard changed the stream that it started from")
	}
	if len(st2.Shards) != 4 || !st2.Shards[0].IsClosed() || st2.Shards[0].Closed != later.UnixMilli() {
		t.Fatalf("shards after a split: %+v", st2.Shards)
	}
	low, high := st2.Shards[2], st2.Shards[3]
	if low.Range != (hashkey.Range{Start: hashkey.Key{}, End: mid.Prev()}) || high.Range != (hashkey.Range{Start: mid, End: st.Shards[0].Range.End}) {
		t.Errorf("children's ranges %v and %v", low.Range, high.Range)
	}
	if low.Parent != 0 || high.Parent != 0 || low.AdjacentParent != NoShard || high.AdjacentParent != NoShard {
		t.Errorf("children's parents %+v, %+v", low, high)
	}
	st3 := do(t, st2, merge(3, 1), later)
	m := st3.Shards[4]
	if m.Number != 4 || m.Parent != 3 || m.AdjacentParent != 1 || m.Range != (hashkey.Range{Start: mid, End: hashkey.Max}) {
		t.Errorf("merged shard %+v", m)
	}
	if got := st3.Children(3); len(got) != 1 || got[0].Number != 4 {
		t.Errorf("children of 3: %+v", got)
	}
}

func TestReshardRefusesWhatIsImpossible(t *testing.T) {
	st := testStream(3)
	st = do(t, st, split(0, st.Shards[0].Range.Middle()), testTime)
	for name, steps := range map[string][]Step{
		"closed shard":           split(0, hashkey.Key{Lo: 10}),
		"unknown shard":          split(9, hashkey.Key{Lo: 10}),
		"key of another shard":   split(1, hashkey.Key{Lo: 10}),
		"first key of the shard": split(3, hashkey.Key{}),
		"not adjacent":           merge(3, 2),
		"inverted":               merge(2, 1),
		"empty step":             {{Shard: 1}},
	} {
		if _, err := st.Reshard(steps, testTime); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Children have greater numbers than any number of their parents, even when
// the clock stands still or goes back.
func TestChildrenNumbersAreAboveTheirParents(t *testing.T) {
	st := testStream(1)
	now := testTime
	for i := range 20 {
		now = now.Add(-time.Duration(i) * time.Hour)
		parent := st.Open()[0]
		st = do(t, st, split(parent.Number, parent.Range.Middle()), now)
		closed, _ := st.Shard(parent.Number)
		for _, child := range st.Children(parent.Number) {
			if closed.End().String() >= child.Start().String() {
				t.Fatalf("end of parent %s is not below start of child %s", closed.End(), child.Start())
			}
			if last := closed.At(MaxIndex-1, testTime.Add(1000*time.Hour).UnixMilli()).String(); last >= child.Start().String() {
				t.Fatalf("number %s of the parent is not below start of child %s", last, child.Start())
			}
			if child.At(1, 0).String() <= child.Start().String() {
				t.Fatal("a record's number is not above the shard's starting number")
			}
		}
	}
}

func TestPlanUniform(t *testing.T) {
	tests := []struct {
		from, to int
		steps    int
	}{
		{1, 2, 1}, {2, 4, 2}, {4, 2, 2}, {3, 6, 3}, {6, 3, 3}, {7, 14, 7}, {500, 1000, 500},
		{4, 4, 0}, {2, 1, 1}, {2, 3, 3}, {3, 4, 5}, {3, 2, 3},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d to %d", tt.from, tt.to), func(t *testing.T) {
			st := testStream(tt.from)
			steps := st.PlanUniform(tt.to)
			if len(steps) != tt.steps {
				t.Errorf("%d steps, want %d: %+v", len(steps), tt.steps, steps)
			}
			checkUniform(t, do(t, st, steps, testTime), tt.to)
		})
	}
}

// checkUniform checks that the open shards are n, of equal size but for
// rounding. That they cover all keys is checked whenever a reshard is applied.
func checkUniform(t *testing.T, st *Stream, n int) {
	t.Helper()
	open := st.Open()
	if len(open) != n {
		t.Fatalf("%d open shards, want %d", len(open), n)
	}
	for i, want := range hashkey.Split(n) {
		if !near(open[i].Range.Start, want.Start) {
			t.Errorf("shard %d starts at %s, want about %s", i, open[i].Range.Start, want.Start)
		}
	}
}

func TestPlanUniformFromAnyShards(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		st := testStream(1 + rng.IntN(5))
		for range 1 + rng.IntN(12) {
			open := st.Open()
			i := rng.IntN(len(open))
			if rng.IntN(3) == 0 && i+1 < len(open) {
				st = do(t, st, merge(open[i].Number, open[i+1].Number), testTime)
				continue
			}
			at := hashkey.Key{Hi: rng.Uint64(), Lo: rng.Uint64()}
			for _, sh := range open {
				if sh.Range.Contains(at) && at != sh.Range.Start {
					st = do(t, st, split(sh.Number, at), testTime)
				}
			}
		}
		target := 1 + rng.IntN(12)
		steps := st.PlanUniform(target)
		after := do(t, st, steps, testTime)
		checkUniform(t, after, target)
		if peak := PeakOpen(len(st.Open()), steps); peak < target || peak > len(st.Open())+target {
			t.Errorf("seed %d: peak of %d shards from %d to %d", seed, peak, len(st.Open()), target)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestFilters(t *testing.T) {
	at := func(minutes int) time.Time { return testTime.Add(time.Duration(minutes) * time.Minute) }
	st := testStream(1)
	st = do(t, st, split(0, hashkey.Key{Hi: 1 << 63}), at(60)) // 1, 2
	st = do(t, st, merge(1, 2), at(120))                       // 3
	st = do(t, st, split(3, hashkey.Key{Hi: 1 << 62}), at(180))
	ms := func(minutes int) int64 { return at(minutes).UnixMilli() }
	tests := []struct {
		name   string
		filter Filter
		now    int // minutes
		want   string
	}{
		{"none", Filter{}, 200, "[0 1 2 3 4 5]"},
		{"after a shard", Filter{Kind: AfterShardID, Shard: 2}, 200, "[3 4 5]"},
		{"from the horizon", Filter{Kind: FromTrimHorizon}, 200, "[0 1 2 3 4 5]"},
		{"at the horizon of a young stream: its first shard", Filter{Kind: AtTrimHorizon}, 200, "[0]"},
		{"at the horizon, a day later", Filter{Kind: AtTrimHorizon}, 24*60 + 90, "[1 2]"},
		{"latest", Filter{Kind: AtLatest}, 200, "[4 5]"},
		{"at a time", Filter{Kind: AtTimestamp, At: ms(100)}, 200, "[1 2]"},
		{"at the moment of a reshard: the children", Filter{Kind: AtTimestamp, At: ms(120)}, 200, "[3]"},
		{"at a time before the stream", Filter{Kind: AtTimestamp, At: 1}, 200, "[0]"},
		{"from a time", Filter{Kind: FromTimestamp, At: ms(100)}, 200, "[1 2 3 4 5]"},
		{"from a time to come", Filter{Kind: FromTimestamp, At: ms(1000)}, 200, "[4 5]"},
		{"expired shards are gone", Filter{}, 24*60 + 121, "[3 4 5]"},
		{"open shards never expire", Filter{}, 24*60*365 + 200, "[4 5]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []uint32
			for _, sh := range st.List(tt.filter, at(tt.now)) {
				got = append(got, sh.Number)
			}
			if fmt.Sprint(got) != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
}

// At any time the shards of AT_TIMESTAMP cover every key once, also when one
// reshard goes through shards in between.
func TestShardsAtAnyTimeTile(t *testing.T) {
	st := testStream(3)
	now := testTime
	for _, n := range []int{4, 5, 3, 6} {
		now = now.Add(time.Minute)
		st = do(t, st, st.PlanUniform(n), now)
	}
	for ms := testTime.UnixMilli(); ms <= now.UnixMilli()+1000; ms += 1000 {
		tmp := &Stream{Created: st.Created, RetentionHours: 24}
		for _, sh := range st.List(Filter{Kind: AtTimestamp, At: ms}, now.Add(time.Second)) {
			sh.Closed = 0
			tmp.Shards = append(tmp.Shards, sh)
		}
		if err := checkTiling(tmp.Open()); err != nil {
			t.Fatalf("at %d: %v", ms-testTime.UnixMilli(), err)
		}
	}
}

// A shard that was made, filled and closed within one millisecond, or while the
// clock went back, is still found by a time: its records are.
func TestAShardIsOpenForSomeTime(t *testing.T) {
	for name, later := range map[string]time.Duration{"at once": 0, "the clock went back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			st := testStream(1)
			st = do(t, st, split(0, hashkey.Key{Hi: 1 << 63}), testTime.Add(later))
			st = do(t, st, merge(1, 2), testTime.Add(later))
			for ms, want := range []string{"[0]", "[1 2]", "[3]", "[3]"} {
				var got []uint32
				for _, sh := range st.List(Filter{Kind: AtTimestamp, At: testTime.UnixMilli() + int64(ms)}, testTime.Add(time.Minute)) {
					got = append(got, sh.Number)
				}
				if fmt.Sprint(got) != want {
					t.Errorf("after %d ms: got %v, want %s", ms, got, want)
				}
			}
			if got := st.List(Filter{Kind: AtTrimHorizon}, testTime.Add(time.Minute)); len(got) != 1 || got[0].Number != 0 {
				t.Errorf("at the horizon: %+v, want the first shard", got)
			}
		})
	}
}
