package state

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/shardrun/shardrun/internal/hashkey"
)

// stepTexts shows splits as "3" and merges as "1+2".
func stepTexts(steps []Step) []string {
	out := []string{}
	for _, s := range steps {
		if s.Merge != nil {
			out = append(out, fmt.Sprintf("%d+%d", s.Shard, *s.Merge))
			continue
		}
		out = append(out, fmt.Sprint(s.Shard))
	}
	return out
}

func TestPlanOnDemand(t *testing.T) {
	busy := func(loads ...float64) map[uint32]Load {
		m := map[uint32]Load{}
		for i, l := range loads {
			m[uint32(i)] = Load{Now: l, Peak: l}
		}
		return m
	}
	day := testTime.Add(24 * time.Hour)
	for name, tt := range map[string]struct {
		shards, floor, room int
		loads               map[uint32]Load
		dayEnded            bool
		now                 time.Time
		want                string
	}{
		"idle":                                   {4, 4, 99, nil, false, day, "[]"},
		"half used":                              {4, 4, 99, busy(0.5, 0.5, 0.5, 0.5), false, day, "[]"},
		"more than half used":                    {2, 4, 99, busy(0.6, 0.7), false, day, "[1 0]"},
		"one shard is hot":                       {4, 4, 99, busy(0.1, 0.1, 3, 0.1), false, day, "[2]"},
		"room for the busiest only":              {3, 4, 2, busy(0.6, 0.9, 0.7), false, day, "[1 2]"},
		"no room":                                {1, 4, 0, busy(0.9), false, day, "[]"},
		"idle for a day":                         {8, 4, 99, nil, true, day, "[0+1 2+3 4+5 6+7]"},
		"idle for a day, down to the floor":      {8, 6, 99, nil, true, day, "[0+1 2+3]"},
		"idle for a day at the floor":            {4, 4, 99, nil, true, day, "[]"},
		"idle, but the day has not ended":        {8, 4, 99, nil, false, day, "[]"},
		"idle, but younger than a day":           {8, 4, 99, nil, true, day.Add(-1), "[]"},
		"pairs that were busy stay":              {8, 1, 99, busy(0.1, 0.1, 0.2, 0.2, 0.2, 0.05), true, day, "[0+1 4+5 6+7]"},
		"splits go before merges":                {8, 4, 99, busy(0.6), true, day, "[0]"},
		"a peak in the day counts, now does not": {2, 1, 99, map[uint32]Load{0: {Now: 0, Peak: 0.26}}, true, day, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			st := testStream(tt.shards)
			steps := st.PlanOnDemand(tt.loads, tt.floor, tt.room, tt.dayEnded, tt.now)
			if got := fmt.Sprint(stepTexts(steps)); got != tt.want {
				t.Errorf("steps %s, want %s", got, tt.want)
			}
			if len(steps) > 0 {
				do(t, st, steps, tt.now)
			}
		})
	}
}

// A shard of a single hash key cannot be split, however busy it is.
func TestAShardOfOneKeyIsNotSplit(t *testing.T) {
	st := do(t, testStream(1), split(0, hashkey.Key{Lo: 1}), testTime) // shard 1 has the key 0 alone
	if steps := st.PlanOnDemand(map[uint32]Load{1: {Now: 9}}, 4, 99, false, testTime); len(steps) != 0 {
		t.Errorf("steps %v", stepTexts(steps))
	}
}

// Whatever the load is, a stream under it comes to rest: spread evenly over the
// hash keys it ends with every shard at most half used, and at least a quarter
// of that when it has grown; plans can be carried out at every point.
func TestOnDemandStreamsComeToRest(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 3))
		st := testStream(4)
		now := testTime
		demand := rng.Float64() * 30
		for round := range 12 {
			now = now.Add(25 * time.Hour)
			loads := map[uint32]Load{}
			open := st.Open()
			for _, sh := range open {
				share := float64(sh.Range.End.Hi-sh.Range.Start.Hi) / float64(hashkey.Max.Hi)
				loads[sh.Number] = Load{Now: demand * share, Peak: demand * share}
			}
			steps := st.PlanOnDemand(loads, 4, 1000-len(open), true, now)
			if len(steps) == 0 {
				for number, l := range loads {
					if l.Now > 0.5 {
						t.Errorf("seed %d: shard %d rests at a load of %g", seed, number, l.Now)
					}
				}
				break
			}
			if round == 11 {
				t.Errorf("seed %d: still scaling at %d shards for a demand of %g", seed, len(open), demand)
			}
			st = do(t, st, steps, now)
			if n := st.OpenCount(); n < 4 || 2*n < len(open) || n > 2*len(open) {
				t.Errorf("seed %d: from %d to %d shards in one go", seed, len(open), n)
			}
		}
		if n := float64(st.OpenCount()); n > max(4, 4*demand+1) {
			t.Errorf("seed %d: %g shards for a demand of %g", seed, n, demand)
		}
	}
}
