package lease

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// remembered is what the runner handled, with the state that belongs to it; ok is
// false when that is not known.
func (h *Held) remembered() (n Remembered, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Remembered{
		Name: h.lease.Name, Shard: h.lease.Shard, Epoch: h.lease.Epoch, Flags: h.lease.Flags,
		Weight: cmp.Or(h.next.Weight, h.lease.Weight),
		Entry: checkpoint.Entry{
			Position: h.next.Position, Counter: h.next.Counter, State: h.state, Inherited: h.inherited,
		},
	}, !h.overtaken
}

// remembered are the rows of the table that can be given back, with what runners
// here handled.
//
// A row whose shard is not known is left out, and so is one with a state, unless
// its runner was here: without the state, it would go on in the middle of a window.
// The shards before it are left out too, because what it was left by them was in
// that state, unless another shard behind them has gone on. Where it is not known
// which shards those are, all are left out that it may have followed. A shard that
// waits for one that is left out is, because it could wait for ever. A listing makes
// the leases of all of these.
func (m *mirror) remembered(past map[string]Remembered) map[string]Remembered {
	out := m.kept(past)
	children := m.children()
	for left := -1; left != len(out); {
		left = len(out)
		stray := m.strays(out)
		maps.DeleteFunc(out, func(name string, n Remembered) bool {
			if n.Entry.Position.IsEnd() {
				stray := stray[StreamOf(name)] && !m.allOf(n.Shard, children[name])
				return m.unfollowed(out, children[name], stray)
			}
			return n.Epoch == 0 && slices.ContainsFunc(n.Shard.Parents, func(p string) bool { return out[p].Name == "" })
		})
	}
	for name, n := range out {
		if n.Entry.Position.IsEnd() && m.allOf(n.Shard, children[name]) {
			n.Shard.Children = slices.Compact(slices.Sorted(slices.Values(children[name])))
		}
		if n.Epoch > 0 || n.Entry.Position.IsEnd() {
			n.Shard.Parents = nil
		}
		out[name] = n
	}
	return out
}

// kept are the rows of which all is known that a lease goes on from.
func (m *mirror) kept(past map[string]Remembered) map[string]Remembered {
	out := map[string]Remembered{}
	for name, l := range m.leases {
		own, here := past[name]
		switch here = here && !m.overtakes(own); {
		case here:
			own.Flags = l.Flags
			own.Weight = cmp.Or(own.Weight, l.Weight)
		case l.Stateful && !l.Finished():
			continue
		default:
			own = Remembered{Name: name, Epoch: l.Epoch, Weight: l.Weight, Flags: l.Flags, Entry: checkpoint.Entry{Position: l.Position}}
		}
		if l.Shard.known() {
			own.Shard = l.Shard
		}
		out[name] = own
	}
	for name, own := range past {
		if _, known := m.leases[name]; !known { // acquired since the last beat
			out[name] = own
		}
	}
	maps.DeleteFunc(out, func(_ string, n Remembered) bool { return n.Shard.StartingHashKey == "" || n.validate() != nil })
	return out
}

// overtakes reports whether the table shows what a runner here handled to be of no
// use: somebody has the lease since, with what it was left, or it was reset by hand. A
// reset of one lease gives it a new epoch; a reset of the stream makes its leases anew,
// and they begin with none, as they also do after a fail-over that lost that they were
// acquired.
func (m *mirror) overtakes(n Remembered) bool {
	row := m.leases[n.Name]
	return row != nil && (row.Epoch > n.Epoch || row.Finished() || remade(n.Shard, row.Shard))
}

// remade reports whether a row is not the one that was known, but was made anew.
func remade(was, now Shard) bool {
	if was.Generation != now.Generation && was.known() && now.known() {
		return true
	}
	return !was.Created.IsZero() && !now.Created.IsZero() && !was.Created.Equal(now.Created)
}

// yield drops the leases of streams that a newer table shows to be made anew, though it
// was not read to its end, and from past too.
func (m *mirror) yield(table *mirror, past map[string]Remembered) {
	anew := map[string]bool{}
	for name, l := range m.leases {
		if row := table.leases[name]; row != nil && remade(l.Shard, row.Shard) {
			anew[StreamOf(name)] = true
		}
	}
	for name := range m.leases {
		if anew[StreamOf(name)] {
			m.drop(name)
		}
	}
	maps.DeleteFunc(past, func(name string, _ Remembered) bool { return anew[StreamOf(name)] })
}

