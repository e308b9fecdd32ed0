package leasetest

import (
	"slices"
	"testing"

	"github.com/shardrun/shardrun/lease"
)

// testHead: each page says how far the log went when it was read, so that a
// worker knows when it has all that was true at a beat, though more comes.
func testHead(t *testing.T, s *subject) {
	w := s.join("a")
	var rows []lease.Row
	for i := range 450 {
		rows = append(rows, row(shardID(i)))
	}
	w.create(rows...)
	told := map[string]bool{}
	first, last := uint64(0), uint64(0)
	for more := true; more; {
		v := w.beat()
		if first == 0 {
			first = v.Head
			w.take(name(shardID(0))) // a change behind the head of the first page
		}
		if v.Head < last || v.Through > v.Head || v.More != (v.Through < v.Head) {
			t.Fatalf("a page through %d of %d, more %v, after one of %d", v.Through, v.Head, v.More, last)
		}
		for _, l := range v.Leases {
			told[l.Name] = true
		}
		if v.Through >= first && len(told) < len(rows)-1 {
			t.Fatalf("the page through %d has the changes up to %d, and %d of %d leases were told", v.Through, first, len(told), len(rows))
		}
		last, more = v.Head, v.More
	}
	if last <= first || len(told) != len(rows) {
		t.Errorf("the head went from %d to %d, and %d of %d leases were told", first, last, len(told), len(rows))
	}
}

// testParentsInBeats: a beat tells what a lease waits for that was never acquired,
// so that it can be planned.
func testParentsInBeats(t *testing.T, s *subject) {
	w := s.join("a")
	w.create(row("p"), row("c", "p"))
	leases := w.beat().Leases
	i := slices.IndexFunc(leases, func(l lease.Lease) bool { return l.Name == name("c") })
	if i < 0 {
		t.Fatal("the beat does not tell of the child")
	}
	if c := leases[i]; c.Epoch != 0 || !slices.Equal(c.Shard.Parents, []string{name("p")}) || c.Shard.Created.IsZero() {
		t.Errorf("the child is told with epoch %d and shard %+v", c.Epoch, c.Shard)
	}
}
