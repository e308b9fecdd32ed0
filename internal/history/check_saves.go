package history

import "github.com/shardrun/shardrun/checkpoint"

// progress is how far the handlers of one tenure have come.
type progress struct {
	shard *shard
	next  int              // index of the first user record, from where it was granted on, that is not handled
	ahead map[int]struct{} // those behind it that are
	told  bool
}

// leaseToken is what a call names a tenure by.
type leaseToken struct{ lease, token string }

// saves judges the part of H1 that is about positions: one is saved, or the end
// of a shard told, when all user records up to there were handled, whether
// somebody was told that they were written or not.
func (j *judge) saves() {
	if j.truth == nil {
		return
	}
	shards := map[string]*shard{}
	for i := range j.truth.shards {
		shards[j.t.text(j.truth.shards[i].name)] = &j.truth.shards[i]
	}
	numbers := j.tenureNumbers()
	byTenure, byToken := make([]*progress, len(j.t.tenures)), map[leaseToken]*progress{}
	for e, ev := range j.t.events {
		switch ev.kind {
		case kindAnswer:
			a := &j.t.answers[ev.i]
			c := &j.t.calls[a.call]
			if c.op != OpAcquire {
				continue
			}
			for i, item := range c.items[:min(len(c.items), len(a.results))] {
				r, s := a.results[i], shards[shardOf(item.Lease)]
				key := leaseToken{item.Lease, r.Token}
				if r.Err != "" || s == nil || byToken[key] != nil {
					continue // a repeat is of the same tenure
				}
				p := &progress{shard: s, next: j.behind(s, r.Position)}
				byToken[key] = p
				if n, handles := numbers[tenureKey{c.actor, item.Lease, r.Epoch}]; handles {
					byTenure[n] = p
				}
			}
		case kindHandled:
			g := j.t.handlings[ev.i]
			if p, at := byTenure[g.tenure], j.truth.at[g.place]; p != nil && at.shard == p.shard {
				p.handled(at.i)
			}
		case kindCall:
			c := &j.t.calls[ev.i]
			if c.op != OpSave && c.op != OpComplete {
				continue
			}
			for _, item := range c.items {
				p := byToken[leaseToken{item.Lease, item.Token}]
				if p == nil || p.told || !j.reaches(item.Position, p) {
					continue
				}
				p.told = true
				j.broken(H1, "%s of %s on %s at %s %s is ahead of its handlers: %s was not handled",
					c.op, j.t.text(c.actor), shardOf(item.Lease), item.Position, j.when(e), j.at(p.shard.users[p.next].place))
			}
		}
	}
}

// handled notes the i-th user record of the shard.
func (p *progress) handled(i int) {
	switch {
	case i > p.next:
		if p.ahead == nil {
			p.ahead = map[int]struct{}{}
		}
		p.ahead[i] = struct{}{}
	case i == p.next:
		p.next++
		for len(p.ahead) > 0 {
			if _, done := p.ahead[p.next]; !done {
				break
			}
			delete(p.ahead, p.next)
			p.next++
		}
	}
}

// reaches reports whether a position says that a record is done that is not.
func (j *judge) reaches(at checkpoint.Position, p *progress) bool {
	return p.next < len(p.shard.users) && j.position(p.shard.users[p.next].place).Compare(at) <= 0
}
