package history

import (
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// The store loses everything when nobody lives, and a group that begins at a time
// has no lease for the shards that ended before it.
func TestParentsOfAGroupThatBeganAnew(t *testing.T) {
	run := func(lost bool, late bool, leases ...string) Verdict {
		return judged(t, func(l *tale) {
			l.History = New() // it did not begin yet
			oldest := checkpoint.StartAt(time.Now())
			l.makes("one", oldest)("")
			l.puts("a", "x")
			l.acquires("one", "a", oldest)
			time.Sleep(time.Minute)
			from := checkpoint.StartAt(time.Now())
			if late {
				l.puts("a", "x")
			}
			l.split()
			if lost {
				l.StoreLost("all", time.Time{})
			}
			var items []Item
			for _, id := range leases {
				items = append(items, Item{Lease: prefix + id, Position: from})
			}
			c := l.Began(StoreCall{Actor: "two", Op: OpCreate, Items: items})
			l.Answered(c, make([]Result, len(items)), nil)
			n := len(l.ids)
			l.puts("b", keyIn(low))
			l.acquires("two", "b", from)
			l.does("two", "b", n)
			l.done(l.owner("b", "two", l.after(n)), l.owner("c", "two", from))
		})
	}
	for _, c := range []struct {
		name       string
		lost, late bool
		leases     []string
		waits      bool
	}{
		{"without the parent", true, false, []string{"b", "c"}, false},
		{"with the parent", true, false, []string{"a", "b", "c"}, true},
		{"without the parent, which has a record since", true, true, []string{"b", "c"}, true},
		{"without a loss", false, false, []string{"b", "c"}, true},
	} {
		if v := run(c.lost, c.late, c.leases...); v.Broken[H6] > 0 != c.waits {
			t.Errorf("%s: a child waits for its parent %t: %s", c.name, c.waits, v)
		}
	}
}
