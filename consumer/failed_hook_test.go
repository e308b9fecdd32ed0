package consumer

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/lease"
)

// A store that is read in the hook has no position behind the records that were
// given up: a worker that dies there delivers them again, and counts them again.
func TestFailedIsToldBeforeThePositionIsSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 3)
		b.cfg.MaxAttempts, b.cfg.OnFailure = 1, Drop
		b.cfg.CheckpointInterval = time.Millisecond
		b.h.then = func(int, context.Context, *Batch) error { return errBoom }
		told := 0
		b.cfg.Hooks.Failed = func(f *Failure) {
			told += len(f.Records)
			time.Sleep(time.Second) // whatever is to be saved by now is
			name := lease.Name("123456789012:eu-central-1:orders:1700000000000", f.Shard)
			entries, err := b.store.Load(t.Context(), "test", name)
			if err != nil {
				t.Error(err)
			}
			if at, first := entries[name].Position, f.Records[0].Position(); at.Compare(first) >= 0 {
				t.Errorf("position %v is saved before %v is told to have failed", at, first)
			}
		}
		b.runs(10 * time.Second)
		if told != 3 {
			t.Errorf("%d records told, want 3", told)
		}
		b.wantPosition("103:0")
	})
}
