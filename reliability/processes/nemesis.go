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
	// how says which of several ways to do it; "" for any, or the only one.
	how string
	// lasts is how long the process stays away or held.
	lasts time.Duration
	// after is the pause before the next fault.
	after time.Duration
	// draw decides what is left open: which shard, which mode of Redis.
	draw uint64
	// must says that it waits for its target, when another has that.
	must bool
}

func (f fault) String() string {
	if f.target == "" {
		return string(f.do)
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s-%d for %v %s", f.do, f.target, f.index+1, f.lasts.Round(time.Millisecond), f.how))
}

// name is what -only calls the fault.
func (f fault) name() string {
	return strings.Join(slices.DeleteFunc([]string{string(f.do), string(f.target), f.how}, func(s string) bool { return s == "" }), " ")
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

	actCut    act = "cut"       // a worker from Redis
	actFlush  act = "flush"     // FLUSHALL
	actDelete act = "delete"    // one key of the group
	actFail   act = "fail over" // the primary of a Sentinel set is killed, and its last writes are lost
)

// Ways to do things. A Redis that is killed comes back in its mode: [redisAlways],
// [redisEverysec], [redisNone].
const (
	howLong = "long" // for three lease times
	howKey  = "key"

	cutRefused  = "refused"    // connections break, and there are no new ones
	cutHole     = "black hole" // connections stay, and nothing passes until it is mended
	cutHalfOpen = "half open"  // requests pass, answers are lost, and the connections never mend
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
// split the stream, or are those that were asked for, each once, so that the
// shortest run has seen them; then anything goes that was asked for.
type plan struct {
	rng      *rand.Rand
	ttl      time.Duration
	pause    time.Duration // between two faults, about
	count    map[kind]int
	cut      int // workers that can be cut from Redis
	overture []fault
	weights  []weight
}

func newPlan(cfg config) *plan {
	p := &plan{
		rng: rand.New(rand.NewPCG(cfg.seed, 0x5eed)), ttl: cfg.ttl, pause: cfg.pause,
		count: map[kind]int{kindServer: 1, kindRedis: 1, kindWorker: cfg.workers, kindProducer: cfg.producers},
		cut:   wired(cfg.workers),
	}
	chosen := func(w weight) bool { return len(cfg.only) == 0 || slices.Contains(cfg.only, w.name()) }
	for _, w := range weights() {
		if w.fits(cfg.sentinels) && chosen(w) {
			p.weights = append(p.weights, w)
		}
	}
	if len(cfg.only) > 0 {
		for _, w := range p.weights {
			p.overture = append(p.overture, w.fault)
		}
	} else {
		redis := fault{do: actKill, target: kindRedis}
		if cfg.sentinels {
			redis.do = actFail
		}
		p.overture = []fault{{do: actKill, target: kindServer}, redis, {do: actKill, target: kindWorker}, {do: actSplit}}
	}
	p.rng.Shuffle(len(p.overture), func(i, j int) { p.overture[i], p.overture[j] = p.overture[j], p.overture[i] })
	return p
}

// weight says how often a fault is drawn.
type weight struct {
	fault
	times int
	where where
}

// where says which Redis a fault is of.
type where int

const (
	anyRedis where = iota
	oneRedis       // a single server, whose file and whose connections are ours
	setRedis       // a Sentinel set
)

// fits reports whether a run has the fault, in which Redis is a Sentinel set or not.
func (w weight) fits(sentinels bool) bool {
	return w.where == anyRedis || (w.where == setRedis) == sentinels
}

// weights are all faults.
func weights() []weight {
	return []weight{
		{fault{do: actKill, target: kindWorker}, 6, anyRedis},
		{fault{do: actHold, target: kindWorker}, 5, anyRedis},
		{fault{do: actHold, target: kindWorker, how: howLong}, 2, anyRedis},
		{fault{do: actDrain, target: kindWorker}, 4, anyRedis},
		{fault{do: actCut, target: kindWorker, how: cutRefused}, 1, oneRedis},
		{fault{do: actCut, target: kindWorker, how: cutHole}, 1, oneRedis},
		{fault{do: actCut, target: kindWorker, how: cutHalfOpen}, 1, oneRedis},
		{fault{do: actKill, target: kindServer}, 4, anyRedis},
		{fault{do: actHold, target: kindServer}, 2, anyRedis},
		{fault{do: actDrain, target: kindServer}, 1, anyRedis},
		{fault{do: actKill, target: kindRedis}, 2, oneRedis},
		{fault{do: actKill, target: kindRedis, how: string(redisAlways)}, 1, oneRedis},
		{fault{do: actKill, target: kindRedis, how: string(redisEverysec)}, 1, oneRedis},
		{fault{do: actKill, target: kindRedis, how: string(redisNone)}, 1, oneRedis},
		{fault{do: actHold, target: kindRedis}, 3, oneRedis},
		{fault{do: actFlush, target: kindRedis}, 1, anyRedis},
		{fault{do: actDelete, target: kindRedis, how: howKey}, 1, anyRedis},
		{fault{do: actFail, target: kindRedis}, 4, setRedis},
		{fault{do: actKill, target: kindProducer}, 2, anyRedis},
		{fault{do: actHold, target: kindProducer}, 2, anyRedis},
		{fault{do: actDrain, target: kindProducer}, 1, anyRedis},
		{fault{do: actSplit}, 3, anyRedis},
		{fault{do: actMerge}, 3, anyRedis},
		{fault{do: actScale}, 1, anyRedis},
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

// needs reports whether one of these faults is of such a Redis alone.
func needs(names []string, of where) bool {
	return slices.ContainsFunc(weights(), func(w weight) bool { return w.where == of && slices.Contains(names, w.name()) })
}

// next draws a fault.
func (p *plan) next() fault {
	var f fault
	if len(p.overture) > 0 {
		f, p.overture = p.overture[0], p.overture[1:]
		f.must = true
	} else {
		f = p.choose()
	}
	n := p.count[f.target]
	if f.do == actCut {
		n = p.cut
	}
	if n > 0 {
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
	case f.how == howLong:
		return 3 * p.ttl
	case f.do == actFail:
		return between(p.rng, 0, min(2*p.ttl, mostUnreplicated))
	case f.do == actFlush || f.do == actDelete:
		return 0
	case f.target == kindWorker && (f.do == actHold || f.do == actCut):
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
