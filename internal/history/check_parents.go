package history

import "strings"

// parents gives the parents of leases, as far as they have leases themselves: a
// group that began after a reshard has none for the shards before it.
func (j *judge) parents() map[string][]string {
	known, of := map[string]bool{}, map[string]map[string]bool{}
	add := func(child, parent string) {
		if of[child] == nil {
			of[child] = map[string]bool{}
		}
		of[child][parent] = true
	}
	for _, c := range j.t.calls {
		for _, item := range c.items {
			known[item.Lease] = true
			for _, child := range item.Children {
				known[child] = true
				add(child, item.Lease)
			}
		}
	}
	for _, table := range j.t.tables {
		for _, o := range table {
			known[o.Lease] = true
			for _, p := range o.Parents {
				add(o.Lease, p)
			}
		}
	}
	for n, u := range j.t.tenures {
		lease := j.t.text(u.lease)
		known[lease] = true
		if j.truth == nil || j.shardName[n] == 0 {
			continue
		}
		prefix := strings.TrimSuffix(lease, shardOf(lease))
		for _, p := range j.truth.byName[j.shardName[n]].parents {
			add(lease, prefix+j.t.text(p))
		}
	}
	out := map[string][]string{}
	for child, parents := range of {
		for p := range parents {
			if known[p] {
				out[child] = append(out[child], p)
			}
		}
	}
	return out
}

// afterParents judges H6.
func (w *walk) afterParents(d *delivery, r *run) {
	for len(r.parents) > 0 && !r.early {
		last := len(r.parents) - 1
		if !w.over(r.parents[last], r) && !w.left(r.parents[last], r) {
			r.early = true
			w.j.broken(H6, "%s delivers %s before its parent %s was completed", w.j.who(d.tenure), w.j.at(d.place), shardOf(r.parents[last]))
			return
		}
		r.parents = r.parents[:last]
	}
}

// over reports whether a parent has ended, for a tenure of its child. A
// completion with an unknown outcome was made if the store granted the child
// after it began.
func (w *walk) over(parent string, child *run) bool {
	began, maybe := w.maybe[parent]
	return w.ended[parent] || maybe && child.granted && child.at > began
}

// beginningAnew is the making of a group's leases after a loss, with all leases
// that the group has had since.
type beginningAnew struct {
	lost   bool // since the last making
	leases map[string]bool
	since  int64 // Unix milliseconds; 0 is the oldest record, or that there was none
}

func (b *beginningAnew) has(lease string) {
	if b.leases != nil {
		b.leases[lease] = true
	}
}

// makes notes a making that was done, or may have been.
func (w *walk) makes(n int) {
	items := w.j.t.calls[n].items
	if res, known := w.j.outcome(n, 0); len(items) == 0 || known && res.Err != "" {
		return
	}
	if w.anew.lost {
		w.anew = beginningAnew{leases: map[string]bool{}}
		if at := items[0].Position; !at.Since.IsZero() {
			w.anew.since = at.Since.UnixMilli()
		}
	}
	for _, item := range items {
		w.anew.has(item.Lease)
	}
}

// left reports whether a parent is one that the group had before the store lost
// it, and has no more: it began anew at a time, and all that is in that shard, as
// far as it is known, arrived before.
func (w *walk) left(parent string, child *run) bool {
	if w.anew.since == 0 || w.anew.leases[parent] {
		return false
	}
	if child.shard == nil {
		return true
	}
	for _, name := range child.shard.parents {
		p := w.j.truth.byName[name]
		if p == nil || w.j.t.text(name) != shardOf(parent) || len(p.raws) == 0 {
			continue
		}
		return p.raws[len(p.raws)-1].arrival < w.anew.since
	}
	return true
}
