//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// inflict begins a fault, which mends itself after its time, unless its target is
// in the hands of another. One that must be waits for it.
func (r *run) inflict(ctx context.Context, f fault) {
	if f.target == "" {
		r.faults.Go(func() {
			c, err := r.fleet.reshard(ctx, f)
			if err != nil { // the server may be away
				r.history.Note(controller, "%v failed: %v", c, err)
				return
			}
			r.history.Note(controller, "%v", c)
			r.add(func(c *counts) { c.Reshards++ })
		})
		return
	}
	p := r.fleet.processes(f.target)[f.index]
	if !f.must && !p.tryClaim() {
		return
	}
	r.faults.Go(func() {
		if f.must {
			p.awaitClaim()
		}
		defer p.free()
		r.history.Note(controller, "%v", f)
		r.abuse(ctx, p, f)
	})
}

// revive starts those again that have ended by themselves, or that could not be
// started: that was told of, and the run goes on to see what else there is.
func (r *run) revive(ctx context.Context) {
	for _, k := range []kind{kindRedis, kindServer, kindWorker, kindProducer} {
		for _, p := range r.fleet.processes(k) {
			if p.up() || !p.tryClaim() {
				continue
			}
			r.faults.Go(func() {
				defer p.free()
				if !p.up() {
					r.restart(ctx, p)
				}
			})
		}
	}
}

// restart starts a process, and notes when that fails.
func (r *run) restart(ctx context.Context, p *process) {
	if err := r.start(ctx, p); err != nil {
		r.history.Note(controller, "%v", err)
		if !errors.Is(err, errGone) { // which was told of
			r.fleet.failed("%v", err)
		}
	}
}

// abuse does f to a process, from beginning to end.
func (r *run) abuse(ctx context.Context, p *process, f fault) {
	switch f.do {
	case actHold:
		_, life := p.life()
		r.history.Held(p.actor(life))
		p.hold()
		r.add(func(c *counts) { c.Holds++ })
		time.Sleep(f.lasts)
		r.history.Resumed(p.actor(life))
		p.resume()
		return
	case actCut:
		r.add(func(c *counts) { c.Cuts++ })
		r.fleet.cables[f.index].cut(f.how)
		time.Sleep(f.lasts)
		r.fleet.cables[f.index].mend(ctx)
		return
	case actFlush, actDelete:
		r.destroy(ctx, f)
		return
	case actFail:
		r.add(func(c *counts) { c.Failovers++ })
		if err := r.failOver(ctx, f); err != nil {
			r.history.Note(controller, "%v: %v", f, err)
			r.fleet.failed("%v: %v", f, err)
		}
		return
	case actDrain:
		r.add(func(c *counts) { c.Drains++ })
		// A worker may not have been able to save, nor a producer to put: Redis or
		// the server may be away.
		if err := r.drain(p); err != nil && !unfinished(err) {
			r.history.Note(controller, "%v: %v", f, err)
			r.fleet.failed("%v", err)
		}
	default:
		r.add(func(c *counts) { c.Kills++ })
		r.kill(p, f)
	}
	time.Sleep(f.lasts)
	r.restart(ctx, p)
}

// drainTime is how long a process may take to end when it was asked to: that of
// its last records or batches, and then some, for others may be away meanwhile.
const drainTime = 30 * time.Second

// drain ends a process in peace. Its error is unfinished when the process ended as
// it was asked to, but left work undone.
func (r *run) drain(p *process) error {
	_, life := p.life()
	err := p.terminate(drainTime)
	if errors.Is(err, errGone) {
		return nil // which was told of
	}
	if err != nil && !unfinished(err) {
		r.history.Crashed(p.actor(life))
	} else {
		r.history.Stopped(p.actor(life))
	}
	switch {
	case unfinished(err):
		return fmt.Errorf("%s was asked to end and left work undone, and its log tells more: %w", p.name, err)
	case err != nil:
		return fmt.Errorf("%s was asked to end, and its log tells more: %w", p.name, err)
	}
	return nil
}

// exitUnfinished is the status of a node that was asked to end and could not
// finish its work; the node command has the same number.
const exitUnfinished = 3

func unfinished(err error) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	return ok && exit.ExitCode() == exitUnfinished
}

// kill kills a process, and tells the history what is lost by that.
func (r *run) kill(p *process, f fault) {
	_, life := p.life()
	at := time.Now()
	p.kill()
	r.history.Crashed(p.actor(life))
	if f.target != kindRedis {
		return
	}
	mode := redisMode(f.how)
	if mode == "" {
		mode = modes[f.draw%uint64(len(modes))]
	}
	if r.fleet.redisMode() == redisEverysec { // as if the power had failed too
		synced, err := r.filed.cut(at.Add(-time.Duration(f.draw % uint64(syncs))))
		if err != nil {
			r.fleet.failed("cut the file of redis: %v", err)
		} else if !synced.IsZero() {
			at = synced
			r.history.Note(controller, "the file of redis is cut to what it had at %s", synced.Format(time.StampMicro))
		}
	}
	r.filed.forget()
	r.changeRedis(at, mode)
}

// syncs is how often Redis syncs a file each second.
const syncs = time.Second

// putOff is for how long Redis may put off writes to a file that is synced each
// second, while a sync takes its time. SIGKILL takes those, and nothing that was
// written.
const putOff = 2 * time.Second

// changeRedis decides how Redis, which was killed, comes back, and tells the
// history what it has lost. Killed is when it was, or what its file was cut to.
func (r *run) changeRedis(killed time.Time, after redisMode) {
	before := r.fleet.redisMode()
	r.fleet.setRedisMode(after)
	switch before {
	case redisAlways:
		r.synced = killed
	case redisEverysec:
		if at := killed.Add(-putOff); at.After(r.restarted) { // else the file is what the former life left
			r.synced = at
		}
	case redisNone: // the file is what another mode left
	}
	r.restarted = time.Now()
	switch {
	case after == redisNone:
		r.lost("all", time.Time{})
	case before != redisAlways:
		r.lost("suffix", r.synced)
	}
	r.history.Note(controller, "redis comes back with append-only file: %s", after)
}

// modes are how Redis comes back, as often as they stand here.
var modes = []redisMode{redisAlways, redisAlways, redisEverysec, redisEverysec, redisNone}

func (r *run) lost(what string, since time.Time) {
	r.history.StoreLost(what, since)
	r.add(func(c *counts) { c.Losses++ })
}
