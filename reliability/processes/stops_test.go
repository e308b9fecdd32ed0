//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/lease"
	leaseredis "github.com/shardrun/shardrun/lease/redis"
)

var stops = flag.Int("stops", 6, "how often a worker that holds leases is stopped for three lease times")

// TestNoStaleCheckpointIsAccepted stops workers (SIGSTOP) for three lease times, in
// up to ten groups side by side that share a stream, with the shortest lease time.
// While one is stopped the other takes its leases; what is saved under the former
// tokens then, by whomever, is refused.
func TestNoStaleCheckpointIsAccepted(t *testing.T) {
	if *stops < 1 {
		t.Fatalf("-stops %d: want 1 or more", *stops)
	}
	cfg := config{
		duration: time.Minute, seed: 1, producers: 1, shards: 4, rate: 60, ttl: lease.MinTTL,
		redisServer: redisServer(), programs: programs(t),
	}.withDefaults()
	dir := t.ArtifactDir()
	shared, err := newFleet(t.Context(), cfg, dir, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer shared.killAll()
	if err := errors.Join(shared.startServers(t.Context()), shared.createStream(t.Context())); err != nil {
		t.Fatal(err)
	}
	groups := make([]*stopped, min(10, max(1, *stops/2)))
	for i := range groups {
		rounds := *stops / len(groups)
		if i < *stops%len(groups) {
			rounds++
		}
		g := newStopped(t, cfg, shared, fmt.Sprintf("group-%d", i+1), rounds)
		defer g.close(t)
		groups[i] = g
	}
	if err := shared.producers[0].start(t.Context()); err != nil {
		t.Fatal(err)
	}
	each := func(do func(*stopped) error) {
		var all sync.WaitGroup
		for _, g := range groups {
			all.Go(func() {
				if err := do(g); err != nil {
					t.Errorf("%s: %v", g.fleet.group, err)
				}
			})
		}
		all.Wait()
	}
	begun := time.Now()
	each(func(g *stopped) error { return g.begin(t.Context()) })
	each(func(g *stopped) error { return g.stops(t.Context()) })
	took := time.Since(begun)
	if err := shared.producers[0].terminate(drainTime); err != nil {
		t.Errorf("the producer ended with %v", err)
	}
	each(func(g *stopped) error { return g.end(t.Context()) })
	shared.killAll()

	var sum staleSaves
	rounds, taken, forged := 0, 0, staleSaves{}
	for _, g := range groups {
		sum.refused, sum.accepted = sum.refused+g.stale.refused, sum.accepted+g.stale.accepted
		forged.refused, forged.accepted = forged.refused+g.forged.refused, forged.accepted+g.forged.accepted
		rounds, taken = rounds+g.done, taken+g.taken
	}
	t.Logf("%d rounds in %d groups in %v: in %d all leases were taken; %d stale saves of workers refused, %d accepted; %d forged ones refused, %d accepted",
		rounds, len(groups), took.Round(time.Second), taken, sum.refused, sum.accepted, forged.refused, forged.accepted)
	if sum.accepted+forged.accepted > 0 {
		t.Error("stale checkpoints were accepted")
	}
	if rounds != *stops || taken < rounds*9/10 || forged.refused < taken {
		t.Error("the test tests too little")
	}
}

// stopped is a group of two workers, of which one is stopped at a time.
type stopped struct {
	*run
	rounds, done, taken int
	forged              staleSaves // saves that we sent under former tokens
	stale               staleSaves // those that the workers sent
	producer            *process
}

// newStopped is a group that has not started. Its files are in a directory of its
// own, and its server, Redis and producer are shared.
func newStopped(t *testing.T, cfg config, shared *fleet, group string, rounds int) *stopped {
	t.Helper()
	dir := filepath.Join(shared.dir, group)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r := &run{cfg: cfg, dir: dir}
	r.fleet = &fleet{
		cfg: cfg, dir: dir, endpoint: shared.endpoint, client: shared.client, group: group,
		crashed: func(actor string) { r.history.Crashed(actor) },
	}
	for i := range 2 {
		r.fleet.workers = append(r.fleet.workers, r.fleet.node(t.Context(), "worker", i,
			"-redis", shared.redisAddr, "-group", group, "-lease-ttl", cfg.ttl.String()))
	}
	var err error
	if r.store, err = leaseredis.New(leaseredis.Config{Addr: shared.redisAddr}); err != nil {
		t.Fatal(err)
	}
	if r.file, err = os.Create(filepath.Join(dir, controller+historySuffix)); err != nil {
		t.Fatal(err)
	}
	r.history = history.NewRecorder(r.file)
	return &stopped{run: r, rounds: rounds, producer: shared.producers[0]}
}

func (g *stopped) close(t *testing.T) {
	for _, p := range g.fleet.workers {
		p.kill()
	}
	if err := errors.Join(g.store.Close(), g.history.Err(), g.file.Close()); err != nil {
		t.Error(err)
	}
}

// begin starts the workers.
func (g *stopped) begin(ctx context.Context) error {
	g.history.Started(g.producer.actor(1))
	for _, p := range g.fleet.workers {
		if err := g.start(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (g *stopped) stops(ctx context.Context) error {
	for ; g.done < g.rounds; g.done++ {
		if err := g.stop(ctx); err != nil {
			return fmt.Errorf("round %d: %w", g.done, err)
		}
		if err := g.look(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stop is one round.
func (g *stopped) stop(ctx context.Context) error {
	victim, held, err := g.awaitVictim(ctx)
	if err != nil {
		return err
	}
	_, life := victim.life()
	g.history.Held(victim.actor(life))
	victim.hold()
	until := time.Now().Add(3 * g.cfg.ttl)
	defer func() {
		g.history.Resumed(victim.actor(life))
		victim.resume()
	}()
	var now lease.View
	for gone := 0; gone < len(held) && time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if now, err = g.store.View(ctx, g.fleet.group); err != nil {
			return err
		}
		gone = len(taken(now, held))
	}
	if len(taken(now, held)) == len(held) {
		g.taken++
	}
	time.Sleep(time.Until(until))
	return g.forge(ctx, now.Incarnation, taken(now, held))
}

// awaitVictim waits until both workers live, and returns the one that holds most
// leases, with their tokens.
func (g *stopped) awaitVictim(ctx context.Context) (victim *process, held map[string]checkpoint.Token, err error) {
	err = patiently(ctx, "two workers that live, of which one holds a lease", func(ctx context.Context) error {
		now, err := g.store.View(ctx, g.fleet.group)
		if err != nil {
			return err
		}
		held, victim = nil, nil
		living := 0
		for _, s := range now.Sessions {
			if s.Deadline <= now.Now {
				continue
			}
			living++
			its := map[string]checkpoint.Token{}
			for _, l := range now.Leases {
				if lease.SessionOf(l.Token) == s.ID {
					its[l.Name] = l.Token
				}
			}
			for _, p := range g.fleet.workers {
				if _, life := p.life(); p.actor(life) == s.Name && len(its) > len(held) {
					victim, held = p, its
				}
			}
		}
		if living < 2 || victim == nil {
			return fmt.Errorf("%d live, of %d sessions", living, len(now.Sessions))
		}
		return nil
	})
	return victim, held, err
}

// taken are those of the leases that are held under other tokens now.
func taken(now lease.View, held map[string]checkpoint.Token) map[string]checkpoint.Token {
	out := map[string]checkpoint.Token{}
	for _, l := range now.Leases {
		if old, was := held[l.Name]; was && l.Token != "" && l.Token != old {
			out[l.Name] = old
		}
	}
	return out
}

// forge saves positions under former tokens, ahead of all that there are, as a
// worker would that believed in its lease. The history is not told: if one were
// accepted, the records before it would be missing.
func (g *stopped) forge(ctx context.Context, incarnation string, former map[string]checkpoint.Token) error {
	ahead := checkpoint.At(checkpoint.SequenceNumber(strings.Repeat("9", 56)), 0)
	for name, token := range former {
		out, err := g.store.Save(ctx, checkpoint.Scope{Group: g.fleet.group, Incarnation: incarnation},
			checkpoint.Update{Lease: name, Token: token, Position: ahead})
		switch {
		case err != nil:
			return err
		case out[0].Err == nil:
			g.forged.accepted++
		case errors.Is(out[0].Err, checkpoint.ErrFenced):
			g.forged.refused++
		default:
			return out[0].Err
		}
	}
	return nil
}

// end waits until all is handled, ends the workers, and judges the group.
func (g *stopped) end(ctx context.Context) error {
	g.history.Stopped(g.producer.actor(1))
	g.history.Healed()
	healed := time.Now()
	stream, err := g.readStream(ctx)
	if err != nil {
		return err
	}
	late, err := g.awaitHandled(ctx, endsOf(stream), healed)
	if err != nil {
		return err
	}
	if late != "" {
		g.fleet.failed("%s", late)
	}
	for _, p := range g.fleet.workers {
		if err := g.drain(p); err != nil {
			g.fleet.failed("%v", err)
		}
	}
	dice := rand.New(rand.NewPCG(g.cfg.seed, 0x57095))
	for range 3 { // the checker wants some reads to judge
		if err := g.auditOnce(ctx, dice, healed); err != nil {
			return err
		}
	}
	g.history.Stream(stream)
	producer := lifeName(g.producer.name, 1) + historySuffix
	if err := os.Link(filepath.Join(g.producer.dir, producer), filepath.Join(g.dir, producer)); err != nil {
		return err
	}
	names, err := findHistories(g.dir)
	if err != nil {
		return err
	}
	if g.stale, err = countStale(g.dir, names); err != nil {
		return err
	}
	o, err := judge(g.cfg, g.dir, names)
	if err != nil {
		return err
	}
	if o.trouble = g.fleet.unexpected(); !o.ok() {
		var text bytes.Buffer
		o.print(&text, g.cfg)
		return errors.New(text.String())
	}
	return nil
}
