//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/internal/history/witness"
	"github.com/shardrun/shardrun/lease"
	leaseredis "github.com/shardrun/shardrun/lease/redis"
)

// controller is the actor of the history that tells what the nemesis did.
const controller = "nemesis"

// run is one run.
type run struct {
	cfg     config
	dir     string
	fleet   *fleet
	store   *leaseredis.Store // to look at the lease table
	history *history.History
	file    *os.File // of the history
	faults  sync.WaitGroup
	filed   time.Time // what Redis had answered by then is in its file; for whoever has claimed Redis

	mu    sync.Mutex // guards count
	count counts
}

// counts are what the nemesis did.
type counts struct {
	kills, holds, drains, reshards, losses int
}

// execute makes a run in its directory, and returns what came of it. An error
// means that it could not be judged.
func execute(ctx context.Context, cfg config, dir string) (_ *outcome, err error) {
	if cfg.programs == "" {
		cfg.programs = filepath.Join(dir, "bin")
		if err := os.Mkdir(cfg.programs, 0o755); err != nil {
			return nil, err
		}
		if err := buildPrograms(ctx, cfg.programs); err != nil {
			return nil, err
		}
	}
	r := &run{cfg: cfg, dir: dir}
	if r.fleet, err = newFleet(ctx, cfg, dir); err != nil {
		return nil, err
	}
	defer r.fleet.killAll()
	if r.store, err = leaseredis.New(leaseredis.Config{Addr: r.fleet.redisAddr}); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.store.Close()) }()
	r.file, err = os.OpenFile(filepath.Join(dir, controller+historySuffix), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	r.history = history.NewRecorder(r.file)
	defer func() { err = errors.Join(err, r.history.Err(), r.file.Close()) }()

	start := time.Now()
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	if err := r.torment(ctx); err != nil {
		return nil, err
	}
	trouble, err := r.heal(ctx)
	if err != nil {
		return nil, err
	}
	took := time.Since(start)
	o, err := judge(cfg, dir)
	if err != nil {
		return nil, err
	}
	o.took, o.counts, o.trouble = took, r.counted(), trouble
	return o, nil
}

// begin starts everything.
func (r *run) begin(ctx context.Context) error {
	if err := r.fleet.startServers(ctx); err != nil {
		return err
	}
	if err := r.fleet.createStream(ctx); err != nil {
		return fmt.Errorf("create the stream: %w", err)
	}
	for _, k := range []kind{kindWorker, kindProducer} {
		for _, p := range r.fleet.processes(k) {
			if err := r.start(ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// start starts a process and tells the history.
func (r *run) start(ctx context.Context, p *process) error {
	_, lives := p.life()
	r.history.Started(p.actor(lives + 1))
	return p.start(ctx)
}

// torment lets the nemesis do what it draws until the time is over, and everything
// that it did is mended.
func (r *run) torment(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.duration)
	defer cancel()
	r.faults.Go(func() { r.audit(ctx) })
	plan := newPlan(r.cfg)
	for ctx.Err() == nil {
		f := plan.next()
		r.inflict(context.WithoutCancel(ctx), f)
		if err := r.look(ctx); err != nil {
			r.history.Note(controller, "cannot look at the leases: %v", err)
		}
		select {
		case <-time.After(f.after):
		case <-ctx.Done():
		}
	}
	r.faults.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return err // interrupted
	}
	return nil
}

// inflict begins a fault, which mends itself after its time, unless its target is
// in the hands of another.
func (r *run) inflict(ctx context.Context, f fault) {
	if f.target == "" {
		r.faults.Go(func() {
			c, err := r.fleet.reshard(ctx, f)
			r.history.Note(controller, "%v: %v", c, err)
			r.add(func(c *counts) { c.reshards++ })
		})
		return
	}
	p := r.fleet.processes(f.target)[f.index]
	if !p.tryClaim() {
		return
	}
	r.faults.Go(func() {
		defer p.free()
		r.history.Note(controller, "%v", f)
		if err := r.abuse(ctx, p, f); err != nil {
			r.history.Note(controller, "%v: %v", f, err)
			r.fleet.died(p.name, err)
		}
	})
}

// abuse does f to a process, from beginning to end.
func (r *run) abuse(ctx context.Context, p *process, f fault) error {
	switch f.do {
	case actHold:
		_, life := p.life()
		r.history.Held(p.actor(life))
		p.hold()
		r.add(func(c *counts) { c.holds++ })
		time.Sleep(f.lasts)
		r.history.Resumed(p.actor(life))
		p.resume()
		return nil
	case actDrain:
		r.add(func(c *counts) { c.drains++ })
		// A worker may not have been able to save: Redis may be away.
		if err := r.drain(p); err != nil && !unfinished(err) {
			return err
		}
	default:
		r.add(func(c *counts) { c.kills++ })
		r.kill(p, f)
	}
	time.Sleep(f.lasts)
	return r.start(ctx, p)
}

// drainTime is how long a process may take to end when it was asked to: that of
// its last records or batches, and then some, for others may be away meanwhile.
const drainTime = 30 * time.Second

// drain ends a process in peace. Its error is unfinished when the process ended as
// it was asked to, but left work undone.
func (r *run) drain(p *process) error {
	_, life := p.life()
	err := p.terminate(drainTime)
	if err != nil && !unfinished(err) {
		r.history.Crashed(p.actor(life))
	} else {
		r.history.Stopped(p.actor(life))
	}
	if err != nil {
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
	if f.target == kindRedis {
		r.changeRedis(at, modes[f.draw%uint64(len(modes))])
	}
}

// putOff is for how long Redis may put off writes to a file that is synced each
// second, while a sync takes its time. SIGKILL takes those, and nothing that was
// written.
const putOff = 2 * time.Second

// changeRedis decides how Redis, which was killed, comes back, and tells the
// history what it has lost.
func (r *run) changeRedis(killed time.Time, after redisMode) {
	before := r.fleet.redisMode()
	r.fleet.setRedisMode(after)
	switch before {
	case redisAlways:
		r.filed = killed
	case redisEverysec:
		r.filed = killed.Add(-putOff)
	case redisNone: // the file is what another mode left
	}
	switch {
	case after == redisNone:
		r.lost("all", time.Time{})
	case before != redisAlways:
		r.lost("suffix", r.filed)
	}
	r.history.Note(controller, "redis comes back with append-only file: %s", after)
}

// modes are how Redis comes back, as often as they stand here.
var modes = []redisMode{redisAlways, redisAlways, redisEverysec, redisEverysec, redisNone}

func (r *run) lost(what string, since time.Time) {
	r.history.StoreLost(what, since)
	r.add(func(c *counts) { c.losses++ })
}

// counted is what the nemesis has done so far.
func (r *run) counted() counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

func (r *run) add(f func(*counts)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.count)
}

// look notes the lease table, once it is complete.
func (r *run) look(ctx context.Context) error {
	_, err := r.view(ctx)
	return err
}

// view reads the lease table and notes it.
func (r *run) view(ctx context.Context) (lease.View, error) {
	ctx, cancel := context.WithTimeout(ctx, clientPatience)
	defer cancel()
	view, err := r.store.View(ctx, groupName)
	if err != nil || len(view.Leases) == 0 {
		return view, err
	}
	r.history.Owners(witness.Owners(view))
	return view, nil
}

// clientPatience bounds a call of the run's own client.
const clientPatience = 30 * time.Second
