package lease_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

const (
	modelStream = "000000000000:us-east-1:orders:1700000000000"
	modelTTL    = 9 * time.Second
)

// lineage is S1 → a, b; S2 → c, d; b + c → m.
var modelLineage = map[string][]string{
	"S1": nil, "S2": nil, "a": {"S1"}, "b": {"S1"}, "c": {"S2"}, "d": {"S2"}, "m": {"b", "c"},
}

var modelShards = slices.Sorted(maps.Keys(modelLineage))

// script draws the steps of one sequence. It knows what the workers know from the
// model's answers.
type script struct {
	*rand.Rand
	workers      []*actor
	tokens       []held
	epochs       map[string]uint64
	incarnations []string
	made         int // incarnations and sessions named so far
	kept         bool
	queue        []func() step
	lossy        bool // state is lost now and then
	wide         bool // the first set is the whole listing
}

// actor is a session as the script knows it.
type actor struct {
	id, name, incarnation     string
	sent, good, seen, numbers uint64
	stamp                     int64
	named                     bool
}

type held struct {
	name  string
	token checkpoint.Token
}

// draw is a step, or a time that passes.
type draw struct {
	step
	wait time.Duration
}

func newScript(r *rand.Rand) *script {
	g := &script{Rand: r, epochs: map[string]uint64{}, incarnations: []string{"former"}, lossy: r.IntN(3) == 0, wide: r.IntN(3) == 0}
	for _, name := range []string{"a", "b", "c"} {
		g.workers = append(g.workers, g.session(name))
	}
	if g.one(90) { // a group begins
		g.round()
		g.queue = append(g.queue, func() step { return g.create(g.workers[0], g.scope(g.workers[0])) })
	}
	return g
}

func (g *script) session(name string) *actor {
	g.made++
	return &actor{id: fmt.Sprintf("s%d", g.made), name: name}
}

func (g *script) one(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g *script, of []T) T { return of[g.IntN(len(of))] }

func (g *script) lease() string {
	if g.one(3) {
		return lease.Name("000000000000:us-east-1:other:1", "x")
	}
	return lease.Name(modelStream, pick(g, modelShards))
}

func (g *script) leases() []string {
	var out []string
	for _, i := range g.Perm(len(modelShards))[:1+g.IntN(3)] {
		out = append(out, lease.Name(modelStream, modelShards[i]))
	}
	return out
}

func (g *script) position() checkpoint.Position {
	switch g.IntN(6) {
	case 0:
		return checkpoint.Start()
	case 1:
		return checkpoint.StartAt(time.UnixMilli(int64(1000 * (1 + g.IntN(3)))))
	default:
		return checkpoint.At(checkpoint.SequenceNumber(fmt.Sprint(1+g.IntN(150))), uint64(g.IntN(2)))
	}
}

func (g *script) state() []byte {
	if g.one(70) {
		return nil
	}
	return fmt.Appendf(nil, "state %d|\x00", g.IntN(100))
}

// rows are shards of the lineage, with their parents when listed.
func modelRows(at checkpoint.Position, shards ...string) []lease.Row {
	var out []lease.Row
	for _, shard := range shards {
		r := lease.Row{Name: lease.Name(modelStream, shard), Position: at, Shard: lease.Shard{StartingHashKey: "0", EndingHashKey: "9"}}
		for _, p := range modelLineage[shard] {
			r.Shard.Parents = append(r.Shard.Parents, lease.Name(modelStream, p))
		}
		out = append(out, r)
	}
	return out
}

// after are the rows of the children of a lease.
func after(name string) []lease.Row {
	var out []lease.Row
	for _, shard := range modelShards {
		if slices.Contains(modelLineage[shard], lease.ShardOf(name)) {
			out = append(out, modelRows(checkpoint.Start(), shard)...)
		}
	}
	return out
}

func (g *script) token() held {
	if len(g.tokens) == 0 || g.one(3) {
		return held{g.lease(), "s1#77"}
	}
	if g.one(70) { // one of the latest
		return g.tokens[max(len(g.tokens)-1-g.IntN(6), 0)]
	}
	return pick(g, g.tokens)
}

