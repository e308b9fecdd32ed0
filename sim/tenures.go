package sim

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/shardrun/shardrun/lease"
)

// ownership is whose a lease is.
type ownership struct {
	worker *worker
	died   time.Time // when the worker was killed, zero while it lives
}

// shakes notes that a worker starts or is killed.
func (w *world) shakes() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shaken = time.Now()
}

// acquires notes that a worker acquired a lease.
func (w *world) acquires(wk *worker, name string) {
	w.mu.Lock()
	was, shaken := w.owned[name], w.shaken
	w.owned[name] = ownership{worker: wk}
	w.mu.Unlock()
	if was.worker != nil && was.worker != wk {
		was.worker.robbed()
	}
	if !was.died.IsZero() {
		w.reach("lease of the dead taken")
		w.failsOver(name, shaken)
	}
}

// givesBack notes that a worker has a lease no longer.
func (w *world) givesBack(wk *worker, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.owned[name].worker == wk {
		delete(w.owned, name)
	}
}

// dies notes that a worker is killed.
func (w *world) dies(wk *worker) {
	w.shakes()
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, o := range w.owned {
		if o.worker == wk && o.died.IsZero() {
			o.died = time.Now()
			w.owned[name] = o
		}
	}
}

// failsOver fails the run when the lease of a dead worker is taken late. That is
// judged where nothing else goes wrong, and each worker may take all.
func (w *world) failsOver(name string, shaken time.Time) {
	if p := w.plan; !slices.Equal(p.Faults, []Fault{WorkerCrash}) || p.MaxLeases > 0 {
		return
	}
	// The session lapses, the others see it, and the one that is to take the lease does.
	if took := time.Since(shaken); took > 2*w.plan.TTL+time.Second {
		w.fail("%s of a dead worker is taken after %v", name, took)
	}
}

// orphans fails the run for leases of the dead that nobody took.
func (w *world) orphans() {
	w.mu.Lock()
	owned := maps.Clone(w.owned)
	w.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(owned)) {
		if o := owned[name]; !o.died.IsZero() {
			w.failsOver(name, o.died)
		}
	}
}

// level waits until the leases are shared evenly, as they must be some time after
// the faults: a worker has been told of all others, asked them for leases, and the
// owners have given them back.
func (w *world) level() {
	began := time.Now()
	for {
		v, err := w.observer.View(w.life, "sim")
		why := fmt.Sprint(err)
		if err == nil {
			why = uneven(v)
		}
		if why == "" {
			w.reach("shared evenly")
			return
		}
		if m := w.lastMended(); m.After(began) {
			began = m
		}
		if time.Since(began) > 15*w.plan.TTL+time.Minute {
			w.fail("long after the faults, %s", why)
			return
		}
		if !sleep(w.life, time.Second) {
			return
		}
	}
}

// seats are the living sessions of a table, and how many leases each has.
func seats(v lease.View) (living []lease.Session, count map[string]int) {
	count = map[string]int{}
	for _, s := range v.Sessions {
		if s.Deadline > v.Now {
			living = append(living, s)
		}
	}
	for _, l := range v.Leases {
		if !l.Finished() {
			count[lease.SessionOf(l.Token)]++
		}
	}
	return living, count
}

// uneven says which two workers do not share as they should, "" when all do: no
// lease could go from one to another that has room, so that the two would be
// nearer to their exact shares.
func uneven(v lease.View) string {
	living, count := seats(v)
	share := lease.Plan(lease.Fleet{Leases: v.Leases, Sessions: living, Now: v.Now}).Shares
	above := func(s lease.Session) float64 { return float64(count[s.ID]) - share[s.ID] }
	for _, to := range living {
		if to.State != lease.StateUp || to.MaxLeases > 0 && count[to.ID] >= to.MaxLeases {
			continue
		}
		for _, from := range living {
			if from.State == lease.StateUp && above(from)-above(to) > 1.001 {
				return from.Name + " has more than its share, and " + to.Name + " less"
			}
		}
	}
	return ""
}

// tooMany says who has more leases than it wants, "" for nobody.
func tooMany(v lease.View) string {
	living, count := seats(v)
	for _, s := range living {
		if s.MaxLeases > 0 && count[s.ID] > s.MaxLeases {
			return s.Name
		}
	}
	return ""
}