// unfollowed reports whether a child with a state is left out of what is
// remembered, and no other has started; stray says that one may be that is not known
// to be a child.
func (m *mirror) unfollowed(out map[string]Remembered, children []string, stray bool) bool {
	for _, child := range children {
		n, known := out[child]
		if known && (n.Epoch > 0 || n.Entry.Position.IsEnd()) {
			return false
		}
		l, some := m.leases[child]
		stray = stray || !known && some && l.leftState()
	}
	return stray
}

// leftState reports whether a lease has, or may have had, a state that was left to it.
func (l *Lease) leftState() bool { return l.Stateful || l.Finished() }

// strays are the streams with a lease that may have been left a state, is left out of
// what is remembered, and of which it is not known what it followed. One that is on a
// page that was not read yet may be of any stream.
func (m *mirror) strays(out map[string]Remembered) map[string]bool {
	in := map[string]bool{}
	for name, l := range m.leases {
		stream := StreamOf(name)
		in[stream] = in[stream] || m.partial || out[name].Name == "" && l.leftState() && len(l.Shard.Parents) == 0
	}
	return in
}

// allOf reports whether no child of a shard that ended is missing: it was told them,
// which is always all, or those that are known have all its hash keys.
func (m *mirror) allOf(s Shard, children []string) bool {
	if len(s.Children) > 0 {
		return true
	}
	keys, err := keysOf("", s)
	if err != nil {
		return false
	}
	var ranges []hashkey.Range
	for _, child := range children {
		if l := m.leases[child]; l != nil {
			if r, err := keysOf(child, l.Shard); err == nil && r.Overlaps(keys) {
				ranges = append(ranges, r)
			}
		}
	}
	return hashkey.Cover(ranges, keys) == nil
}

// children are the shards that follow each shard, as far as the table tells.
func (m *mirror) children() map[string][]string {
	out := map[string][]string{}
	for name, l := range m.leases {
		out[name] = append(out[name], l.Shard.Children...)
		for _, p := range l.Shard.Parents {
			out[p] = append(out[p], name)
		}
	}
	return out
}

// generations are, for each stream, that of its leases, as far as their shards are known.
func (m *mirror) generations() map[string]int64 {
	out := map[string]int64{}
	for name, l := range m.leases {
		out[StreamOf(name)] = max(out[StreamOf(name)], l.Shard.Generation)
	}
	return out
}

// generations are, for each stream, that of the leases that were made last.
func generations(views ...map[string]Remembered) map[string]int64 {
	out := map[string]int64{}
	for _, rows := range views {
		for name, n := range rows {
			out[StreamOf(name)] = max(out[StreamOf(name)], n.Shard.Generation)
		}
	}
	return out
}

// joined are the rows of two views, of which the second is newer. What they know of
// leases that were removed by hand since is left out.
func joined(old, rows map[string]Remembered) map[string]Remembered {
	last := generations(old, rows)
	current := func(name string, n Remembered) bool { return n.Shard.Generation == last[StreamOf(name)] }
	out := maps.Clone(old)
	maps.DeleteFunc(out, func(name string, n Remembered) bool { return !current(name, n) })
	rows = maps.Clone(rows)
	maps.DeleteFunc(rows, func(name string, n Remembered) bool { return !current(name, n) })
	for name, n := range rows {
		was, known := out[name]
		if known {
			if !newer(was, n) {
				n.Entry = was.Entry
			}
			n.Epoch, n.Weight, n.Flags = max(n.Epoch, was.Epoch), cmp.Or(n.Weight, was.Weight), cmp.Or(n.Flags, was.Flags)
			if n.Epoch > 0 || n.Entry.Position.IsEnd() {
				n.Shard.Parents = nil
			}
		}
		out[name] = n
	}
	return out
}

// size is the bytes of state in a row.
func (r Remembered) size() int {
	n := len(r.Entry.State)
	for _, state := range r.Entry.Inherited {
		n += len(state)
	}
	return n
}

// in reports whether a row of a table, nil for none, has what is remembered, or what
// another worker remembers better.
func (r Remembered) in(l *Lease) bool {
	if l == nil || l.Epoch < r.Epoch {
		return false
	}
	for flag := range strings.SplitSeq(r.Flags, ",") {
		if flag != "" && !l.Marked(flag) {
			return false
		}
	}
	have := checkpoint.Entry{Position: l.Position, Counter: r.Entry.Counter} // which beats do not tell
	if l.Stateful {
		have.State = []byte{}
	}
	return !newer(Remembered{Epoch: l.Epoch, Entry: have}, r)
}
