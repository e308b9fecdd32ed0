package sim

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// drainTime is how long handlers may take once a worker is told to stop.
func (p *Plan) drainTime() time.Duration { return cmp.Or(p.Drain, 10*time.Second) }

// tell tells a worker to stop.
func (wk *worker) tell() {
	wk.mu.Lock()
	if wk.told.IsZero() {
		wk.told = time.Now()
	}
	wk.mu.Unlock()
	wk.cancel()
}

// toldAt is when the worker was told to stop, zero when it was not.
func (wk *worker) toldAt() time.Time {
	wk.mu.Lock()
	defer wk.mu.Unlock()
	return wk.told
}

// drains tells a worker to stop and waits for it. Where there was no other fault it
// ends without an error, and soon.
func (w *world) drains(wk *worker) {
	began := time.Now()
	wk.tell()
	<-wk.done
	took := time.Since(began)
	if w.storms.lull(but(WorkerDrain)) < took+toRecover {
		return
	}
	w.reach("drained in peace")
	if wk.err != nil {
		w.fail("%s: drained in peace: %v", wk.name, wk.err)
	}
	if took > 2*time.Second {
		w.fail("%s: drained in peace, and takes %v", wk.name, took)
	}
}

// robbedBy notes that a store, by its answer, may have taken leases from a worker,
// so that it can save nothing more of them.
func (wk *worker) robbedBy(err error) {
	for _, reason := range []error{
		checkpoint.ErrFenced, checkpoint.ErrNotFound, lease.ErrReset, lease.ErrStateLost, lease.ErrGone, lease.ErrSuperseded,
	} {
		if errors.Is(err, reason) {
			wk.robbed()
		}
	}
}

func (wk *worker) robbed() {
	wk.mu.Lock()
	defer wk.mu.Unlock()
	wk.lost = true
}

// patient fails the run when a worker that ends gives up positions that it could not
// save, earlier than a lease time after it was told to: the store may be back by
// then. What was taken from it, it cannot save.
func (w *world) patient(wk *worker, err error) {
	wk.mu.Lock()
	told, lost := wk.told, wk.lost
	wk.mu.Unlock()
	if err == nil || !strings.Contains(err.Error(), "were not saved") || lost || told.IsZero() {
		return
	}
	took := time.Since(told)
	forgets := func(name string) bool {
		return slices.Contains([]Fault{RedisSuffix, RedisAll, RedisGone, RedisClock}, Fault(name))
	}
	if w.storms.lull(forgets) < took+2*w.plan.TTL {
		return
	}
	w.reach("drained in a storm")
	if took < w.plan.TTL {
		w.fail("%s gives up positions %v after it was told to stop: %v", wk.name, took, err)
	}
}

// inTime fails the run when a call of a handler that looks at its context is left
// to run for longer than the configuration says.
func (w *world) inTime(wk *worker, d deed) {
	const late = time.Second
	if !wk.node.alive() {
		return
	}
	if most := w.plan.Timeout; most > 0 && time.Since(d.began) > most+late {
		w.fail("%s: a call of the handler may take %v, and takes %v", wk.name, most, time.Since(d.began))
	}
	if told := wk.toldAt(); !told.IsZero() && time.Since(told) > w.plan.drainTime()+late {
		w.fail("%s: a handler goes on %v after the worker was told to stop, and may for %v", wk.name, time.Since(told), w.plan.drainTime())
	}
}
