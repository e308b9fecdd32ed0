package redis_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/redistest"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/lease/redis"
)

// BenchmarkStore is one worker with 1,000 leases on a redis-server over loopback.
func BenchmarkStore(b *testing.B) {
	store, err := redis.New(redis.Config{Addr: redistest.Server(b)})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }() // the benchmark is over
	ctx, session, rows := context.Background(), uuid.NewString(), someRows(1000)
	beat := lease.Beat{
		NewIncarnation: uuid.NewString(), Number: 1, TTL: time.Minute,
		Session: lease.Session{ID: session, Name: "a", State: lease.StateUp, Streams: []string{stream}},
	}
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	v, err := store.Beat(ctx, group, beat)
	must(err)
	scope := checkpoint.Scope{Group: group, Incarnation: v.Incarnation}
	must(store.Create(ctx, scope, lease.Create{Session: session, Stream: stream, Rows: rows}))
	var names []string
	for _, r := range rows {
		names = append(names, r.Name)
	}
	number := uint64(1)
	acquire := func() []lease.Grant {
		grants, err := store.Acquire(ctx, scope, lease.Acquire{Session: session, First: number, Names: names})
		must(err)
		number += uint64(len(names))
		return grants
	}
	grants := acquire()
	for more := true; more; {
		beat.Incarnation, beat.Seen, beat.Number = v.Incarnation, v.Through, beat.Number+1
		v, err = store.Beat(ctx, group, beat)
		must(err)
		more = v.More
	}
	beat.Seen = v.Through

	b.Run("beat without changes", func(b *testing.B) {
		for b.Loop() {
			beat.Number++
			_, err := store.Beat(ctx, group, beat)
			must(err)
		}
	})
	at := 0
	save := func(n int) {
		at++
		var updates []checkpoint.Update
		for i := range n {
			updates = append(updates, checkpoint.Update{
				Lease: names[i], Token: grants[i].Token,
				Position: checkpoint.At(checkpoint.SequenceNumber("49590338271490256608559692538361571095921"+strconv.Itoa(1e6+at)), 0),
			})
		}
		out, err := store.Save(ctx, scope, updates...)
		must(err)
		must(out[n-1].Err)
	}
	b.Run("save 1", func(b *testing.B) {
		for b.Loop() {
			save(1)
		}
	})
	b.Run("save 1000", func(b *testing.B) {
		for b.Loop() {
			save(1000)
		}
	})
	b.Run("view 1000", func(b *testing.B) {
		for b.Loop() {
			_, err := store.View(ctx, group)
			must(err)
		}
	})
	b.Run("acquire 1000", func(b *testing.B) {
		for b.Loop() {
			acquire()
		}
	})
}
