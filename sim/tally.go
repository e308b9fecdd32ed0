package sim

import (
	"cmp"
	"errors"
	"math"
	"time"

	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/internal/history/witness"
)

// errStops is inside of each error by which a handler stops its shard.
var errStops = errors.New("the handler wants a person to look")

// trial is what a handler itself saw of one tenure. By it is judged what the
// worker says: how often it tried, and why it gives up or stops.
type trial struct {
	id    history.ID // of the record that the last call came to
	times int        // how often calls came to it, one after the other
	about int        // of how many records the last call says that they fail, if it does
	stops bool       // the last call wants the shard to stop
	free  time.Time  // when the worker had nothing to do any more: the lease was acquired, or the last call ended
}

// mostAttempts is how often a record is tried: by default for ever, where nobody
// takes what is given up.
func (p *Plan) mostAttempts() int {
	if p.GiveUp.Attempts == 0 && p.GiveUp.To == ToNobody {
		return math.MaxInt
	}
	return cmp.Or(p.GiveUp.Attempts, 10)
}

// trial is that of a tenure. mu is held.
func (wk *worker) trial(of tenure) *trial {
	t := wk.trials[of]
	if t == nil {
		t = &trial{free: time.Now()}
		wk.trials[of] = t
	}
	return t
}

// tries notes that a call of the handler came to a record: it begins with it, or
// fails at it.
func (w *world) tries(wk *worker, of tenure, r *consumer.Record) {
	id := witness.ID(r)
	wk.mu.Lock()
	t := wk.trial(of)
	if t.id != id {
		t.id, t.times = id, 0
	}
	t.times++
	t.stops = false
	times := t.times
	wk.mu.Unlock()
	if most := w.plan.mostAttempts(); times > most && wk.node.alive() {
		w.fail("%s: %s is tried for the %dth time, and there are %d attempts", wk.name, id.Sequence, times, most)
	}
}

// blames notes of how many records a call will say that they fail, if it does.
func (wk *worker) blames(of tenure, n int) {
	wk.mu.Lock()
	defer wk.mu.Unlock()
	wk.trial(of).about = n
}

// returns notes that a call of the handler, or of the destination, has ended.
func (wk *worker) returns(of tenure, err error) {
	wk.mu.Lock()
	defer wk.mu.Unlock()
	t := wk.trial(of)
	t.stops, t.free = errors.Is(err, errStops), time.Now()
}

// tried is how often calls came to a record, one after the other, and how many
// failed with it the last time.
func (wk *worker) tried(of tenure, id history.ID) (times, about int) {
	wk.mu.Lock()
	defer wk.mu.Unlock()
	if t := wk.trial(of); t.id == id {
		return t.times, t.about
	}
	return 0, 0
}

// stopsRightly fails the run when a shard stops for nothing: it may when the
// handler says so, and where nobody takes what is given up.
func (w *world) stopsRightly(wk *worker, shard string, cause error) {
	of := wk.holds(shard)
	wk.mu.Lock()
	t := *wk.trial(of)
	wk.mu.Unlock()
	if t.stops || w.plan.GiveUp.To == ToNobody && t.times >= w.plan.mostAttempts() {
		return
	}
	w.fail("%s: %s stops, and nobody said so: %d of %d attempts, given up to %q: %v",
		wk.name, shard, t.times, w.plan.mostAttempts(), w.plan.GiveUp.To, cause)
}

// The time that a record may wait at an idle worker, and how long there must have
// been no fault for that.
const (
	tipLag    = 5 * time.Second
	toRecover = 30 * time.Second
)

// waited fails the run when a call begins late: its first record was there, the
// worker had nothing else to do in the shard, and there was no fault.
func (w *world) waited(wk *worker, of tenure, r *consumer.Record) {
	wk.mu.Lock()
	since := wk.trial(of).free
	wk.mu.Unlock()
	if r.Arrival.After(since) {
		since = r.Arrival
	}
	took := time.Since(since)
	if took > tipLag && w.storms.lull(anyFault) > took+toRecover && wk.node.alive() {
		w.fail("%s: a record of %s is given to an idle worker after %v, and there is no fault", wk.name, of.lease, took)
	}
}
