package leases

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/bench/peers"
	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/lease/redis"
)

const stream = "000000000000:us-east-1:orders:1700000000000"

// leaseTime is longer than any row takes: nobody lapses, and nobody is near to it.
const leaseTime = 5 * time.Minute

// table is a group with leases, and one worker of it.
type table struct {
	addr   string
	store  *redis.Store
	scope  checkpoint.Scope
	beat   lease.Beat
	names  []string
	number uint64 // of the last token
	saved  int    // counts saves
}

// newTable starts a Redis and makes a group without leases in it.
func newTable(ctx context.Context, env *harness.Env) (*table, error) {
	_, addr, err := peers.Redis(ctx, env, "everysec")
	if err != nil {
		return nil, err
	}
	store, err := redis.New(redis.Config{Addr: addr})
	if err != nil {
		return nil, err
	}
	t := &table{addr: addr, store: store}
	return t, t.begin(ctx)
}

// begin makes a new group.
func (t *table) begin(ctx context.Context) error {
	t.scope = checkpoint.Scope{Group: "bench-" + uuid.NewString()}
	t.names, t.number = nil, 0
	var err error
	t.beat, err = t.join(ctx)
	t.scope.Incarnation = t.beat.Incarnation
	return err
}

// join adds a worker, and returns its last beat.
func (t *table) join(ctx context.Context) (lease.Beat, error) {
	id := uuid.NewString()
	b := lease.Beat{
		Incarnation: t.scope.Incarnation, NewIncarnation: uuid.NewString(), Number: 1, TTL: leaseTime,
		Session: lease.Session{ID: id, Name: id, State: lease.StateUp, Streams: []string{stream}},
	}
	v, err := t.store.Beat(ctx, t.scope.Group, b)
	b.Incarnation, b.Seen = v.Incarnation, v.Through
	return b, err
}

// create makes n leases, as a stream of n shards has.
func (t *table) create(ctx context.Context, n int) error {
	var rows []lease.Row
	for i, r := range hashkey.Split(n) {
		rows = append(rows, lease.Row{
			Name:  lease.Name(stream, fmt.Sprintf("shardId-%012d", i)),
			Shard: lease.Shard{StartingHashKey: r.Start.String(), EndingHashKey: r.End.String()},
		})
	}
	t.names = nil
	for _, r := range rows {
		t.names = append(t.names, r.Name)
	}
	return t.store.Create(ctx, t.scope, lease.Create{Session: t.beat.Session.ID, Stream: stream, Rows: rows})
}

// acquire takes leases for a worker.
func (t *table) acquire(ctx context.Context, session string, names ...string) ([]lease.Grant, error) {
	grants, err := t.store.Acquire(ctx, t.scope, lease.Acquire{Session: session, First: t.number + 1, Names: names})
	t.number += uint64(len(names))
	for _, g := range grants {
		err = errors.Join(err, g.Err)
	}
	return grants, err
}

// renew beats, until the worker has seen all changes.
func (t *table) renew(ctx context.Context) error {
	for {
		t.beat.Number++
		v, err := t.store.Beat(ctx, t.scope.Group, t.beat)
		t.beat.Seen = v.Through
		if err != nil || !v.More {
			return err
		}
	}
}

// save saves a new position of the first leases.
func (t *table) save(ctx context.Context, grants []lease.Grant, release bool) error {
	t.saved++
	at := checkpoint.SequenceNumber("49590338271490256608559692538361571095921" + strconv.Itoa(1_000_000+t.saved))
	updates := make([]checkpoint.Update, len(grants))
	for i, g := range grants {
		updates[i] = checkpoint.Update{Lease: t.names[i], Token: g.Token, Position: checkpoint.At(at, 0), Release: release}
	}
	outcomes, err := t.store.Save(ctx, t.scope, updates...)
	for _, o := range outcomes {
		err = errors.Join(err, o.Err)
	}
	return err
}
