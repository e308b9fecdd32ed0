package consumer

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Whichever parent of a merged shard is slow, the shard waits for it.
func TestAMergedShardWaitsForEitherParent(t *testing.T) {
	for slow, name := range []string{"the parent", "the adjacent parent"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 2, 0)
				held := make(chan struct{})
				b.h.then = func(_ int, _ context.Context, batch *Batch) error {
					if batch.Shard == b.fake.shards[slow].id {
						<-held
					}
					return nil
				}
				b.fake.put(0, "k", []byte("parent"))
				b.fake.put(1, "k", []byte("adjacent"))
				b.fake.merge(0, 1)
				b.fake.put(2, "k", []byte("child"))
				r := run(t, b.cfg)
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := b.h.got(); strings.Contains(got, "child") {
					t.Errorf("delivered %q while a parent was being handled", got)
				}
				close(held)
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := b.h.got(); !strings.HasSuffix(got, " | child") || strings.Count(got, "|") != 2 {
					t.Errorf("delivered %q, want the child last", got)
				}
				r.stop()
			})
		})
	}
}
