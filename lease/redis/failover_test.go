package redis_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/redistest"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/lease/internal/runnertest"
	"github.com/shardrun/shardrun/lease/redis"
)

// saver is a runner that saves a position every few milliseconds.
func saver(ctx context.Context, h *lease.Held) error {
	next := uint64(1)
	if p := h.Entry().Position; p.Rank == checkpoint.RankRecord {
		if _, err := fmt.Sscan(string(p.Sequence), &next); err != nil {
			return err
		}
	}
	return runnertest.Every(ctx, h.Draining(), 5*time.Millisecond, func() {
		next++
		h.Save(checkpoint.At(checkpoint.SequenceNumber(fmt.Sprint(next)), 0), 0, nil)
	})
}

// saves waits until every lease's position has moved twice more.
func saves(t *testing.T, store *redis.Store, rows []lease.Row) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = r.Name
	}
	var from map[string]checkpoint.Entry
	for {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		now, err := store.Load(ctx, group, names...)
		cancel()
		moved := 0
		if err == nil && from == nil {
			from = now
		}
		for _, name := range names {
			if from != nil && now[name].Position.Compare(from[name].Position) > 0 {
				moved++
			}
		}
		if err == nil && moved == len(names) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("positions of %d of %d leases move: %v", moved, len(names), err)
		}
		time.Sleep(20 * time.Millisecond) // between two looks
	}
}

// patient is a lease time with which two beats are a second apart.
const patient = 3 * time.Second

// handsOver sees that workers hear of one another: what one gives back is taken
// in far less than the time between two beats.
func handsOver(t *testing.T, c *crew, from *member, name string, leases int) {
	t.Helper()
	from.stop()
	if err := <-from.done; err != nil {
		t.Error(err)
	}
	from.done <- nil
	took := c.until("hand-over", 5*time.Second, share(map[string]int{name: leases}))
	t.Logf("from the goodbye to the last start: %v", took)
	if took > patient/12 {
		t.Errorf("taken %v after the goodbye: it was not heard", took)
	}
}

// settled waits until the watches of all have had the time to begin anew.
func settled(t *testing.T, c *crew) {
	t.Helper()
	select {
	case <-time.After(c.ttl/3 + 500*time.Millisecond):
	case <-t.Context().Done():
	}
}

// goesOn sees that workers with a client go on over something that happens to their
// servers: positions move, each has its share, and they hear of one another.
func goesOn(t *testing.T, client goredis.UniversalClient, over string, happen func()) {
	t.Helper()
	c := newCrewOn(t, redis.Config{Client: client})
	c.ttl = patient
	rows, each := someRows(6), share(map[string]int{"a": 3, "b": 3})
	a := c.start("a", rows, saver)
	c.start("b", rows, saver)
	c.until("start", 10*time.Second, each)
	store := newStore(t, redis.Config{Client: client})
	saves(t, store, rows)
	happen()
	happened := time.Now()
	saves(t, store, rows)
	t.Logf("all positions move %v after %s", time.Since(happened), over)
	c.until("share after "+over, 10*time.Second, each)
	settled(t, c)
	handsOver(t, c, a, "b", 6)
}

func TestManagersGoOnOverAFailoverOfSentinel(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinels(t, true)
	client := goredis.NewFailoverClient(&goredis.FailoverOptions{MasterName: redistest.MasterName, SentinelAddrs: s.Addrs})
	t.Cleanup(func() { _ = client.Close() }) // after the managers, which are cleaned up before
	goesOn(t, client, "the death of the primary", s.Primary.Kill)
}

func TestManagersGoOnOverAFailoverOfACluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, true)
	goesOn(t, cluster.Client(), "the death of the primary", func() {
		cluster.Primaries[cluster.Owner("{"+group+"}:m")].Kill()
	})
}

func TestManagersGoOnWhereTheirSlotMoves(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, false)
	goesOn(t, cluster.Client(), "the move of their slot", func() {
		key := "{" + group + "}:m"
		owner := cluster.Owner(key)
		cluster.Move(key, cluster.Primaries[owner], cluster.Primaries[(owner+1)%3])
	})
}

// A node that gives a slot away ends the subscriptions to its channel, and goes
// on to answer pings.
func TestAWatchOfASlotThatMovesEnds(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, false)
	store := newStore(t, redis.Config{Client: cluster.Client()})
	o := newOne(t, store)
	told, ended := make(chan struct{}, 100), make(chan error, 1)
	watch := func() {
		ended <- store.Watch(t.Context(), group, func() { told <- struct{}{} })
	}
	hear := func(what string) {
		t.Helper()
		select {
		case <-told:
		case err := <-ended:
			t.Fatalf("%s: watch: %v", what, err)
		case <-time.After(2 * time.Second):
			t.Fatalf("%s: nothing heard", what)
		}
	}
	go watch()
	hear("the subscription")
	key := "{" + group + "}:m"
	owner := cluster.Owner(key)
	cluster.Move(key, cluster.Primaries[owner], cluster.Primaries[(owner+1)%3])
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the watch ended without an error")
		}
		t.Log(err)
		go watch()
		hear("the second subscription")
	case <-time.After(2 * time.Second):
		if redistest.Version(t) >= 7 { // before, every node hears everything
			t.Fatal("the watch listens to a node that says nothing any more")
		}
	}
	for len(told) > 0 {
		<-told
	}
	if err := store.Bye(t.Context(), o.scope(), o.session); err != nil {
		t.Fatal(err)
	}
	hear("the goodbye")
}
