package consumer

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

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

func TestHeirs(t *testing.T) {
	// The lease's own shard is S, of the lower half of the hash keys.
	for name, test := range map[string]struct {
		listed []string
		leases []string // "id start end [parents…]", finished with a "!" behind the id, held once with a "+"
		want   []string // "id parents…"
		err    string
	}{
		"one that is listed and still to be read is waited for": {
			[]string{"x* 0 3 m", "y* 3 8 m", "T 4 8"}, []string{"S+ 0 4", "T+ 4 8"},
			[]string{"x S", "y S T"}, "",
		},
		"what descends from it is not": {
			[]string{"x 0 4 c", "y* 0 2 x", "z* 2 4 x", "b* 4 8"}, []string{"S+ 0 4", "b+ 4 8", "x 0 4", "y 0 2 x", "z 2 4 x"},
			[]string{"x S"}, "",
		},
		"an ancestor that is listed was handled": {
			[]string{"a 0 8", "x* 0 4 c", "b* 4 8 a"}, []string{"a!+ 0 8", "S+ 0 4 a", "b+ 4 8 a"},
			[]string{"x S"}, "",
		},
		"grandchildren": {
			[]string{"e* 0 2 c", "f* 2 4 d", "b* 4 8"}, []string{"S+ 0 4", "b+ 4 8"},
			[]string{"e S", "f S"}, "",
		},
		"children of one side, grandchildren of the other": {
			[]string{"c 0 2 S", "e* 0 2 c", "f* 2 4 d", "b* 4 8"}, []string{"S+ 0 4", "b+ 4 8"},
			[]string{"c S", "f S"}, "",
		},
		"a shard that reaches over waits for the expired one beside it": {
			[]string{"x* 0 3 m", "y* 3 8 m"}, []string{"S+ 0 4", "T+ 4 8"},
			[]string{"x S", "y S T"}, "",
		},
		"but not for one that was handled": {
			[]string{"x* 0 3 m", "y* 3 8 m"}, []string{"S+ 0 4", "T!+ 4 8"},
			[]string{"x S", "y S"}, "",
		},
		"and for a parent that is listed": {
			[]string{"x* 0 2 c", "y* 2 8 d b", "b 4 8"}, []string{"S+ 0 4", "b+ 4 8"},
			[]string{"x S", "y S b"}, "",
		},
		"a hole": {
			[]string{"e* 0 2 c", "b* 4 8"}, []string{"S+ 0 4", "b+ 4 8"}, nil, "what follows them is not known",
		},
		"none": {
			[]string{"b* 4 8"}, []string{"S+ 0 4", "b+ 4 8"}, nil, "what follows them is not known",
		},
		"one that waits for a shard nobody will have": {
			[]string{"x* 0 8 m n"}, []string{"S+ 0 4", "T!+ 4 8", "x 0 8 m n", "m! 0 4"}, nil, "waits for stream/n",
		},
		"one that is held already": {
			[]string{"x* 0 8 m n"}, []string{"S+ 0 4", "x+ 0 8 m n"}, []string{"x S"}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var shards []types.Shard
			for _, s := range test.listed {
				shards = append(shards, listed(t, s))
			}
			var leases []lease.Lease
			var mine lease.Lease
			for _, text := range test.leases {
				id, rest, _ := strings.Cut(text, " ")
				s := listed(t, strings.TrimRight(id, "+!")+" "+rest)
				l := lease.Lease{Name: "stream/" + *s.ShardId}
				l.Shard.StartingHashKey, l.Shard.EndingHashKey = *s.HashKeyRange.StartingHashKey, *s.HashKeyRange.EndingHashKey
				for _, p := range parentsOf(s, nil) {
					l.Shard.Parents = append(l.Shard.Parents, "stream/"+p)
				}
				if strings.Contains(id, "!") {
					l.Position = checkpoint.ShardEnd()
				}
				if strings.Contains(id, "+") {
					l.Epoch = 1
				}
				if leases = append(leases, l); *s.ShardId == "S" {
					mine = l
				}
			}
			rows, err := heirs(mine, shards, leases)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want one of %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range rows {
				text := lease.ShardOf(r.Name)
				for _, p := range r.Shard.Parents {
					text += " " + lease.ShardOf(p)
				}
				got = append(got, text)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("heirs %q, want %q", got, test.want)
			}
		})
	}
}

// deadLists answers some lists of shards never.
type deadLists struct {
	*fake
	dead func(call int) bool
	n    int
}

func (d *deadLists) ListShards(ctx context.Context, in *kinesis.ListShardsInput, o ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error) {
	if d.n++; d.dead(d.n) {
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
			b.cfg.Client = &deadLists{fake: b.fake, dead: func(n int) bool { return n == 2 }}
			b.fake.split(0)
			b.fake.put(1, "k", []byte("child"))
			b.runs(time.Minute)
			b.wantBatches("1 2 3 | child")
		})
	})
}
