package lease

import (
	"fmt"
	"slices"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// Heirs picks, from the shards that are listed, those that follow one that is gone
// from its stream, with all generations between them gone as well: of the shards
// that overlap with it, and were not handled already, those that have a hash key
// which none of their parents among them has. It fails unless they take over all
// its hash keys.
//
// An heir starts when every shard before it was handled to its end: its listed
// parents, and every lease of the group that shares a hash key with it and does not
// descend from it. Of two shards with a common hash key one is an ancestor of the
// other.
//
// Listed are all shards of the stream with their parents as listed, and leases the
// rows of the group with their shards.
func Heirs(gone Lease, listed []Row, leases []Lease) ([]Row, error) {
	stream := StreamOf(gone.Name)
	keys, err := keysOf(gone.Name, gone.Shard)
	if err != nil {
		return nil, err
	}
	leases = slices.DeleteFunc(slices.Clone(leases), func(l Lease) bool { return StreamOf(l.Name) != stream })
	near, mine, err := overlapping(listed, keys, leases)
	if err != nil {
		return nil, err
	}
	var (
		known = namesOf(listed)
		out   []Row
		cut   []hashkey.Range
	)
	for _, heir := range near {
		r := mine[heir.Name]
		var before []hashkey.Range
		for _, p := range heir.Shard.Parents {
			if parent, is := mine[p]; is {
				before = append(before, parent)
			}
		}
		if hashkey.Cover(before, r.Within(keys)) == nil {
			continue // it gets its lease when they end
		}
		older, err := unfinishedBefore(heir.Name, r, listed, leases)
		if err != nil {
			return nil, err
		}
		parents := slices.DeleteFunc(slices.Clone(heir.Shard.Parents), func(p string) bool { return !known[p] })
		parents = slices.Concat([]string{gone.Name}, parents, older)
		slices.Sort(parents)
		heir.Shard.Parents, heir.Position = slices.Compact(parents), checkpoint.Start()
		out, cut = append(out, heir), append(cut, r.Within(keys))
	}
	if err := hashkey.Cover(cut, keys); err != nil {
		return nil, fmt.Errorf("%s and its children have expired, and what follows them is not known: %w", ShardOf(gone.Name), err)
	}
	return out, nil
}

// keysOf are the hash keys of a shard.
func keysOf(name string, s Shard) (hashkey.Range, error) {
	r, err := hashkey.ParseRange(s.StartingHashKey, s.EndingHashKey)
	if err != nil {
		return r, fmt.Errorf("lease %s: %w", name, err)
	}
	return r, nil
}

func namesOf(rows []Row) map[string]bool {
	out := make(map[string]bool, len(rows))
	for _, r := range rows {
		out[r.Name] = true
	}
	return out
}

// overlapping are the listed shards that share hash keys with a range, and their
// own, but for those that were handled to their end.
func overlapping(listed []Row, keys hashkey.Range, leases []Lease) ([]Row, map[string]hashkey.Range, error) {
	finished := map[string]bool{}
	for _, l := range leases {
		finished[l.Name] = l.Finished()
	}
	var out []Row
	mine := map[string]hashkey.Range{}
	for _, row := range listed {
		r, err := keysOf(row.Name, row.Shard)
		if err != nil {
			return nil, nil, err
		}
		if r.Overlaps(keys) && !finished[row.Name] {
			out = append(out, row)
			mine[row.Name] = r
		}
	}
	return out, mine, nil
}

// unfinishedBefore are the shards, of those that have leases, that were before a
// shard of a range and have not been handled to their end.
func unfinishedBefore(name string, r hashkey.Range, listed []Row, leases []Lease) ([]string, error) {
	after := map[string]bool{name: true} // the shard and its descendants
	for more := true; more; {
		more = false
		for _, row := range listed {
			if !after[row.Name] && slices.ContainsFunc(row.Shard.Parents, func(p string) bool { return after[p] }) {
				after[row.Name], more = true, true
			}
		}
	}
	var out []string
	for _, l := range leases {
		if l.Finished() || after[l.Name] {
			continue
		}
		own, err := keysOf(l.Name, l.Shard)
		if err != nil {
			return nil, err
		}
		if own.Overlaps(r) {
			out = append(out, l.Name)
		}
	}
	return out, nil
}
