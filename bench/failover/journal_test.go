package failover

import (
	"testing"

	"github.com/shardrun/shardrun/bench/worker"
)

// A position counts as stale when the store accepted it under a token from
// before the other worker had the shard, by a call that was sent after that.
func TestStalePositionsAreCounted(t *testing.T) {
	granted := func(who, shard, token string, at int64) worker.Event {
		return worker.Event{Worker: who, Kind: worker.Granted, Shard: shard, Token: token, At: at, Done: at + 1}
	}
	saved := func(token string, at int64) worker.Event {
		return worker.Event{Worker: "old", Kind: worker.Saved, Shard: "s", Token: token, At: at, Done: at + 100}
	}
	for _, c := range []struct {
		name   string
		events []worker.Event
		want   float64
	}{
		{"sent before the shard was taken", []worker.Event{granted("old", "s", "1", 10), granted("new", "s", "2", 50), saved("1", 40)}, 0},
		{"sent after", []worker.Event{granted("old", "s", "1", 10), granted("new", "s", "2", 50), saved("1", 60)}, 1},
		{"under a token that it got later", []worker.Event{
			granted("old", "s", "1", 10), granted("new", "s", "2", 50), granted("old", "s", "3", 70), saved("3", 80),
		}, 0},
		{"of another shard", []worker.Event{granted("old", "s", "1", 10), granted("new", "other", "2", 50), saved("1", 60)}, 0},
	} {
		if got := stale(c.events, "old", "new"); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestGapsAreBetweenTheLastRecordThereAndTheFirstOneHere(t *testing.T) {
	batch := func(who, shard string, at int64) worker.Event {
		return worker.Event{Worker: who, Kind: worker.Batch, Shard: shard, At: at, Done: at + 5}
	}
	events := []worker.Event{
		batch("old", "a", 10), batch("old", "a", 20), batch("new", "a", 40), batch("new", "a", 30), batch("old", "b", 35),
	}
	if got := last(events, "old")["a"]; got != 25 {
		t.Errorf("the last batch ended at %d, want 25", got)
	}
	if got := first(events, "new", nil)["a"]; got != 30 {
		t.Errorf("the first batch began at %d, want 30", got)
	}
	if got := holders(events); got["a"] != "new" || got["b"] != "old" {
		t.Errorf("the shards are held by %v", got)
	}
	if batches("new", []string{"a", "b"})(events) || !batches("new", []string{"a"})(events) {
		t.Error("new has a and not b")
	}
}

func TestRecordsAreCountedOnceAndMissedOnes(t *testing.T) {
	j := newJournal()
	j.add(worker.Event{Kind: worker.Batch, Records: []uint64{1, 2}})
	j.add(worker.Event{Kind: worker.Batch, Records: []uint64{2, 4}})
	if got := j.repeated(); got != 1 {
		t.Errorf("%d deliveries beyond the first, want 1", got)
	}
	if got := j.missing([]uint64{1, 2, 3, 4, 5}); got != 2 {
		t.Errorf("%d missing, want 2", got)
	}
}
