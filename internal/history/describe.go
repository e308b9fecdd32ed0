package history

import (
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/shardrun/shardrun/checkpoint"
)

// describer tells events in words.
type describer struct {
	t     *trace
	seq   func(string) string // how sequence numbers are shown
	epoch func(string) string // and epochs
	begin int64               // from when on times are told, in Unix nanoseconds
	whole bool                // with all there is to compare, and nothing random

	actor, text []byte
}

func (b *describer) say(format string, args ...any) { b.text = fmt.Appendf(b.text, format, args...) }

// by names the actor.
func (b *describer) by(name uint32) { b.actor = append(b.actor, b.t.text(name)...) }

func (b *describer) describe(ev event) {
	t := b.t
	switch ev.kind {
	case kindPut:
		p := t.puts[ev.i]
		b.by(p.producer)
		b.say("puts %s", b.record(p.key, p.hash, p.sum))
	case kindEnd:
		b.end(t.ends[ev.i])
	case kindDelivered:
		d := t.deliveries[ev.i]
		b.tenure("is given", d.tenure, d.place)
		b.say(" %s", b.record(d.key, d.hash, d.sum))
	case kindHandled:
		g := t.handlings[ev.i]
		b.tenure("handled", g.tenure, g.place)
	case kindReturned:
		u := t.tenures[t.returns[ev.i]]
		b.by(u.worker)
		b.say("returned from %s, epoch %s", shardOf(t.text(u.lease)), b.epoch(strconv.FormatUint(u.epoch, 10)))
	case kindCall:
		c := t.calls[ev.i]
		b.by(c.actor)
		b.say("calls %s", c.op)
		for _, item := range c.items {
			b.item(c.op, item)
		}
	case kindAnswer:
		b.answer(t.answers[ev.i])
	case kindActor:
		a := t.actors[ev.i]
		b.by(a.name)
		if b.say("%s", t.text(a.state)); t.text(a.state) == "told" {
			b.say(" that the store lost what it had")
		}
	case kindAnew:
		b.say("the store has begun anew")
	case kindLost:
		x := t.losses[ev.i]
		b.say("the store loses: %s", t.text(x.what))
		if x.since != 0 {
			b.say(" since %s", elapsed(x.since-b.begin))
		}
	case kindHealed:
		b.say("no fault from here on")
	case kindOwners:
		b.table(t.tables[ev.i])
	case kindNote:
		n := t.notes[ev.i]
		b.by(n.actor)
		b.say("%s", n.text)
	case kindStream:
		b.stream(&t.streams[ev.i])
	case kindRead:
		b.read(&t.reads[ev.i])
	}
}

// record describes a key, a hash key and, in whole, the data.
func (b *describer) record(key, hash uint32, s sum) string {
	out := fmt.Sprintf("key %q", b.t.text(key))
	if hash != 0 {
		out += " hash key " + b.t.text(hash)
	}
	if b.whole {
		out += " " + hex.EncodeToString(s[:])
	}
	return out
}

func (b *describer) id(n uint32) string {
	id := b.t.id(n)
	return fmt.Sprintf("%s:%d", b.seq(id.Sequence), id.Subsequence)
}

func (b *describer) position(p checkpoint.Position) string {
	if p.Rank == checkpoint.RankRecord {
		return fmt.Sprintf("%s:%d", b.seq(string(p.Sequence)), p.Subsequence)
	}
	return p.String()
}

func (b *describer) end(e end) {
	p := b.t.puts[e.put]
	b.by(p.producer)
	what := b.record(p.key, p.hash, p.sum)
	switch {
	case e.acked:
		b.say("acknowledged: %s as %s in %s", what, b.id(e.place), b.t.text(e.shard))
	case e.maybe:
		b.say("failed, maybe written: %s", what)
	default:
		b.say("failed: %s", what)
	}
	if e.err != 0 && !b.whole {
		b.say(": %s", b.t.text(e.err))
	}
}

func (b *describer) tenure(verb string, n, at uint32) {
	u := b.t.tenures[n]
	b.by(u.worker)
	b.say("%s %s of %s, epoch %s", verb, b.id(at), shardOf(b.t.text(u.lease)), b.epoch(strconv.FormatUint(u.epoch, 10)))
}

func (b *describer) item(op Op, item Item) {
	b.say(" %s", shardOf(item.Lease))
	switch op {
	case OpSeed:
		b.say(" at %s", b.position(item.Position))
	case OpSave:
		b.say(" at %s", b.position(item.Position))
		if item.Release {
			b.say(" and releases")
		}
	case OpComplete:
		for _, c := range item.Children {
			b.say(" > %s", shardOf(c))
		}
	case OpAcquire, OpCreate, OpBye:
	}
}

func (b *describer) answer(a answer) {
	c := b.t.calls[a.call]
	b.by(c.actor)
	b.say("answered %s", c.op)
	for i, item := range c.items {
		if b.say(" %s", shardOf(item.Lease)); i >= len(a.results) {
			b.say(" unknown")
			continue
		}
		switch r := a.results[i]; {
		case r.Err != "":
			b.say(" refused: %s", r.Err)
		case c.op == OpAcquire:
			b.say(" granted with epoch %s at %s", b.epoch(strconv.FormatUint(r.Epoch, 10)), b.position(r.Position))
		default:
			b.say(" ok")
		}
	}
	if a.err != 0 {
		b.say(" failed")
		if !b.whole {
			b.say(": %s", b.t.text(a.err))
		}
	}
}

func (b *describer) table(owners []Owner) {
	b.say("leases:")
	for _, o := range owners {
		worker := o.Worker
		if worker == "" {
			worker = "-"
		}
		b.say(" %s %s %s", shardOf(o.Lease), worker, b.position(o.Position))
	}
}

func (b *describer) stream(s *stream) {
	records, users := 0, 0
	for i := range s.shards {
		records, users = records+len(s.shards[i].raws), users+len(s.shards[i].users)
	}
	b.say("stream %s: %d shards, %d records, %d user records", b.t.text(s.name), len(s.shards), records, users)
	if !b.whole {
		return
	}
	for i := range s.shards {
		sh := &s.shards[i]
		b.say("\n%s %v %s %s", b.t.text(sh.name), sh.keys, sh.start, sh.end)
		for _, u := range sh.users {
			b.say(" %s %s", b.id(u.place), b.record(u.key, u.hash, u.sum))
		}
	}
}

func (b *describer) read(r *read) {
	b.say("%s read %d records, %v behind", what(r), len(r.got), r.Behind)
	if r.Closed {
		b.say(", to the shard's end")
	}
	if b.whole {
		b.say(" asked after %v", r.Answered.Sub(r.Began))
		for _, seq := range r.got {
			b.say(" %s", b.t.seqs.texts[seq])
		}
	}
}
