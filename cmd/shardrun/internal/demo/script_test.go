package demo

import (
	"testing"

	"github.com/shardrun/shardrun/internal/hashkey"
)

func TestEachGenerationGetsItsRecords(t *testing.T) {
	for _, records := range []int{leastRecords, leastRecords + 1, 20_000, 123_457} {
		start, last := 0, 0
		for _, s := range append(script(records), step{records, split}) {
			if s.at < last {
				t.Errorf("%d records: step at %d comes after one at %d", records, s.at, last)
			}
			last = s.at
			if s.action != split && s.action != merge {
				continue
			}
			if s.at-start < leastGeneration {
				t.Errorf("%d records: only %d land between %d and %d", records, s.at-start, start, s.at)
			}
			start = s.at
		}
	}
}

func shards(parents ...string) []shard {
	var out []shard
	for i, r := range hashkey.Split(len(parents)) {
		out = append(out, shard{id: string(rune('a' + i)), parent: parents[i], keys: r})
	}
	return out
}

func TestToSplitTakesTheWidest(t *testing.T) {
	open := shards("", "", "")
	if s, err := toSplit(open); err != nil || s.id != "a" {
		t.Errorf("of equals it took %q, %v; want the lowest", s.id, err)
	}
	open[2].keys.Start = hashkey.Key{Hi: 1 << 62} // wider than the others
	if s, _ := toSplit(open); s.id != "c" {
		t.Errorf("took %q, want the widest", s.id)
	}
	if _, err := toSplit(nil); err == nil {
		t.Error("no error without shards")
	}
}

func TestToMergePrefersTwoParents(t *testing.T) {
	open := shards("p", "p", "q", "q")
	open[0], open[3] = open[3], open[0] // the order of the listing does not matter
	a, b, err := toMerge(open)
	if err != nil || a.id != "b" || b.id != "c" {
		t.Errorf("merges %q and %q, %v; want b and c", a.id, b.id, err)
	}
	if a, b, err = toMerge(shards("p", "p")); err != nil || a.id != "a" || b.id != "b" {
		t.Errorf("merges %q and %q, %v; want a and b", a.id, b.id, err)
	}
	apart := shards("", "", "")
	if _, _, err := toMerge([]shard{apart[0], apart[2]}); err == nil {
		t.Error("no error for shards that are not adjacent")
	}
}