func (g *script) scope(a *actor) checkpoint.Scope {
	s := checkpoint.Scope{Group: modelGroup, Incarnation: a.incarnation}
	switch {
	case g.one(3):
		s.Incarnation = ""
	case g.one(3):
		s.Incarnation = pick(g, g.incarnations)
	}
	return s
}

// round has all workers beat, most of the time.
func (g *script) round() {
	for _, a := range g.workers {
		if g.one(90) {
			g.queue = append(g.queue, func() step { return g.beat(a) })
		}
	}
}

// next draws the next step.
func (g *script) next() draw {
	if len(g.queue) > 0 {
		first := g.queue[0]
		g.queue = g.queue[1:]
		return draw{step: first()}
	}
	if g.one(25) {
		if g.one(60) {
			g.round()
		}
		return draw{wait: pick(g, []time.Duration{time.Millisecond, 700 * time.Millisecond, modelTTL / 3, modelTTL / 3, modelTTL / 2, modelTTL})}
	}
	a := pick(g, g.workers)
	scope := g.scope(a)
	var s step
	switch n := g.IntN(103); {
	case n < 22:
		s = g.beat(a)
	case n < 40:
		s = g.acquire(a, scope)
	case n < 57:
		s = g.save(scope)
	case n < 64:
		h := g.token()
		c := lease.Completion{Name: h.name, Token: h.token, Children: after(h.name)}
		s = call("complete", c, func(ctx context.Context, b backend) error { return b.Complete(ctx, scope, c) })
	case n < 68:
		s = g.create(a, scope)
	case n < 71:
		r := lease.Request{Session: a.id, For: pick(g, []time.Duration{time.Second, modelTTL}), Names: g.leases()}
		s = calls("request", r, func(ctx context.Context, b backend) ([]error, error) { return b.Request(ctx, scope, r) })
	case n < 73:
		h := g.token()
		r := lease.Refusal{Name: h.name, Token: h.token, Session: pick(g, g.workers).id}
		s = call("refuse", r, func(ctx context.Context, b backend) error { return b.Refuse(ctx, scope, r) })
	case n < 76:
		s = g.leave(a, scope)
	case n < 80:
		s = g.seed(scope)
	case n < 90:
		s = g.mend(scope)
	case n < 96:
		s = g.byHand(scope)
	case n < 98:
		s = g.read()
	case n < 100:
		s = g.harm()
	default: // of what is held, as the plan does
		r := lease.Request{Session: a.id, For: modelTTL, Names: []string{g.token().name}}
		s = calls("request", r, func(ctx context.Context, b backend) ([]error, error) { return b.Request(ctx, scope, r) })
	}
	return draw{step: s}
}

func (g *script) beat(a *actor) step {
	if g.one(4) { // a new start under the name, or the worker wakes after a long sleep
		*a = *g.session(a.name)
	}
	g.made++
	a.sent++
	b := lease.Beat{
		Incarnation: a.incarnation, NewIncarnation: fmt.Sprintf("inc%d", g.made), TTL: modelTTL,
		First: !a.named, Number: a.sent, Good: a.good, Stamp: a.stamp, Seen: a.seen,
		Session: lease.Session{ID: a.id, Name: a.name, State: lease.StateUp, Streams: []string{modelStream}, Load: float64(g.IntN(2))},
	}
	switch g.IntN(40) {
	case 0:
		b.Incarnation = pick(g, g.incarnations)
	case 1:
		b.Number -= min(g.Uint64N(3), b.Number-1) // it is late
	case 2:
		b.Good++
	case 3:
		b.Session.State = lease.StateDrain
	case 4, 5, 6:
		b.Seen = min(b.Seen, 1+g.Uint64N(5))
	case 7:
		b.Stamp++
	case 8:
		b.First = !b.First
	}
	return step{kind: "beat", what: fmt.Sprintf("beat %+v", b), do: func(ctx context.Context, be backend) string {
		v, err := be.Beat(ctx, modelGroup, b)
		if _, model := be.(*memoryBackend); model {
			g.told(a, b, v, err)
		}
		return answer(viewText(v), err)
	}}
}

