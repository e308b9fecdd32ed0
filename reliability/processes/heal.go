//go:build unix

package main

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/internal/history/witness"
	"github.com/shardrun/shardrun/lease"
)

// heal ends the load, with the last records of each producer, which nothing keeps
// from being written now, waits until all that is in the stream was handled, ends the
// workers, and reads the truth. Trouble is what does not end as it should.
func (r *run) heal(ctx context.Context) (trouble []string, err error) {
	for _, p := range r.fleet.producers {
		if err := r.drain(p); err != nil {
			trouble = append(trouble, err.Error())
		}
	}
	r.history.Healed()
	healed := time.Now()
	now, err := r.readStream(ctx)
	if err != nil {
		return nil, err
	}
	late, err := r.awaitHandled(ctx, endsOf(now), healed)
	if err != nil {
		return nil, err
	}
	if late != "" {
		trouble = append(trouble, late)
	}
	for _, p := range r.fleet.workers {
		if err := r.drain(p); err != nil {
			trouble = append(trouble, err.Error())
		}
	}
	// What the server answered is there after one more kill.
	r.fleet.server.kill()
	if err := r.fleet.server.start(ctx); err != nil {
		return nil, err
	}
	truth, err := r.readStream(ctx)
	if err != nil {
		return nil, err
	}
	r.history.Stream(truth)
	return append(trouble, r.fleet.unexpected()...), nil
}

// readStream reads the stream while the server is well.
func (r *run) readStream(ctx context.Context) (history.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, 4*clientPatience)
	defer cancel()
	return witness.Stream(ctx, r.fleet.client, streamName)
}

// stall is how long no position may move before the run is taken for stuck.
const stall = 30 * time.Second

// awaitHandled notes the lease table again and again until everything up to ends
// was handled, and for as long as the leases may take to have owners. It says
// what is left when the time is over, or nothing moves any more.
func (r *run) awaitHandled(ctx context.Context, e ends, healed time.Time) (missing string, err error) {
	tick := time.NewTicker(r.cfg.ttl / 6)
	defer tick.Stop()
	moved, before := healed, map[string]checkpoint.Position{}
	for {
		since := time.Since(healed)
		view, err := r.view(ctx)
		if err != nil {
			return "", err
		}
		if now := positions(view); !maps.Equal(now, before) {
			moved, before = time.Now(), now
		}
		missing := e.missing(view, r.counted().Losses > 0)
		switch {
		case missing == "" && since > r.cfg.owned():
			return "", nil
		case missing != "" && time.Since(moved) > stall:
			return fmt.Sprintf("nothing has moved for %v: %s", stall, missing), nil
		case missing != "" && since > r.cfg.settle:
			return fmt.Sprintf("not all was handled within %v: %s", r.cfg.settle, missing), nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// positions are those of all leases, by name.
func positions(view lease.View) map[string]checkpoint.Position {
	out := make(map[string]checkpoint.Position, len(view.Leases))
	for _, l := range view.Leases {
		out[l.Name] = l.Position
	}
	return out
}
