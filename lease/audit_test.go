package lease_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/shardrun/shardrun/lease"
)

// audits are what a world's stream lists, and what came of it.
type audits struct {
	*world

	mu       sync.Mutex // guards all below
	answer   func() (lease.Listing, error)
	listed   map[string]int // by worker
	repaired []string
}

// newAudits is a world of a stream of two shards, S and T, audited each 20 seconds.
func newAudits(t *testing.T) *audits {
	a := &audits{world: newWorld(t, lease.NewMemory(), 0), listed: map[string]int{}}
	a.shards = []lease.Row{half("S", 0), half("T", 1)}
	a.lists(a.shards...)
	return a
}

// half is a shard of a half of the hash keys, quarter one of a quarter.
func half(id string, i int, parents ...string) lease.Row    { return part(id, 2, i, parents) }
func quarter(id string, i int, parents ...string) lease.Row { return part(id, 4, i, parents) }

func part(id string, n, i int, parents []string) lease.Row {
	row, keys := shard(id, parents...), hashkey.Split(n)[i]
	row.Shard.StartingHashKey, row.Shard.EndingHashKey = keys.Start.String(), keys.End.String()
	return row
}

// lists has the stream list these shards from now on.
func (a *audits) lists(shards ...lease.Row) {
	a.says(func() (lease.Listing, error) { return lease.Listing{Shards: shards, Retention: 24 * time.Hour}, nil })
}

func (a *audits) says(answer func() (lease.Listing, error)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = answer
}

func (a *audits) start(name string, change ...func(*lease.Config)) *worker {
	return a.world.start(name, slices.Insert(change, 0, func(c *lease.Config) {
		c.List = func(context.Context, string) (lease.Listing, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.listed[name]++
			return a.answer()
		}
		c.AuditInterval = 20 * time.Second
		c.Hooks.Event = func(e lease.Event) {
			if e.Kind != lease.EventRepaired {
				return
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			a.repaired = append(a.repaired, fmt.Sprintf("%s %s at %v", e.Repair, lease.ShardOf(e.Lease.Name), e.Lease.Position))
		}
	})...)
}

// listings are how often each worker has listed the shards.
func (a *audits) listings() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.listed)
}

// idle has a worker's runners wait.
func idle(c *lease.Config) {
	c.Run = func(ctx context.Context, h *lease.Held) error {
		select {
		case <-ctx.Done():
		case <-h.Draining():
		}
		return nil
	}
}

// wants compares what was repaired so far.
func (a *audits) wants(want ...string) {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Equal(a.repaired, want) {
		a.t.Errorf("repaired %q, want %q", a.repaired, want)
	}
}

// rows are the leases of the group with their positions.
func (a *audits) rows() string {
	a.t.Helper()
	v, err := a.store.View(a.t.Context(), "billing")
	if err != nil {
		a.t.Fatal(err)
	}
	var out []string
	for _, l := range v.Leases {
		text := lease.ShardOf(l.Name)
		if l.Finished() {
			text += "!"
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestAuditAdoptsAShardWithoutALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAudits(t)
		left, right := quarter("a", 0, "S"), quarter("b", 1, "S")
		a.end("S", 5, left) // b is forgotten
		a.start("one")
		time.Sleep(time.Second)
		a.lists(append(a.shards, left, right)...)
		time.Sleep(time.Minute)
		if a.count("b") == 0 {
			t.Error("b is not handled")
		}
		a.wants("adopted b at START")
		time.Sleep(3 * time.Minute)
		a.wants("adopted b at START")
	})
}

