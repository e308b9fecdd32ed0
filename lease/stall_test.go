package lease

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"
)

// A worker that stalled over the end of its term may wake to the good answer of a
// beat that it sent before. What ran in the old term ends all the same: a runner that
// started after the beat was sent is not in its answer, so nothing tells whether
// another worker has its lease.
func TestAGoodBeatAfterTheEndOfTheTermCancelsRunners(t *testing.T) {
	const ttl = 10 * time.Second
	r := newRun(Config{Store: NewMemory(), Group: "billing", WorkerName: "a", Logger: zap.NewNop()}.withDefaults())
	ctx, cancel := context.WithCancelCause(t.Context())
	r.ctx, r.scope.Incarnation, r.sent = t.Context(), "incarnation", 7
	h := newHeld(Lease{Name: "stream/shard"}, Grant{Token: "session#1"}, r.scope, r.cfg.Store, r.saver, r.term, r.log)
	h.cancel = cancel
	r.tenures["stream/shard"] = &tenure{Held: h, since: 7, running: true}
	now := time.Now()
	r.term.renew(now.Add(-95*ttl/100), ttl)
	r.beatStart = now.Add(-ttl / 10)
	r.answered(7, Beat{}, View{Incarnation: "incarnation", TTL: ttl}, nil, now)
	if err := context.Cause(ctx); !errors.Is(err, ErrLost) {
		t.Errorf("the runner's context says %v, want ErrLost", err)
	}
	if r.paused {
		t.Error("after a good beat the worker is paused")
	}
}
