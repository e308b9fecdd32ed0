package redis_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap/zaptest"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/redistest"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/lease/redis"
)

// crew is a few managers on one Redis, in real time.
type crew struct {
	t      *testing.T
	config redis.Config // of their stores
	ttl    time.Duration

	mu     sync.Mutex // guards all below
	owners map[string]string
	times  map[string]time.Time // of the last start of each lease
	change chan struct{}        // closed and made anew at every start and end
}

func newCrew(t *testing.T) *crew { return newCrewOn(t, redis.Config{Addr: redistest.Server(t)}) }

func newCrewOn(t *testing.T, cfg redis.Config) *crew {
	return &crew{t: t, config: cfg, ttl: time.Second, owners: map[string]string{}, times: map[string]time.Time{}, change: make(chan struct{})}
}

// member is one of them.
type member struct {
	stop context.CancelFunc
	done chan error // holds one
}

func (c *crew) start(name string, rows []lease.Row, run func(context.Context, *lease.Held) error) *member {
	c.t.Helper()
	ctx, stop := context.WithCancel(c.t.Context())
	store := newStore(c.t, c.config)
	m, err := lease.NewManager(lease.Config{
		Store: store, Group: group, Logger: zaptest.NewLogger(c.t).Named(name), WorkerName: name, TTL: c.ttl, Streams: []string{stream},
		Discover: func(context.Context, string) ([]lease.Row, error) { return rows, nil },
		Run: func(ctx context.Context, h *lease.Held) error {
			c.set(h.Lease().Name, name)
			defer c.unset(h.Lease().Name, name)
			return run(ctx, h)
		},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	w := &member{stop: stop, done: make(chan error, 1)}
	go func() { w.done <- m.Run(ctx) }()
	c.t.Cleanup(func() {
		stop()
		w.done <- <-w.done
	})
	return w
}

func (c *crew) set(name, worker string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if other := c.owners[name]; other != "" {
		c.t.Errorf("%s: %s starts while %s runs", name, worker, other)
	}
	c.owners[name], c.times[name] = worker, time.Now()
	c.changed()
}

func (c *crew) unset(name, worker string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.owners[name] == worker {
		delete(c.owners, name)
	}
	c.changed()
}

// changed wakes until. The caller holds mu.
func (c *crew) changed() {
	close(c.change)
	c.change = make(chan struct{})
}

// until waits for what is wanted of the owners, and returns how long it took.
func (c *crew) until(what string, within time.Duration, wanted func(map[string]string) bool) time.Duration {
	c.t.Helper()
	from, deadline := time.Now(), time.After(within)
	for {
		c.mu.Lock()
		ok, change := wanted(c.owners), c.change
		owners := fmt.Sprint(c.owners)
		c.mu.Unlock()
		if ok {
			return time.Since(from)
		}
		select {
		case <-change:
		case <-deadline:
			c.t.Fatalf("%s: not within %v: %s", what, within, owners)
		}
	}
}

func share(n map[string]int) func(map[string]string) bool {
	return func(owners map[string]string) bool {
		got := map[string]int{}
		for _, w := range owners {
			got[w]++
		}
		for w, want := range n {
			if got[w] != want {
				return false
			}
		}
		return len(got) == len(n)
	}
}

// untilDrained is a runner that does nothing.
func untilDrained(ctx context.Context, h *lease.Held) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-h.Draining():
		return nil
	}
}

func someRows(n int) []lease.Row {
	var rows []lease.Row
	for i := range n {
		rows = append(rows, lease.Row{
			Name: fmt.Sprintf("%s/shardId-%012d", stream, i), Shard: lease.Shard{StartingHashKey: "0", EndingHashKey: "1"},
		})
	}
	return rows
}

// It is alone, as it measures.
func TestManagersShareDrainAndTakeOver(t *testing.T) {
	c := newCrew(t)
	rows := someRows(20)
	a := c.start("a", rows, untilDrained)
	t.Logf("first start: %v", c.until("start", 5*time.Second, share(map[string]int{"a": 20})))
	c.start("b", rows, untilDrained)
	t.Logf("share: %v", c.until("share", 5*time.Second, share(map[string]int{"a": 10, "b": 10})))
	a.stop()
	t.Logf("drain to taken: %v", c.until("drain", time.Second, share(map[string]int{"b": 20})))
	if err := <-a.done; err != nil {
		t.Error(err)
	}
	a.done <- nil
}

// It is alone, as it measures.
func TestChildrenAreTakenInMilliseconds(t *testing.T) {
	c := newCrew(t)
	const generations = 60
	var (
		mu    sync.Mutex // guards gaps and ended
		gaps  []time.Duration
		ended time.Time
	)
	finished := make(chan struct{})
	shard := func(n int) string { return fmt.Sprintf("%s/shardId-%012d", stream, n) }
	run := func(ctx context.Context, h *lease.Held) error {
		var n int
		if _, err := fmt.Sscanf(lease.ShardOf(h.Lease().Name), "shardId-%d", &n); err != nil {
			return err
		}
		mu.Lock()
		if !ended.IsZero() {
			gaps = append(gaps, time.Since(ended))
		}
		mu.Unlock()
		if n == generations {
			close(finished)
			return untilDrained(ctx, h)
		}
		h.Save(checkpoint.At("5", 0), 0, nil)
		mu.Lock()
		ended = time.Now()
		mu.Unlock()
		return h.Complete(ctx, []lease.Row{{Name: shard(n + 1), Shard: lease.Shard{Parents: []string{shard(n)}}}})
	}
	rows := []lease.Row{{Name: shard(0)}}
	c.start("a", rows, run)
	c.start("b", rows, run)
	select {
	case <-finished:
	case <-time.After(10 * time.Second):
		t.Fatal("the last child was not started")
	}
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(gaps)
	t.Logf("end of a parent to start of its child: p50 %v, max %v", gaps[len(gaps)/2], gaps[len(gaps)-1])
	if p50 := gaps[len(gaps)/2]; p50 > 50*time.Millisecond {
		t.Errorf("a child starts %v after its parent's end", p50)
	}
}

func TestAServerThatLosesEverythingIsStartedFromAnew(t *testing.T) {
	t.Parallel()
	c := newCrew(t)
	rows := someRows(6)
	c.start("a", rows, untilDrained)
	c.start("b", rows, untilDrained)
	c.until("start", 5*time.Second, func(o map[string]string) bool { return len(o) == 6 })
	client := goredis.NewClient(&goredis.Options{Addr: c.config.Addr})
	defer func() { _ = client.Close() }() // the test is over
	c.mu.Lock()
	before := time.Now()
	c.mu.Unlock()
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	c.until("start anew", 5*time.Second, func(o map[string]string) bool {
		for _, r := range rows {
			if o[r.Name] == "" || c.times[r.Name].Before(before) {
				return false
			}
		}
		return true
	})
}

func TestRedisIsDownAtTheStart(t *testing.T) {
	t.Parallel()
	m, err := lease.NewManager(lease.Config{
		Store: newStore(t, redis.Config{Addr: "127.0.0.1:1"}), Group: group, Streams: []string{stream},
		TTL:         10 * time.Second, // a beat has an eighth to be refused
		JoinTimeout: 300 * time.Millisecond,
		Run:         untilDrained,
		Discover:    func(context.Context, string) ([]lease.Row, error) { return nil, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	err = m.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") || !strings.Contains(err.Error(), `join group "billing"`) {
		t.Errorf("Run returned %v", err)
	}
}