// told is what a worker learns from a beat.
func (g *script) told(a *actor, b lease.Beat, v lease.View, err error) {
	switch {
	case err == nil:
		a.incarnation, a.named, a.good, a.stamp, a.seen = v.Incarnation, true, b.Number, v.Stamp, v.Through
		if !slices.Contains(g.incarnations, v.Incarnation) {
			g.incarnations = append(g.incarnations, v.Incarnation)
		}
		for _, l := range v.Leases {
			g.epochs[l.Name] = l.Epoch
		}
	case errors.Is(err, lease.ErrReset), errors.Is(err, lease.ErrStateLost):
		a.incarnation, a.good, a.stamp, a.seen = v.Incarnation, 0, 0, 0
	case errors.Is(err, lease.ErrRegressed):
		a.good, a.stamp, a.seen = 0, 0, 0
	case errors.Is(err, lease.ErrResync):
		a.seen = 0
	case errors.Is(err, lease.ErrGone):
		inc := a.incarnation
		*a = *g.session(a.name)
		a.incarnation = inc
	}
}

func (g *script) create(a *actor, scope checkpoint.Scope) step {
	c := lease.Create{Session: a.id, Stream: modelStream, Rows: modelRows(g.position(), "S1", "S2")}
	if g.wide {
		c.Rows = modelRows(checkpoint.Start(), modelShards...)
	}
	return call("create", c, func(ctx context.Context, b backend) error { return b.Create(ctx, scope, c) })
}

func (g *script) acquire(a *actor, scope checkpoint.Scope) step {
	q := lease.Acquire{Session: a.id, First: a.numbers + 1, Names: g.leases()}
	if g.one(10) {
		q.First = max(a.numbers, 1)
	} else {
		a.numbers += uint64(len(q.Names))
	}
	return step{kind: "acquire", what: fmt.Sprintf("acquire %+v in %q", q, scope.Incarnation), do: func(ctx context.Context, b backend) string {
		grants, err := b.Acquire(ctx, scope, q)
		var out []string
		for i, r := range grants {
			out = append(out, answer(grantText(r), r.Err))
			if _, model := b.(*memoryBackend); model && r.Err == nil {
				g.tokens = append(g.tokens, held{q.Names[i], r.Token})
				g.epochs[q.Names[i]] = r.Epoch
			}
		}
		return answers(out, err)
	}}
}

func (g *script) save(scope checkpoint.Scope) step {
	var updates []checkpoint.Update
	for range 1 + g.IntN(2) {
		h := g.token()
		updates = append(updates, checkpoint.Update{
			Lease: h.name, Token: h.token, Position: g.position(), Counter: uint64(g.IntN(3)), Weight: uint8(g.IntN(3)),
			State: g.state(), Release: g.one(25),
		})
	}
	return step{kind: "save", what: fmt.Sprintf("save %+v in %q", updates, scope.Incarnation), do: func(ctx context.Context, b backend) string {
		outcomes, err := b.Save(ctx, scope, updates...)
		var out []string
		for _, o := range outcomes {
			out = append(out, answer(o.Position.String(), o.Err))
		}
		return answers(out, err)
	}}
}

func (g *script) leave(a *actor, scope checkpoint.Scope) step {
	id := a.id
	if g.one(50) { // time to say goodbye
		return call("bye", id, func(ctx context.Context, b backend) error { return b.Bye(ctx, scope, id) })
	}
	*a = *g.session(a.name)
	return g.beat(a)
}

func (g *script) seed(scope checkpoint.Scope) step {
	s := lease.Seed{From: pick(g, g.incarnations), Paused: g.one(10)}
	for _, name := range g.leases() {
		r := lease.Remembered{Name: name, Weight: uint8(g.IntN(3)), Epoch: uint64(g.IntN(3)), Shard: modelRows(checkpoint.Start(), lease.ShardOf(name))[0].Shard}
		r.Entry = checkpoint.Entry{Position: g.position(), Counter: uint64(g.IntN(3)), State: g.state()}
		if g.one(60) { // most are of one generation
			r.Shard.Generation = 2
		} else if g.one(30) {
			r.Shard.Generation = int64(1 + g.IntN(3))
		}
		if g.one(20) {
			r.Entry.Position = checkpoint.ShardEnd()
		}
		if g.one(20) {
			r.Entry.Inherited = map[string][]byte{g.lease(): []byte("left")}
		}
		if g.one(20) {
			r.Flags = pick(g, []string{lease.FlagPaused, lease.FlagStopped("v1"), "paused,stopped:v2"})
		}
		s.Rows = append(s.Rows, r)
	}
	return call("seed", s, func(ctx context.Context, b backend) error { return b.Seed(ctx, scope, s) })
}

