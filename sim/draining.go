package sim

import (
	"cmp"
	"time"
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
