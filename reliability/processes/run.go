//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
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
	cfg       config
	dir       string
	fleet     *fleet
	store     *leaseredis.Store // to look at the lease table
	history   *history.History
	file      *os.File // of the history
	faults    sync.WaitGroup
	healing   atomic.Bool // the nemesis is done
	filed     *aofSizes
	synced    time.Time // what Redis had answered by then is in its file; for whoever has claimed Redis
	restarted time.Time // when Redis was killed last; likewise

	mu    sync.Mutex // guards count
	count counts
}

// counts are what the nemesis did.
type counts struct {
	Kills    int `json:"kills"`
	Holds    int `json:"holds"`
	Drains   int `json:"drains"`
	Reshards int `json:"reshards"`
	Losses   int `json:"losses_of_the_store"`

	Cuts      int `json:"cuts,omitempty"`      // of a worker from Redis
	Failovers int `json:"failovers,omitempty"` // of a Sentinel set
}

// execute makes a run in its directory, tells progress how far it is, and returns
// what came of it. An error means that it could not be judged.
func execute(ctx context.Context, cfg config, dir string, progress io.Writer) (_ *outcome, err error) {
	file := runOf(cfg)
	if cfg.programs == "" {
		cfg.programs = filepath.Join(dir, "bin")
		if err := buildPrograms(ctx, cfg.programs); err != nil {
			return nil, err
		}
	}
	if err := file.save(dir); err != nil {
		return nil, err
	}
	r := &run{cfg: cfg, dir: dir, filed: &aofSizes{dir: filepath.Join(dir, "redis")}}
	if r.fleet, err = newFleet(ctx, cfg, dir, func(actor string) { r.history.Crashed(actor) }); err != nil {
		return nil, err
	}
	defer r.fleet.killAll()
	client := r.fleet.redisClient()
	defer func() { err = errors.Join(err, client.Close()) }()
	if r.store, err = leaseredis.New(leaseredis.Config{Client: client}); err != nil {
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
	trouble, err := r.play(ctx, progress)
	if err != nil {
		return nil, err
	}
	file.Ended = &totals{Took: inSeconds(time.Since(start)), Counts: r.counted(), Trouble: trouble}
	if file.Ended.Histories, err = findHistories(dir); err != nil {
		return nil, err
	}
	if file.Ended.Events, err = countEvents(dir, file.Ended.Histories); err != nil {
		return nil, err
	}
	if err := file.save(dir); err != nil {
		return nil, err
	}
	fmt.Fprintln(progress, "all processes have ended; judging what they wrote")
	o, err := judge(cfg, dir, file.Ended.Histories)
	if err != nil {
		return nil, err
	}
	o.took, o.counts, o.trouble = file.Ended.Took.duration(), file.Ended.Counts, trouble
	return o, nil
}

// play is the run itself, from the first start to the last end.
func (r *run) play(ctx context.Context, progress io.Writer) (trouble []string, err error) {
	telling, stop := context.WithCancel(ctx)
	var teller sync.WaitGroup
	begun := time.Now()
	teller.Go(func() { r.tell(telling, progress, begun) })
	defer teller.Wait()
	defer stop()
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	if err := r.torment(ctx); err != nil {
		return nil, err
	}
	r.healing.Store(true)
	return r.heal(ctx)
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
	r.faults.Go(func() { r.filed.watch(ctx) })
	plan := newPlan(r.cfg)
	for ctx.Err() == nil {
		f := plan.next()
		r.inflict(context.WithoutCancel(ctx), f)
		r.revive(context.WithoutCancel(ctx))
		if err := r.look(ctx); err != nil {
			r.history.Note(controller, "cannot look at the leases: %v", err)
		}
		select {
		case <-time.After(f.after):
		case <-ctx.Done():
		}
	}
	r.faults.Wait()
	r.revive(context.WithoutCancel(ctx))
	r.faults.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return err // interrupted
	}
	return nil
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
	view, err := r.store.View(ctx, r.fleet.group)
	if err != nil || len(view.Leases) == 0 {
		return view, err
	}
	r.history.Owners(witness.Owners(view))
	return view, nil
}

// clientPatience bounds a call of the run's own client.
const clientPatience = 30 * time.Second
