package lease_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// A fail-over loses that the leases of a new stream were made, which begin at the latest
// record, and with it goes who made them. Another has seen them, and makes them again:
// what arrived since they were made first is not to be skipped.
func TestLeasesThatAFailOverLostAreMadeAgainWhereTheyWere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := lease.NewMemory()
		w := newWorld(t, store, 2)
		latest := func(may *atomic.Bool) func(*lease.Config) {
			return func(c *lease.Config) {
				c.Discover = func(context.Context, string) ([]lease.Row, error) {
					if !may.Load() {
						return nil, errors.New("the service is slow")
					}
					rows := slices.Clone(w.shards)
					for i := range rows {
						rows[i].Position = checkpoint.StartAt(time.Now())
					}
					return rows, nil
				}
				c.Run = func(ctx context.Context, _ *lease.Held) error {
					<-ctx.Done()
					return nil
				}
			}
		}
		positions := func() map[string]checkpoint.Position {
			v, err := store.View(t.Context(), "billing")
			if err != nil {
				t.Fatal(err)
			}
			out := map[string]checkpoint.Position{}
			for _, l := range v.Leases {
				out[l.Name] = l.Position
			}
			return out
		}
		var first, second atomic.Bool
		a := w.start("a", latest(&first))
		w.start("b", latest(&second))
		wait(3 * time.Second)
		failOver := store.Snapshot("billing")
		first.Store(true)
		wait(15 * time.Second) // longer than the longest pause between two tries
		made := positions()
		if len(made) != 2 {
			t.Fatalf("made %v", made)
		}
		a.kill()
		failOver()
		if n := len(positions()); n != 0 {
			t.Fatalf("%d leases after the fail-over", n)
		}
		second.Store(true)
		wait(15 * time.Second)
		again := positions()
		for name, p := range made {
			if q, known := again[name]; !known || q.Rank != checkpoint.RankStart || !q.Since.Equal(p.Since) {
				t.Errorf("%s began at %v; made again, it begins at %v", name, p, q)
			}
		}
	})
}
