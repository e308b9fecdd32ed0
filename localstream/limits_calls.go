package localstream

import (
	"sync"
	"time"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// maxCallRates bounds for how many operations of how many accounts calls are
// counted at a time: clients name their account as they like.
const maxCallRates = 4096

// callRates is what is left of the calls that each account may make. The zero
// value is ready.
type callRates struct {
	// mu guards buckets and what is in it.
	mu      sync.Mutex
	buckets map[callKey]*bucket
}

// callKey is what calls are counted by: operation, account and region, and for
// some operations the stream.
type callKey struct {
	operation string
	stream    state.Key // its name is empty for an operation that is not about one
}

// spend counts a call of which there may be so many a second, and reports
// whether this one is within that.
func (r *callRates) spend(key callKey, rate float64, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.buckets[key]
	if b == nil {
		if r.buckets == nil || len(r.buckets) >= maxCallRates {
			r.shrink(now)
		}
		b = &bucket{}
		r.buckets[key] = b
	}
	b.fill(rate, now)
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// shrink forgets the buckets that are full again, which takes them a second,
// or all of them if that is not enough. mu is held.
func (r *callRates) shrink(now time.Time) {
	kept := map[callKey]*bucket{}
	for key, b := range r.buckets {
		if now.Sub(b.at) < time.Second {
			kept[key] = b
		}
	}
	if len(kept) >= maxCallRates {
		clear(kept)
	}
	r.buckets = kept
}

// admit counts the call, where the rates of AWS apply.
func (c *call) admit() error {
	if c.server.cfg.Limits != LimitsAWS || c.op.perSecond == 0 {
		return nil
	}
	if c.server.calls.spend(callKey{c.op.name, state.Key{Scope: c.scope}}, c.op.perSecond, time.Now()) {
		return nil
	}
	return limitExceeded("Rate exceeded for account %s: %s may be called %v times a second.", c.scope.Account, c.op.name, c.op.perSecond)
}

// admitFor counts the call for one stream, where the rates of AWS apply.
func (c *call) admitFor(stream state.Key, perSecond float64) error {
	if c.server.cfg.Limits != LimitsAWS || c.server.calls.spend(callKey{c.op.name, stream}, perSecond, time.Now()) {
		return nil
	}
	return limitExceeded("Rate exceeded for stream %s under account %s.", stream.Name, stream.Account)
}
