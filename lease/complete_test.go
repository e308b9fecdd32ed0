package lease_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// lateAnswer ends shards at once and says so late.
type lateAnswer struct{ *lease.Memory }

func (s lateAnswer) Complete(ctx context.Context, scope checkpoint.Scope, c lease.Completion) error {
	err := s.Memory.Complete(ctx, scope, c)
	time.Sleep(time.Second)
	return err
}

// A beat that shows the end of a shard before its owner was told of it does not
// make it a loss: its runner returns in peace, and so does Run.
func TestAnEndSeenBeforeItsAnswerIsNoLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const stream = "000000000000:us-east-1:orders:1"
		ctx, cancel := context.WithCancel(t.Context())
		var completed error
		m, err := lease.NewManager(lease.Config{
			Store: lateAnswer{lease.NewMemory()}, Group: "g", Streams: []string{stream},
			Discover: func(context.Context, string) ([]lease.Row, error) {
				return []lease.Row{{Name: lease.Name(stream, "shard-0"), Position: checkpoint.Start()}}, nil
			},
			Run: func(ctx context.Context, h *lease.Held) error {
				completed = h.Complete(ctx, nil)
				if ctx.Err() != nil {
					t.Errorf("the runner was cancelled: %v", context.Cause(ctx))
				}
				cancel()
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Run(ctx); err != nil || completed != nil {
			t.Errorf("Run: %v, Complete: %v", err, completed)
		}
	})
}
