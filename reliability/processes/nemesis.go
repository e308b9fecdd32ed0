//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// A fault is one thing that the nemesis does.
type fault struct {
	do act
	// target is the kind of process that it is done to, and index which of
	// them; unused for changes of the stream.
	target kind
	index  int
	// lasts is how long the process stays away or held.
	lasts time.Duration
	// after is the pause before the next fault.
	after time.Duration
	// draw decides what is left open: which shard, which mode of Redis.
	draw uint64
}

func (f fault) String() string {
	if f.target == "" {
		return string(f.do)
	}
	return fmt.Sprintf("%s %s-%d for %v", f.do, f.target, f.index+1, f.lasts.Round(time.Millisecond))
}

// act is a word for what is done.
type act string

const (
	actKill  act = "kill"  // SIGKILL, then a start
	actHold  act = "hold"  // SIGSTOP, then SIGCONT
	actDrain act = "drain" // SIGTERM, then a start
	actSplit act = "split"
	actMerge act = "merge"
	actScale act = "scale"
)

// kind is a word for what a process is.
type kind string

const (
	kindServer   kind = "server"
	kindRedis    kind = "redis"
	kindWorker   kind = "worker"
	kindProducer kind = "producer"
)

// plan draws faults from a seed. The first ones kill a process of each kind, and
// split the stream, so that the shortest run has seen them; then anything goes
// that was asked for.
type plan struct {
	rng      *rand.Rand
	ttl      time.Duration
	pause    time.Duration // between two faults, about
	count    map[kind]int
	overture []fault
	weights  []weight
}

func newPlan(cfg config) *plan {
	p := &plan{
		rng: rand.New(rand.NewPCG(cfg.seed, 0x5eed)), ttl: cfg.ttl, pause: cfg.pause,
		count:   map[kind]int{kindServer: 1, kindRedis: 1, kindWorker: cfg.workers, kindProducer: cfg.producers},
		weights: weights(),
	}
	if len(cfg.only) > 0 {
		p.weights = slices.DeleteFunc(p.weights, func(w weight) bool { return !slices.Contains(cfg.only, w.name()) })
		return p
	}
	p.overture = []fault{
		{do: actKill, target: kindServer}, {do: actKill, target: kindRedis}, {do: actKill, target: kindWorker},
		{do: actSplit},
	}
	p.rng.Shuffle(len(p.overture), func(i, j int) { p.overture[i], p.overture[j] = p.overture[j], p.overture[i] })
	return p
}

// weight says how often a fault is drawn.
type weight struct {
	fault
	times int
}

// name is what -only calls the fault.
func (w weight) name() string { return strings.TrimSpace(string(w.do) + " " + string(w.target)) }

// weights are all faults.
func weights() []weight {
	return []weight{
		{fault{do: actKill, target: kindWorker}, 6},
		{fault{do: actHold, target: kindWorker}, 5},
		{fault{do: actDrain, target: kindWorker}, 4},
		{fault{do: actKill, target: kindServer}, 4},
		{fault{do: actHold, target: kindServer}, 2},
		{fault{do: actDrain, target: kindServer}, 1},
		{fault{do: actKill, target: kindRedis}, 3},
		{fault{do: actHold, target: kindRedis}, 3},
		{fault{do: actKill, target: kindProducer}, 2},
		{fault{do: actHold, target: kindProducer}, 2},
		{fault{do: actDrain, target: kindProducer}, 1},
		{fault{do: actSplit}, 3},
		{fault{do: actMerge}, 3},
		{fault{do: actScale}, 1},
	}
}

// faultNames are what -only takes.
func faultNames() []string {
	var names []string
	for _, w := range weights() {
		names = append(names, w.name())
	}
	return names
}

// next draws a fault.
func (p *plan) next() fault {
	var f fault
	if len(p.overture) > 0 {
		f, p.overture = p.overture[0], p.overture[1:]
	} else {
		f = p.choose()
	}
	if n := p.count[f.target]; n > 0 {
		f.index = p.rng.IntN(n)
	}
	f.lasts = p.lasts(f)
	f.after = between(p.rng, p.pause/5, 3*p.pause/2)
	f.draw = p.rng.Uint64()
	return f
}

func (p *plan) choose() fault {
	total := 0
	for _, w := range p.weights {
		total += w.times
	}
	at := p.rng.IntN(total)
	for _, w := range p.weights {
		if at -= w.times; at < 0 {
			return w.fault
		}
	}
	panic("unreachable: at is below the sum of the weights")
}

// lasts draws how long a fault lasts. A worker that is held for longer than its
// lease wakes up when others have its shards; those that all need, the server and
// Redis, stay away for shorter.
func (p *plan) lasts(f fault) time.Duration {
	switch {
	case f.target == "":
		return 0
	case f.target == kindWorker && f.do == actHold:
		return between(p.rng, p.ttl/4, 3*p.ttl)
	case f.target == kindRedis && f.do == actHold:
		return between(p.rng, p.ttl/10, 2*p.ttl)
	case f.target == kindWorker || f.target == kindProducer:
		return between(p.rng, 0, 2*p.ttl)
	default:
		return between(p.rng, 0, min(p.ttl, p.pause))
	}
}

func between(rng *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(rng.Int64N(int64(high-low)))
}
