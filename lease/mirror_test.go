package lease

import (
	"slices"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// Beats tell the shard of a lease that was never acquired, and nothing of others.
func TestShardsThatBeatsTell(t *testing.T) {
	shard := func(parents ...string) Shard {
		return Shard{Parents: parents, StartingHashKey: "0", EndingHashKey: "1"}
	}
	for _, c := range []struct {
		what    string
		rows    []Lease
		vague   bool
		parents []string
	}{
		{"a new lease", []Lease{{Shard: shard("s/p")}}, false, []string{"s/p"}},
		{"a lease that was taken before", []Lease{{Epoch: 1}}, true, nil},
		{"a lease that is taken", []Lease{{Shard: shard("s/p")}, {Epoch: 1}, {Epoch: 2}}, false, []string{"s/p"}},
		{"a view of a lease that was taken", []Lease{{Shard: shard("s/p")}, {Epoch: 1, Shard: shard()}}, false, []string{"s/p"}},
		{"a new lease that waits no longer", []Lease{{Shard: shard("s/p")}, {Shard: shard()}}, false, nil},
		{"a new lease that was ended", []Lease{{Shard: shard("s/p")}, {Shard: shard(), Position: checkpoint.ShardEnd()}}, false, []string{"s/p"}},
	} {
		m := newMirror()
		for _, l := range c.rows {
			l.Name = "s/c"
			m.apply(View{Leases: []Lease{l}}, time.Time{})
		}
		last, l := c.rows[len(c.rows)-1], m.leases["s/c"]
		if m.vague() != c.vague || !slices.Equal(l.Shard.Parents, c.parents) || l.Epoch != last.Epoch {
			t.Errorf("%s: vague %v, row %+v, want %v with the parents %v", c.what, m.vague(), *l, c.vague, c.parents)
		}
	}
}

func TestNothingIsLearntOfALeaseThatIsGone(t *testing.T) {
	m := newMirror()
	m.learn(Lease{Name: "s/x", Shard: Shard{StartingHashKey: "0"}})
	m.followed("s/x", []Row{{Name: "s/y"}})
	if len(m.leases) > 0 {
		t.Errorf("leases %v", m.leases)
	}
}
