package lease_test

import (
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/shardrun/shardrun/lease"
)

// A worker that makes no leases because its group is paused says so, once in each pause.
func TestAWorkerSaysThatAPauseKeepsItFromMakingLeases(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		core, logs := observer.New(zap.WarnLevel)
		w.start("a", func(c *lease.Config) { c.Logger = zap.New(core) })
		wait(time.Minute)
		for n := 1; n <= 2; n++ {
			w.pause(true)
			wait(time.Minute)
			if told := logs.FilterMessageSnippet("have no leases").Len(); told != n-1 {
				t.Errorf("told %d times in pause %d with leases", told, n)
			}
			if _, err := w.store.Collect(t.Context(), w.scope(), lease.Collection{Names: []string{lease.Name(stream, "shard-000")}, Deleted: true}); err != nil {
				t.Fatal(err)
			}
			wait(time.Minute)
			if told := logs.FilterMessageSnippet("have no leases").Len(); told != n {
				t.Errorf("told %d times in pause %d without leases", told, n)
			}
			w.pause(false)
			wait(time.Minute)
			if len(w.owners()) != 1 {
				t.Fatalf("held after pause %d: %v", n, w.owners())
			}
		}
	})
}
