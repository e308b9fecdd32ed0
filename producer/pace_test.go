package producer

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestPaceKeepsToTheShardsLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		var e ends
		p := newTest(t, f, func(c *Config) { c.AggregateBytes = -1; c.RateLimit = 0.5 })
		start := time.Now()
		for i := range 3000 {
			put(t, p, &e, "k", fmt.Sprint(i))
		}
		flush(t, p)
		// 500 at once, then 500 a second.
		if d := time.Since(start); d < 5*time.Second || d > 5200*time.Millisecond {
			t.Errorf("3000 records took %v", d)
		}
		start = time.Now()
		time.Sleep(2 * time.Second)
		for range 8 {
			_ = p.Put(t.Context(), Record{Key: "k", Data: make([]byte, 512<<10)})
		}
		flush(t, p)
		if d := time.Since(start); d < 9*time.Second || d > 9200*time.Millisecond {
			t.Errorf("4 MiB took %v with a rest of 2 s before", d)
		}
	})
}

func TestThrottledShardSlowsDownAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		second := map[int64]int{} // entries written by second: the service's own limit
		refused := 0
		f.refuse = func(int, int, string) string {
			if s := time.Now().Unix(); second[s] < 100 {
				second[s]++
				return ""
			}
			refused++
			return "ProvisionedThroughputExceededException"
		}
		var e ends
		p := newTest(t, f, func(c *Config) { c.AggregateBytes, c.RecordTTL, c.Ordered = -1, -1, true })
		for i := range 6000 {
			put(t, p, &e, "k", fmt.Sprint(i))
		}
		start := time.Now()
		flush(t, p)
		e.checkOnce(t, 6000)
		if d := time.Since(start); d > 90*time.Second {
			t.Errorf("6000 records took %v, 60 s are the least", d)
		}
		if refused > 600 {
			t.Errorf("%d entries were sent into a shard that was full", refused)
		}
		checkOrder(t, f.read(t, true), map[string]int{"k": 6000})
	})
}
