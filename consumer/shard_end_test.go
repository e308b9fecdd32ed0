package consumer

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/checkpoint"
)

func TestShardEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 4)
		b.fake.split(0)
		b.fake.put(1, "k", []byte("left"))
		b.fake.put(2, "k", []byte("right"))
		b.runs(time.Second)
		got := b.h.got()
		if got != "1 2 3 | 4 | left | right" && got != "1 2 3 | 4 | right | left" {
			t.Errorf("batches %q", got)
		}
		b.wantPosition("SHARD_END")
		if n := b.fake.count("ListShards"); n != 1 {
			t.Errorf("%d lists of shards, want the one at the start", n)
		}
	})
	t.Run("children that the last page does not name are listed", func(t *testing.T) {
		for name, edit := range map[string]func(*kinesis.GetRecordsOutput){
			"none":         func(o *kinesis.GetRecordsOutput) { o.ChildShards = nil },
			"one of two":   func(o *kinesis.GetRecordsOutput) { o.ChildShards = o.ChildShards[:min(1, len(o.ChildShards))] },
			"without keys": func(o *kinesis.GetRecordsOutput) { clear(o.ChildShards) },
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBench(t, 1, 1)
					b.fake.split(0)
					b.fake.put(1, "k", []byte("left"))
					b.fake.put(2, "k", []byte("right"))
					b.fake.edit = edit
					late := time.Now().Add(30 * time.Second)
					b.fake.list = func(in *kinesis.ListShardsInput, s []types.Shard) []types.Shard {
						if in.ShardFilter == nil && time.Now().Before(late) {
							return s[:1] // the listing is behind
						}
						return s
					}
					r := run(t, b.cfg)
					time.Sleep(29 * time.Second)
					b.wantBatches("1")
					if p := b.position(0); p.IsEnd() {
						t.Error("the shard ended without its children")
					}
					time.Sleep(10 * time.Second)
					r.stop()
					if got := b.h.got(); got != "1 | left | right" && got != "1 | right | left" {
						t.Errorf("batches %q", got)
					}
				})
			})
		}
	})
}

func TestPositionMovesOverRecordsOfOtherShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 2, 0)
		stray := "k0"
		for i := 0; b.fake.shards[0].keys.Contains(hashOf(stray)); i++ {
			stray = fmt.Sprintf("k%d", i)
		}
		b.fake.put(0, "x", packed(stray+"=1", stray+"=2"))
		r := run(t, b.cfg)
		time.Sleep(time.Second)
		if s := r.Status(); s.OutOfRange != 2 {
			t.Errorf("status %+v", s)
		}
		r.stop()
		b.wantBatches("")
		b.wantPosition("101:1")
	})
}

func TestExpiredRecordsAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 3)
		b.runs(time.Second)
		for i := range 3 {
			b.fake.put(0, "k", []byte(strconv.Itoa(i+4)))
		}
		b.fake.shards[0].records = b.fake.shards[0].records[4:] // retention took 101 to 104
		var gaps []string
		b.cfg.Hooks.RecordsExpired = func(shard string, saved, oldest checkpoint.Position) {
			gaps = append(gaps, fmt.Sprint(saved, " ", oldest))
		}
		b.runs(time.Second)
		b.wantBatches("1 2 3 | 5 6")
		if want := []string{"103:0 105:0"}; !slices.Equal(gaps, want) {
			t.Errorf("gaps %v, want %v", gaps, want)
		}
		b.runs(time.Second)
		if len(gaps) != 1 {
			t.Errorf("gaps %v after nothing was lost", gaps)
		}
	})
}

func TestListedShardNeverEndsUnread(t *testing.T) {
	for name, list := range map[string]func(n int, s []types.Shard) []types.Shard{
		"listed":                  func(_ int, s []types.Shard) []types.Shard { return s },
		"listed the second time":  func(n int, s []types.Shard) []types.Shard { return s[n%2:] },
		"listed, and no children": func(_ int, s []types.Shard) []types.Shard { return s[:1] },
		"not listed, no children": func(_ int, s []types.Shard) []types.Shard { return s[3:] },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 1, 3)
				b.cfg.AuditInterval = -1 // an audit between the two would see one of them
				b.runs(time.Second)
				b.fake.split(0)
				b.fake.put(0, "k", []byte("4"))
				lists := 0
				b.fake.list = func(_ *kinesis.ListShardsInput, s []types.Shard) []types.Shard {
					lists++
					return list(lists, s)
				}
				b.fake.fault = func(op string, _ int) error {
					if op == "GetRecords" {
						return apiError("ResourceNotFoundException", "Shard shardId-000000000000 does not exist")
					}
					return nil
				}
				b.runs(time.Minute)
				b.wantPosition("103:0")
				b.fake.fault = nil
				b.runs(5 * time.Minute)
				b.wantBatches("1 2 3 | 4")
			})
		})
	}
}

func TestExpiredShardLetsItsChildrenStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 3)
		b.runs(time.Second)
		b.fake.split(0)
		b.fake.put(1, "k", []byte("left"))
		b.fake.expire(true, 0)
		b.runs(20 * time.Second)
		b.wantBatches("1 2 3 | left")
		b.wantEnded(0)
	})
}
