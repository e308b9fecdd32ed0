//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
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
	o.took, o.counts, o.trouble = took, r.count, trouble // the nemesis has ended
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
		p.hold()
		r.add(func(c *counts) { c.holds++ })
		time.Sleep(f.lasts)
		p.resume()
		return nil
	case actDrain:
		r.add(func(c *counts) { c.drains++ })
		if err := r.drain(p); err != nil {
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

// drain ends a process in peace.
func (r *run) drain(p *process) error {
	_, life := p.life()
	if err := p.terminate(drainTime); err != nil {
		r.history.Crashed(p.actor(life))
		return fmt.Errorf("%s was asked to end: %w", p.name, err)
	}
	r.history.Stopped(p.actor(life))
	return nil
}

// kill kills a process, and tells the history what is lost by that.
func (r *run) kill(p *process, f fault) {
	_, life := p.life()
	p.kill()
	r.history.Crashed(p.actor(life))
	if f.target != kindRedis {
		return
	}
	// SIGKILL takes nothing that was written to the file. But with everysec
	// Redis may put writes off while a sync runs, and what one mode kept another
	// does not have.
	before, after := r.fleet.redisMode(), modes[f.draw%uint64(len(modes))]
	r.fleet.setRedisMode(after)
	switch {
	case after == redisNone:
		r.lost("all")
	case before != redisAlways:
		r.lost("suffix")
	}
	r.history.Note(controller, "redis comes back with append-only file: %s", after)
}

// modes are how Redis comes back, as often as they stand here.
var modes = []redisMode{redisAlways, redisAlways, redisEverysec, redisEverysec, redisNone}

func (r *run) lost(what string) {
	r.history.StoreLost(what)
	r.add(func(c *counts) { c.losses++ })
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
