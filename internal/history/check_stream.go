package history

import (
	"cmp"
	"maps"
	"slices"
	"sort"

	"github.com/shardrun/shardrun/internal/hashkey"
)

// cover judges H7: unfinished leases cover every hash key, and so do the open
// shards, each key once. Of two unfinished leases that hold one key, one is an
// ancestor of the other: the child of a merge has a lease when one of its
// parents has ended, and waits for the other. Tables that are being restored after
// a loss are not judged: they have what workers gave back, until one made the rest.
func (j *judge) cover() {
	if len(j.t.tables) == 0 {
		j.broken(H7, "no lease table was recorded")
	}
	ancestors, lost := j.lineage(), restoring{j: j}
	for e, ev := range j.t.events {
		if lost.event(ev); ev.kind == kindOwners && !lost.now {
			j.tableCovers(e, j.t.tables[ev.i], ancestors)
		}
	}
	if j.truth == nil {
		return
	}
	var open []span
	for i := range j.truth.shards {
		s := &j.truth.shards[i]
		if s.badKeys != nil {
			j.broken(H7, "%s: %v", j.t.text(s.name), s.badKeys)
			return
		}
		if s.end == "" {
			open = append(open, span{j.t.text(s.name), s.keys})
		}
		j.placed(s)
	}
	never := func(_, _ string) bool { return false }
	if fault := tiles(open, never); fault != "" {
		j.broken(H7, "open shards: %s", fault)
	}
}

// placed: acknowledged records that came alone are in the shard whose range
// holds their hash key.
func (j *judge) placed(s *shard) {
	for _, u := range s.users {
		n := j.ackedAs[u.place]
		if n == none {
			continue
		}
		p := &j.t.puts[n]
		k, err := hashkey.Parse(j.t.text(p.hash))
		if p.hash == 0 {
			k, err = hashkey.Of(j.t.text(p.key)), nil
		}
		if err != nil || !s.keys.Contains(k) {
			j.broken(H7, "put %d, key %s, hash key %q, is in %s, whose range does not hold it", n, j.key(p.key), j.t.text(p.hash), j.t.text(s.name))
		}
	}
}

// span is a range of hash keys with who has it.
type span struct {
	name string
	keys hashkey.Range
}

func (j *judge) tableCovers(e int, table []Owner, ancestors func(a, b string) bool) {
	var spans []span
	for _, o := range table {
		if o.Position.IsEnd() {
			continue
		}
		keys, err := hashkey.ParseRange(o.StartHashKey, o.EndHashKey)
		if err != nil {
			j.broken(H7, "leases %s: %s: %v", j.when(e), shardOf(o.Lease), err)
			return
		}
		spans = append(spans, span{shardOf(o.Lease), keys})
	}
	if len(table) == 0 {
		return // nothing was created yet
	}
	if fault := tiles(spans, ancestors); fault != "" {
		j.broken(H7, "unfinished leases %s: %s", j.when(e), fault)
	}
}

// tiles says what is wrong with spans that are to hold every key, and each once
// unless one of its two holders is an ancestor of the other; "" for nothing.
func tiles(spans []span, ancestor func(a, b string) bool) string {
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(a.keys.Start.Compare(b.keys.Start), cmp.Compare(a.name, b.name))
	})
	next, full := hashkey.Key{}, false // the first key that nobody has so far; everybody has one
	var over []span                    // those that reach to next and beyond
	for _, s := range spans {
		if !full && next.Compare(s.keys.Start) < 0 {
			return "nobody has the hash keys from " + next.String() + " to " + s.keys.Start.Prev().String()
		}
		over = slices.DeleteFunc(over, func(o span) bool { return o.keys.End.Compare(s.keys.Start) < 0 })
		for _, o := range over {
			if !ancestor(o.name, s.name) && !ancestor(s.name, o.name) {
				return o.name + " and " + s.name + " both have the hash key " + s.keys.Start.String()
			}
		}
		over = append(over, s)
		if s.keys.End == hashkey.Max {
			full = true
		} else if after := s.keys.End.Next(); after.Compare(next) > 0 {
			next = after
		}
	}
	if !full {
		return "nobody has the hash keys from " + next.String() + " on"
	}
	return ""
}

