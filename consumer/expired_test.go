package consumer

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

func TestGroupThatWasAwayForTwoReshardsGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 3)
		b.runs(2 * time.Second)
		b.fake.split(0) // 1 and 2
		b.fake.split(1) // 3 and 4
		b.fake.split(2) // 5 and 6
		for i, text := range map[int]string{3: "a", 4: "b", 5: "c", 6: "d"} {
			b.fake.put(i, "k", []byte(text))
		}
		b.fake.expire(true, 0, 1, 2)
		var expired []string
		b.cfg.Hooks.RecordsExpired = func(shard string, saved, oldest checkpoint.Position) {
			expired = append(expired, shard+" "+saved.String()+" "+oldest.String())
		}
		r := run(t, b.cfg)
		time.Sleep(time.Minute)
		got := strings.Split(b.h.got(), " | ")
		slices.Sort(got)
		if text := strings.Join(got, " "); text != "1 2 3 a b c d" {
			t.Errorf("delivered %q", text)
		}
		if s := r.Status(); !s.Healthy || s.LastError != nil || len(s.Shards) != 4 {
			t.Errorf("status %+v", s)
		}
		r.stop()
		if want := []string{"shardId-000000000000 103:0 SHARD_END"}; !slices.Equal(expired, want) {
			t.Errorf("expired %q, want %q", expired, want)
		}
	})
	t.Run("each heir after all that was before it", func(t *testing.T) {
		// Of the shards 3, 4 and 2 the last two were merged to 5, which was split
		// into 6 and 7; 6 has hash keys of both. 4 and 5 have expired, while 2 is
		// still to be read.
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 0)
			b.fake.split(0)
			b.fake.split(1)
			b.runs(2 * time.Second)
			b.fake.put(2, "k", []byte("before"))
			b.fake.merge(4, 2)
			b.fake.split(5)
			b.fake.put(6, "k", []byte("six"))
			b.fake.put(7, "k", []byte("seven"))
			b.fake.expire(true, 4, 5)
			hold := make(chan struct{})
			b.h.then = func(_ int, _ context.Context, batch *Batch) error {
				if batch.Shard == b.fake.shards[2].id {
					<-hold
				}
				return nil
			}
			r := run(t, b.cfg)
			time.Sleep(time.Minute)
			b.wantBatches("before")
			close(hold)
			time.Sleep(time.Minute)
			if got := b.h.got(); got != "before | six | seven" && got != "before | seven | six" {
				t.Errorf("batches %q", got)
			}
			if s := r.Status(); !s.Healthy {
				t.Errorf("status %+v", s)
			}
			r.stop()
		})
	})
}

func TestShardWithoutKnownHeirsIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 2, 3)
		b.runs(2 * time.Second)
		b.fake.split(0) // 2 and 3
		b.fake.split(2) // 4 and 5
		b.fake.put(4, "k", []byte("new"))
		b.fake.expire(true, 0, 2, 3) // 3 had no children: half of the hash keys are lost to view
		r := run(t, b.cfg)
		time.Sleep(time.Hour)
		for range 10 { // at any time
			s := r.Status()
			i := slices.IndexFunc(s.Shards, func(s ShardStatus) bool { return s.State == StateFailed })
			if s.Healthy || i < 0 || !strings.Contains(s.Shards[i].Err.Error(), "what follows them is not known") {
				t.Errorf("status %+v", s)
			}
			time.Sleep(7 * time.Second)
		}
		b.wantBatches("1 2 3")
		b.fake.expire(false, 3) // the lists had been wrong
		time.Sleep(5 * time.Minute)
		if s := r.Status(); !s.Healthy {
			t.Errorf("status %+v", s)
		}
		b.wantBatches("1 2 3 | new")
		r.stop()
	})
}

func TestAnHeirThatWouldWaitForEverIsToldOf(t *testing.T) {
	for name, test := range map[string]struct {
		epoch  uint64
		listed bool
		err    string
	}{
		"for a shard nobody will have": {err: "waits for stream/n"},
		"for one that is listed":       {listed: true},
		"or not any more":              {epoch: 1},
	} {
		t.Run(name, func(t *testing.T) {
			heir := lease.Lease{Name: "stream/x", Epoch: test.epoch, Shard: lease.Shard{Parents: []string{"stream/m", "stream/n"}}}
			rows := []lease.Lease{heir, {Name: "stream/m", Position: checkpoint.ShardEnd()}}
			err := stuck([]lease.Row{{Name: "stream/x"}}, map[string]bool{"x": true, "n": test.listed}, rows)
			if (err != nil) != (test.err != "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("error %v, want %q", err, test.err)
			}
		})
	}
}

// deadLists answers some lists of shards never.
type deadLists struct {
	*fake
	dead func(call int) bool
	n    atomic.Int32 // audits list while a shard does
}

func (d *deadLists) ListShards(ctx context.Context, in *kinesis.ListShardsInput, o ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error) {
	if d.dead(int(d.n.Add(1))) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return d.fake.ListShards(ctx, in, o...)
}

func TestDeadConnectionWhileShardsAreListedIsGivenUp(t *testing.T) {
	t.Run("at the start", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 3)
			b.cfg.Client = &deadLists{fake: b.fake, dead: func(n int) bool { return n == 1 }}
			b.runs(time.Minute)
			b.wantBatches("1 2 3")
		})
	})
	t.Run("at a shard's end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 1, 3)
			b.fake.edit = func(o *kinesis.GetRecordsOutput) { o.ChildShards = nil }
			b.cfg.Client = &deadLists{fake: b.fake, dead: func(n int) bool { return n == 2 || n == 3 }} // one may be an audit
			b.fake.split(0)
			b.fake.put(1, "k", []byte("child"))
			b.runs(time.Minute)
			b.wantBatches("1 2 3 | child")
		})
	})
}
