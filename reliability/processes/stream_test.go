//go:build unix

package main

import (
	"math/rand/v2"
	"testing"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/aggregate"
	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/lease"
)

func TestChangesStayWithinTheBounds(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		var open []openShard
		for i, keys := range hashkey.Split(1 + rng.IntN(mostShards)) {
			open = append(open, openShard{id: string(rune('a' + i)), keys: keys})
		}
		n := int32(len(open))
		do := []act{actSplit, actMerge, actScale}[rng.IntN(3)]
		c := chooseChange(do, rng.Uint64(), open)
		switch {
		case c.split != nil && n < mostShards:
		case c.merge != nil && n > fewestShards:
		case c.scale != nil && *c.scale.TargetShardCount >= max(fewestShards, (n+1)/2) && *c.scale.TargetShardCount <= min(mostShards, 2*n):
		default:
			t.Fatalf("%s of %d shards: %v", do, n, c)
		}
	}
}

func TestMissingKnowsTheEnds(t *testing.T) {
	var b aggregate.Builder
	b.Add("k", "", []byte("1"))
	b.Add("k", "", []byte("2"))
	e := endsOf(history.Stream{Shards: []history.Shard{
		{ID: "closed", EndSequence: "9"},
		{ID: "open", Records: []history.Raw{{Sequence: "10", Data: []byte("x")}, {Sequence: "11", Data: b.Append(nil)}}},
		{ID: "empty"},
	}})
	row := func(id string, p checkpoint.Position) lease.Lease { return lease.Lease{Name: "s/" + id, Position: p} }
	whole := []lease.Lease{
		row("closed", checkpoint.ShardEnd()), row("open", checkpoint.At("11", 1)), row("empty", checkpoint.Start()),
	}
	if m := e.missing(lease.View{Leases: whole}, false); m != "" {
		t.Errorf("missing: %s", m)
	}
	if m := e.missing(lease.View{Leases: whole[1:]}, true); m != "" {
		t.Errorf("a closed shard that the store forgot is missing: %s", m)
	}
	if e.missing(lease.View{Leases: whole[1:]}, false) == "" {
		t.Error("a closed shard that nobody knows of is not missed, although the store has lost nothing")
	}
	for name, leases := range map[string][]lease.Lease{
		"the last member of an aggregate": {row("closed", checkpoint.ShardEnd()), row("open", checkpoint.At("11", 0)), whole[2]},
		"the end of a closed shard":       {row("closed", checkpoint.At("8", 0)), whole[1], whole[2]},
		"a lease of an open shard":        {whole[0], whole[2]},
		"a lease of an empty shard":       {whole[0], whole[1]},
	} {
		if e.missing(lease.View{Leases: leases}, true) == "" {
			t.Errorf("%s is not missed", name)
		}
	}
}
