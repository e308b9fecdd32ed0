package history

import (
	"fmt"
	"testing"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// A stream that is split and merged sixty times has 2^60 ways from its last shard
// to its first.
func TestALongLineageIsJudgedInTime(t *testing.T) {
	const rounds = 60
	name := func(n int) string { return fmt.Sprintf("shardId-%012d", n) }
	shard := func(n int, keys hashkey.Range, parents ...int) Shard {
		s := Shard{ID: name(n), StartHashKey: keys.Start.String(), EndHashKey: keys.End.String()}
		for _, p := range parents {
			s.Parents = append(s.Parents, name(p))
		}
		if n < 3*rounds {
			s.EndSequence = "1"
		}
		return s
	}
	halves := hashkey.Split(2)
	shards := []Shard{shard(0, hashkey.Full)}
	for range rounds {
		last := len(shards) - 1
		shards = append(shards, shard(last+1, halves[0], last), shard(last+2, halves[1], last),
			shard(last+3, hashkey.Full, last+1, last+2))
	}
	n := len(shards)
	h := New()
	owner := func(s Shard, at checkpoint.Position) Owner {
		o := Owner{Lease: "stream/" + s.ID, StartHashKey: s.StartHashKey, EndHashKey: s.EndHashKey, Position: at}
		for _, p := range s.Parents {
			o.Parents = append(o.Parents, "stream/"+p)
		}
		return o
	}
	// The merged shard waits for one of its parents: both have half of the keys.
	h.Owners([]Owner{
		owner(shards[n-3], checkpoint.ShardEnd()), owner(shards[n-2], checkpoint.Start()), owner(shards[n-1], checkpoint.Start()),
	})
	h.Stream(Stream{Name: "stream", Shards: shards})
	if v := h.Check(Options{Partial: Without(H7)}); !v.OK() {
		t.Errorf("verdict %v", v)
	}
}