// mend is an adoption, a retirement or a collection.
func (g *script) mend(scope checkpoint.Scope) step {
	switch g.IntN(3) {
	case 0:
		a := lease.Adoption{Stream: modelStream, Rows: modelRows(checkpoint.Start(), modelShards[g.IntN(len(modelShards)):]...)}
		return call("adopt", a, func(ctx context.Context, b backend) error { return b.Adopt(ctx, scope, a) })
	case 1:
		name := g.lease()
		r := lease.Retirement{Name: name, Children: after(name)}
		return call("retire", r, func(ctx context.Context, b backend) error { return b.Retire(ctx, scope, r) })
	default:
		c := lease.Collection{Names: g.leases(), Deleted: g.one(5)}
		return calls("collect", c, func(ctx context.Context, b backend) ([]error, error) { return b.Collect(ctx, scope, c) })
	}
}

// byHand is what an operator does, or an owner that stops.
func (g *script) byHand(scope checkpoint.Scope) step {
	switch g.IntN(4) {
	case 0:
		on := g.one(40)
		return call("pause", on, func(ctx context.Context, b backend) error { return b.Pause(ctx, scope, on) })
	case 1, 2:
		name := g.token().name
		r := lease.Reset{Name: name, Position: g.position(), Epoch: g.epochs[name], Ended: g.one(50), Forced: g.one(70)}
		if g.one(20) {
			r.Epoch++
		}
		return call("reset", r, func(ctx context.Context, b backend) error { return b.Reset(ctx, scope, r) })
	default:
		m := lease.Mark{Name: g.lease(), Flag: pick(g, []string{lease.FlagPaused, lease.FlagStopped("v1"), lease.FlagStopped("v2")}), Off: g.one(60)}
		if g.one(50) {
			h := g.token()
			m.Name, m.Token = h.name, h.token
		}
		return call("mark", m, func(ctx context.Context, b backend) error { return b.Mark(ctx, scope, m) })
	}
}

func (g *script) read() step {
	if g.one(60) {
		return step{kind: "view", what: "view", do: func(ctx context.Context, b backend) string {
			v, err := b.View(ctx, modelGroup)
			return answer(viewText(v), err)
		}}
	}
	names := g.leases()
	return step{kind: "load", what: fmt.Sprint("load ", names), do: func(ctx context.Context, b backend) string {
		all, err := b.Load(ctx, modelGroup, names...)
		var out []string
		for _, name := range slices.Sorted(maps.Keys(all)) {
			out = append(out, name+" "+entryText(all[name]))
		}
		return answer(strings.Join(out, ", "), err)
	}}
}

func (g *script) harm() step {
	switch {
	case !g.lossy:
		return g.read()
	case !g.kept || g.one(50):
		g.kept = true
		return step{kind: "keep", what: "keep the state", do: func(ctx context.Context, b backend) string { b.keep(ctx); return "ok" }}
	case g.one(50):
		return step{kind: "fail over", what: "fall back to the state that was kept", do: func(ctx context.Context, b backend) string { b.fallBack(ctx); return "ok" }}
	}
	return step{kind: "lose", what: "lose the state", do: func(ctx context.Context, b backend) string { b.lose(ctx); return "ok" }}
}

// call is a step with one answer, and calls one with several.
func call(kind string, arg any, do func(ctx context.Context, b backend) error) step {
	return step{kind: kind, what: fmt.Sprintf("%s %+v", kind, arg), do: func(ctx context.Context, b backend) string {
		return answer("", do(ctx, b))
	}}
}

func calls(kind string, arg any, do func(ctx context.Context, b backend) ([]error, error)) step {
	return step{kind: kind, what: fmt.Sprintf("%s %+v", kind, arg), do: func(ctx context.Context, b backend) string {
		errs, err := do(ctx, b)
		var out []string
		for _, e := range errs {
			out = append(out, answer("", e))
		}
		return answers(out, err)
	}}
}