// lineage tells whether a shard is an ancestor of another, by the truth and by
// what tables said of parents.
func (j *judge) lineage() func(a, b string) bool {
	parents := map[string][]string{}
	for _, table := range j.t.tables {
		for _, o := range table {
			for _, p := range o.Parents {
				if id := shardOf(o.Lease); !slices.Contains(parents[id], shardOf(p)) {
					parents[id] = append(parents[id], shardOf(p))
				}
			}
		}
	}
	if j.truth != nil {
		for i := range j.truth.shards {
			s := &j.truth.shards[i]
			for _, p := range s.parents {
				parents[j.t.text(s.name)] = append(parents[j.t.text(s.name)], j.t.text(p))
			}
		}
	}
	// A shard that was split and merged again and again is reached by very many
	// ways, so each one's ancestors are gathered once.
	known := map[string]map[string]bool{}
	var of func(id string) map[string]bool
	of = func(id string) map[string]bool {
		all, ok := known[id]
		if !ok {
			all = map[string]bool{}
			known[id] = all // before it is whole: a lineage that goes in a circle ends
			for _, p := range parents[id] {
				all[p] = true
				maps.Copy(all, of(p))
			}
		}
		return all
	}
	return func(a, b string) bool { return of(b)[a] }
}

// numbers judges H8: sequence numbers rise in each shard, a child's are above
// its parents', and a put that began after another of its shard was acknowledged
// has the higher number.
func (j *judge) numbers() {
	if j.truth == nil {
		j.broken(H8, "the stream was not recorded")
		return
	}
	for i := range j.truth.shards {
		j.rising(&j.truth.shards[i])
	}
	j.ackedInTime()
}

func (j *judge) rising(s *shard) {
	name, seqs := j.t.text(s.name), j.t.seqs.texts
	for i, r := range s.raws {
		switch {
		case i > 0 && j.rank[r.seq] <= j.rank[s.raws[i-1].seq]:
			j.broken(H8, "%s: %s comes after %s", name, brief(seqs[r.seq]), brief(seqs[s.raws[i-1].seq]))
		case s.start != "" && compare(seqs[r.seq], string(s.start)) < 0:
			j.broken(H8, "%s: %s is below the shard's first sequence number, %s", name, brief(seqs[r.seq]), brief(string(s.start)))
		case s.end != "" && compare(seqs[r.seq], string(s.end)) > 0:
			j.broken(H8, "%s: %s is above the shard's last sequence number, %s", name, brief(seqs[r.seq]), brief(string(s.end)))
		}
	}
	for _, id := range s.parents {
		p := j.truth.byName[id]
		if p == nil {
			continue // past retention
		}
		highest := string(p.end)
		for _, r := range p.raws {
			if highest == "" || compare(seqs[r.seq], highest) > 0 {
				highest = seqs[r.seq]
			}
		}
		lowest := string(s.start)
		for _, r := range s.raws {
			if lowest == "" || compare(seqs[r.seq], lowest) < 0 {
				lowest = seqs[r.seq]
			}
		}
		if highest != "" && lowest != "" && compare(lowest, highest) <= 0 {
			j.broken(H8, "%s begins at %s, and its parent %s goes up to %s", name, brief(lowest), j.t.text(id), brief(highest))
		}
	}
}

// ackedInTime compares the acknowledged puts of each shard that did not overlap
// in time.
func (j *judge) ackedInTime() {
	type top struct{ event, put int } // after the event, no put that had ended is above this one
	tops := map[uint32][]top{}        // by shard
	height := func(n int) uint64 { return j.height(j.t.ends[j.endOf[n]].place) }
	for e, ev := range j.t.events {
		if ev.kind != kindEnd {
			continue
		}
		x := &j.t.ends[ev.i]
		n := int(x.put)
		if !x.acked || j.endOf[n] != int(ev.i) {
			continue
		}
		before := tops[x.shard]
		if i := sort.Search(len(before), func(i int) bool { return before[i].event > j.putAt[n] }); i > 0 {
			if o := before[i-1].put; height(o) > height(n) {
				j.broken(H8, "put %d, begun %s, got %s in %s, below %s of put %d, which was acknowledged before",
					n, j.when(j.putAt[n]), j.at(x.place), j.t.text(x.shard), j.at(j.t.ends[j.endOf[o]].place), o)
			}
		}
		if len(before) == 0 || height(n) > height(before[len(before)-1].put) {
			tops[x.shard] = append(before, top{e, n})
		}
	}
}
