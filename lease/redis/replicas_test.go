package redis_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/internal/redistest"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/lease/redis"
)

// A lease whose grant no replica has may be granted again after a failover: it is
// not used. The same call counts when the replica is back, as calls may be
// repeated.
func TestWhatTooFewReplicasHaveDoesNotCount(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	replica := redistest.StartReplica(t, primary)
	store := newStore(t, redis.Config{Addr: primary.Addr, ReplicaAcks: 1})
	o := newOne(t, store) // creates and acquires
	within := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		t.Cleanup(cancel)
		return ctx
	}
	acquire := lease.Acquire{Session: o.session, First: 2, Names: []string{shard2}}

	replica.Hold()
	for range 2 { // also when it is repeated, and writes nothing
		if grants, err := store.Acquire(within(), o.scope(), acquire); !errors.Is(err, redis.ErrReplicas) || grants != nil {
			t.Fatalf("acquire without the replica: %v, %v", grants, err)
		} else if !strings.Contains(err.Error(), "0 have it after") || !strings.Contains(err.Error(), "want 1") {
			t.Errorf("the error does not say how many: %v", err)
		}
	}
	complete := lease.Completion{Name: shard1, Token: o.token, Children: []lease.Row{{
		Name: shard1 + "0", Shard: lease.Shard{Parents: []string{shard1}},
	}}}
	for range 2 {
		if err := store.Complete(within(), o.scope(), complete); !errors.Is(err, redis.ErrReplicas) {
			t.Fatalf("complete without the replica: %v", err)
		}
	}
	if _, err := o.beat(t); err != nil {
		t.Errorf("a beat waits for no replica: %v", err)
	}
	replica.Release()

	grants, err := store.Acquire(t.Context(), o.scope(), acquire)
	if err != nil || grants[0].Err != nil {
		t.Fatalf("acquire with the replica: %v, %v", grants, err)
	}
	if err := store.Complete(t.Context(), o.scope(), complete); err != nil {
		t.Fatalf("complete with the replica: %v", err)
	}
	c := replica.Client()
	defer func() { _ = c.Close() }() // the test is over
	for name, want := range map[string]string{shard2: string(grants[0].Token), shard1: ""} {
		row, err := c.HGet(t.Context(), "{"+group+"}:o", name).Result()
		if token, _, _ := strings.Cut(row, "|"); err != nil || token != want {
			t.Errorf("the replica has %q of %s, %v", row, name, err)
		}
	}
}

// A script that the server forgot is sent again as a text, and waits as well.
func TestReplicasAreWaitedForAfterTheScriptsAreForgotten(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	replica := redistest.StartReplica(t, primary)
	store := newStore(t, redis.Config{Addr: primary.Addr, ReplicaAcks: 1})
	o := newOne(t, store)
	primary.Do("SCRIPT", "FLUSH")
	replica.Hold()
	defer replica.Release()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := store.Acquire(ctx, o.scope(), lease.Acquire{Session: o.session, First: 2, Names: []string{shard2}}); !errors.Is(err, redis.ErrReplicas) {
		t.Errorf("acquire without the replica: %v", err)
	}
}

// A worker that cannot be sure of a grant starts nothing; what it wrote is taken
// up when the replica is back.
func TestAManagerRunsOnlyWhatReplicasHave(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	replica := redistest.StartReplica(t, primary)
	c := newCrewOn(t, redis.Config{Addr: primary.Addr, ReplicaAcks: 1})
	rows := someRows(4)
	a := c.start("a", rows, untilDrained)
	c.until("start", 5*time.Second, share(map[string]int{"a": 4}))
	replica.Hold()
	a.stop()
	if err := <-a.done; err != nil {
		t.Error(err)
	}
	a.done <- nil
	c.start("b", rows, untilDrained)
	taken := goredis.NewClient(&goredis.Options{Addr: primary.Addr})
	defer func() { _ = taken.Close() }() // the test is over
	deadline := time.Now().Add(10 * time.Second)
	for written := false; !written; { // in the table, but on no replica
		all, err := taken.HGetAll(t.Context(), "{"+group+"}:o").Result()
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("b acquires nothing: %v, %v", all, err)
		}
		for name, row := range all {
			written = written || strings.Contains(name, "shardId") && !strings.HasPrefix(row, "|")
		}
		time.Sleep(5 * time.Millisecond) // between two looks
	}
	c.mu.Lock()
	if len(c.owners) != 0 {
		t.Errorf("runs without a replica: %v", c.owners)
	}
	c.mu.Unlock()
	replica.Release()
	c.until("start with the replica", 10*time.Second, share(map[string]int{"b": 4}))
}

func TestReplicaAcksIsChecked(t *testing.T) {
	if _, err := redis.New(redis.Config{Addr: "127.0.0.1:1", ReplicaAcks: -1}); err == nil || !strings.Contains(err.Error(), "ReplicaAcks is -1") {
		t.Errorf("error %v", err)
	}
}
