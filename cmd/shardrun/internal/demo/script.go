package demo

import (
	"cmp"
	"errors"
	"slices"

	"github.com/shardrun/shardrun/internal/hashkey"
)

// step is something that happens when a number of records was sent. The
// producer waits for it.
type step struct {
	at     int // records sent before it
	action action
}

type action int

const (
	split action = iota
	join
	armKill // the next worker with a batch dies in the middle of it
	kill    // wait until that happened
	hold    // one shard that will be merged is not handled any more
	merge
	release // it is handled again
	drain
)

// lead is how many records are sent between arming the kill and waiting for it,
// so that there is a batch to die on; between holding a shard back and merging
// it, so that it has a backlog when its child gets records; and from the merge
// until it is released.
const lead = 100

// Each generation of shards, from one split or merge to the next, gets at
// least leastGeneration records; the shortest has a fifth of all.
const (
	leastGeneration = 500
	leastRecords    = 5 * leastGeneration
)

// script is what happens on the way, for a number of records.
func script(records int) []step {
	percent := func(p int) int { return records * p / 100 }
	return []step{
		{percent(20), split},
		{percent(40), split},
		{percent(50), join},
		{percent(60) - lead, armKill},
		{percent(60), kill},
		{percent(70) - lead, hold},
		{percent(70), merge},
		{percent(70) + lead, release},
		{percent(80), drain},
	}
}

// shard is what the script knows of an open shard.
type shard struct {
	id     string
	parent string
	keys   hashkey.Range
}

// toSplit chooses the open shard with the widest range, the lowest of equals.
func toSplit(open []shard) (shard, error) {
	if len(open) == 0 {
		return shard{}, errors.New("the stream has no open shard")
	}
	return slices.MinFunc(open, func(a, b shard) int {
		return cmp.Or(cmp.Compare(width(b.keys), width(a.keys)), a.keys.Start.Compare(b.keys.Start))
	}), nil
}

// toMerge chooses two adjacent open shards, lower first. It prefers a pair of
// different parents: their child waits for two lineages, the hardest case.
func toMerge(open []shard) (lower, upper shard, err error) {
	sorted := slices.SortedFunc(slices.Values(open), func(a, b shard) int { return a.keys.Start.Compare(b.keys.Start) })
	err = errors.New("the stream has no two adjacent open shards")
	for i := 1; i < len(sorted); i++ {
		a, b := sorted[i-1], sorted[i]
		if !a.keys.Adjacent(b.keys) {
			continue
		}
		if a.parent != b.parent {
			return a, b, nil
		}
		if err != nil {
			lower, upper, err = a, b, nil
		}
	}
	return lower, upper, err
}

// width is a coarse measure of a range: ranges that differ by the rounding of
// an even cut are equal.
func width(r hashkey.Range) uint64 { return (r.End.Hi>>1 - r.Start.Hi>>1 + 1<<30) >> 31 }