func TestAuditEndsAnExpiredShardThatNobodyTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAudits(t)
		a.start("one", func(c *lease.Config) { c.MaxLeases = 1 })
		time.Sleep(time.Second)
		free := "T"
		if a.count("S") == 0 {
			free = "S"
		}
		held := map[string]string{"S": "T", "T": "S"}[free]
		i := map[string]int{"S": 0, "T": 1}[free]
		a.lists(half(held, 1-i), quarter("x", 2*i, "gone"), quarter("y", 2*i+1, free))
		time.Sleep(time.Minute)
		a.wants("retired " + free + " at START")
		if got := a.rows(); !strings.Contains(got, free+"!") || !strings.Contains(got, "x y") {
			t.Errorf("rows %s", got)
		}
		a.start("two")
		time.Sleep(time.Second)
		if a.count("x") == 0 || a.count("y") == 0 {
			t.Error("what follows is not handled")
		}
		time.Sleep(time.Minute)
		a.wants("retired "+free+" at START", "collected "+free+" at START")
	})
}

func TestAuditEndsAShardThatIsWaitedForAndNeverWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAudits(t)
		child := half("a", 0, "S", "ghost")
		a.end("S", 5, child)
		a.start("one")
		time.Sleep(time.Second)
		a.lists(append(a.shards, child)...)
		time.Sleep(time.Minute)
		a.wants("retired ghost at START", "collected ghost at START")
		if a.count("a") == 0 {
			t.Error("a is not handled")
		}
	})
}

func TestAuditBelievesNoListingAlone(t *testing.T) {
	for name, wrong := range map[string]func() (lease.Listing, error){
		"that lacks shards": func() (lease.Listing, error) {
			return lease.Listing{Shards: []lease.Row{quarter("w", 0), quarter("x", 1), quarter("y", 2), quarter("z", 3)}}, nil
		},
		"that is empty": func() (lease.Listing, error) { return lease.Listing{}, nil },
		"that failed":   func() (lease.Listing, error) { return lease.Listing{}, errors.New("throttled") },
		"of another stream": func() (lease.Listing, error) {
			keys := half("S", 0).Shard
			keys.EndingHashKey = hashkey.Max.String()
			return lease.Listing{Shards: []lease.Row{{Name: "000000000000:us-east-1:orders:1800000000000/x", Shard: keys}}}, nil
		},
	} {
		for _, when := range []int{0, 1} { // which of two listings is wrong, in the rightful order of S being there
			t.Run(fmt.Sprintf("%s, %d", name, when), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a := newAudits(t)
					n := 0
					gone := func() (lease.Listing, error) {
						return lease.Listing{Shards: []lease.Row{quarter("w", 0), quarter("x", 1), quarter("y", 2), quarter("z", 3)}}, nil
					}
					a.says(func() (lease.Listing, error) {
						n++
						switch {
						case n%2 == when && strings.Contains(name, "lacks"):
							return wrong()
						case strings.Contains(name, "lacks"):
							return lease.Listing{Shards: a.shards}, nil
						case n%2 == when:
							return wrong()
						}
						return gone()
					})
					a.start("one", idle, func(c *lease.Config) { c.MaxLeases = 1 })
					time.Sleep(5 * time.Minute)
					a.wants()
					if got := a.rows(); got != "S T" {
						t.Errorf("rows %s", got)
					}
				})
			})
		}
	}
}

func TestAuditCollectsWhatNobodyNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAudits(t)
		left, right := quarter("a", 0, "S"), quarter("b", 1, "S")
		a.end("S", 5, left, right)
		a.start("one")
		a.lists(append(a.shards, left, right)...)
		time.Sleep(3 * time.Minute)
		if got := a.rows(); got != "S! T a b" {
			t.Errorf("rows %s", got)
		}
		a.wants()
		a.lists(a.shards[1], left, right)
		time.Sleep(time.Minute)
		if got := a.rows(); got != "T a b" {
			t.Errorf("rows %s", got)
		}
		a.wants("collected S at START")
		if a.started() != 4 {
			t.Errorf("%d runners were started", a.started())
		}
	})
}

func TestAuditCollectsTheStreamThatWasThereBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAudits(t)
		of := func(created int64) func(*lease.Config) {
			name := fmt.Sprintf("000000000000:us-east-1:orders:%d", created)
			rows := []lease.Row{{Name: name + "/S", Shard: part("S", 1, 0, nil).Shard}}
			return func(c *lease.Config) {
				c.Streams = []string{name}
				c.Discover = func(context.Context, string) ([]lease.Row, error) { return rows, nil }
				c.List = func(context.Context, string) (lease.Listing, error) {
					return lease.Listing{Shards: rows, Retention: 24 * time.Hour}, nil
				}
			}
		}
		now := time.Now()
		never := func(c *lease.Config) { c.List = nil }
		old := a.start("old", idle, of(now.Add(-48*time.Hour).UnixMilli()), never)
		gone := a.start("gone", idle, of(now.Add(-72*time.Hour).UnixMilli()), never)
		time.Sleep(time.Second)
		if err := gone.drain(); err != nil {
			t.Fatal(err)
		}
		a.start("new", idle, of(now.Add(-24*time.Hour+2*time.Minute).UnixMilli()))
		time.Sleep(90 * time.Second)
		if got := a.rows(); got != "S S S" {
			t.Errorf("rows %s", got)
		}
		time.Sleep(90 * time.Second)
		if got := a.rows(); got != "S S" {
			t.Errorf("rows %s", got) // the stream of which one is read still
		}
		if err := old.drain(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := a.rows(); got != "S" {
			t.Errorf("rows %s", got)
		}
	})
}

func TestOneWorkerAuditsAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAudits(t)
		a.ttl = 10 * time.Second
		workers := map[string]*worker{}
		for _, name := range []string{"one", "two", "three"} {
			workers[name] = a.start(name, idle)
		}
		time.Sleep(40 * time.Minute) // 120 intervals
		var counts []int
		first := ""
		for name, n := range a.listings() {
			if counts = append(counts, n); n > 100 {
				first = name
			}
		}
		slices.Sort(counts)
		if len(counts) != 3 || first == "" || counts[0] < 35 || counts[0] > 45 || counts[1] < 50 || counts[1] > 70 || counts[2] > 130 {
			t.Fatalf("listed %v, want about 40, 60 and 120 times", counts)
		}
		workers[first].kill()
		before := a.listings()
		time.Sleep(40 * time.Minute)
		counts = nil
		for name, n := range a.listings() {
			if name != first {
				counts = append(counts, n-before[name])
			}
		}
		if slices.Max(counts) < 100 {
			t.Errorf("listed %v after %s was cut off", counts, first)
		}
	})
}

func TestAuditsThatAreOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAudits(t)
		a.start("one", idle, func(c *lease.Config) { c.AuditInterval = -1 })
		time.Sleep(40 * time.Minute)
		if listed := a.listings(); len(listed) > 0 {
			t.Errorf("listed %v", listed)
		}
	})
}

func TestAuditWaitsForAPausedGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAudits(t)
		a.start("one", idle)
		time.Sleep(time.Second)
		if err := a.store.Pause(t.Context(), checkpoint.Scope{Group: "billing"}, true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		before := a.listings()
		time.Sleep(40 * time.Minute)
		if listed := a.listings(); !maps.Equal(listed, before) {
			t.Errorf("listed %v, and %v before the pause", listed, before)
		}
	})
}

func TestDrainDoesNotWaitForAnAudit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAudits(t)
		lists := make(chan struct{}, 100) // more than there are
		a.says(func() (lease.Listing, error) {
			lists <- struct{}{}
			return lease.Listing{Shards: []lease.Row{half("S", 0), half("T", 1)}}, nil
		})
		one := a.start("one", func(c *lease.Config) {
			c.Discover = func(context.Context, string) ([]lease.Row, error) { return []lease.Row{half("T", 1)}, nil }
		})
		<-lists // S is missing, the shards will be listed again
		start := time.Now()
		if err := one.drain(); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %v", took)
		}
		a.wants()
	})
}
