package consumer_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/lease"
)

// leases are the rows of the group, finished ones with a "!".
func (w *world) leases() string {
	w.t.Helper()
	v, err := w.store.View(w.t.Context(), "test")
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, l := range v.Leases {
		text := strings.TrimLeft(strings.TrimPrefix(lease.ShardOf(l.Name), "shardId-"), "0")
		if text == "" {
			text = "0"
		}
		if l.Finished() {
			text += "!"
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (w *world) audited(worker string) consumer.Config {
	cfg := w.config(worker)
	cfg.AuditInterval = 20 * time.Second
	return cfg
}

// retention is how long a stream keeps its records, and some more.
const retention = 25 * time.Hour

func TestAuditRemovesTheLeasesOfShardsThatAreHandledAndGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		one := w.start(w.audited("one"))
		w.put(10)
		time.Sleep(time.Second)
		w.split(0)
		w.put(10)
		w.allHandled(5 * time.Second)
		time.Sleep(time.Minute)
		if got := w.leases(); got != "0! 1 2" {
			t.Errorf("leases %s", got)
		}
		one.stop(t)
		time.Sleep(retention)
		one = w.start(w.audited("one"))
		w.put(10)
		time.Sleep(time.Minute)
		if got := w.leases(); got != "1 2" {
			t.Errorf("leases %s", got)
		}
		one.stop(t)
		if c := w.h.Counts(); c.Handled != c.Acked {
			t.Errorf("counts %+v", c)
		}
	})
}

func TestAuditEndsShardsThatExpiredBeforeAnyoneTookThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		cfg := w.audited("one")
		cfg.MaxLeases = 1
		var (
			mu      sync.Mutex // guards expired
			expired []string
		)
		cfg.Hooks.RecordsExpired = func(shard string, saved, _ checkpoint.Position) {
			mu.Lock()
			defer mu.Unlock()
			expired = append(expired, shard+" "+saved.String())
		}
		one := w.start(cfg)
		time.Sleep(time.Minute)
		held := one.Status().Shards[0].Shard
		i := slices.IndexFunc(w.open(), func(s types.Shard) bool { return aws.ToString(s.ShardId) != held })
		free := aws.ToString(w.open()[i].ShardId)
		w.split(i)
		one.stop(t)
		time.Sleep(retention)
		one = w.start(cfg)
		time.Sleep(2 * time.Minute)
		if want := []string{free + " START"}; !slices.Equal(expired, want) {
			t.Errorf("expired %q, want %q", expired, want)
		}
		two := w.start(w.audited("two"))
		w.put(20)
		w.allHandled(5 * time.Second)
		time.Sleep(time.Minute)
		if got := strings.Fields(w.leases()); len(got) != 3 || strings.Contains(w.leases(), "!") {
			t.Errorf("leases %s", got)
		}
		one.stop(t)
		two.stop(t)
	})
}

func TestStreamThatIsMadeAnewWhileItIsReadIsReadOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		one, two := w.start(w.audited("one")), w.start(w.audited("two"))
		w.put(20)
		w.allHandled(5 * time.Second)
		_, err := w.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String(streamName)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		w.createStream(3)
		w.remade = true
		time.Sleep(time.Second)
		w.put(50)
		w.allHandled(30 * time.Second)
		one.stop(t)
		two.stop(t)
		w.verdict(0)
		if got := w.leases(); got != "0 0 1 1 2" {
			t.Errorf("leases %s", got)
		}
	})
	t.Run("and the leases of the old one go when the new one is as old as its retention", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 2)
			one := w.start(w.audited("one"))
			time.Sleep(time.Second)
			_, err := w.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String(streamName)})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			w.createStream(3)
			time.Sleep(time.Minute)
			if got := w.leases(); got != "0 0 1 1 2" {
				t.Errorf("leases %s", got)
			}
			one.stop(t)
			time.Sleep(retention)
			one = w.start(w.audited("one"))
			time.Sleep(time.Minute)
			if got := w.leases(); got != "0 1 2" {
				t.Errorf("leases %s", got)
			}
			one.stop(t)
		})
	})
}
