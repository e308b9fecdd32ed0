package producer

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/internal/hashkey"
)

func TestPutSyncSaysWhereTheRecordIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(4)
		p := newTest(t, f, nil)
		for i := range 20 {
			key := fmt.Sprintf("key-%d", i)
			res, err := p.PutSync(t.Context(), Record{Key: key, Data: []byte("x")})
			if err != nil {
				t.Fatal(err)
			}
			want := f.find(hashkey.Of(key))
			if res != (Result{want.id, fmt.Sprint(i + 1), 0, 1}) {
				t.Errorf("%s: %+v, want shard %s, sequence number %d", key, res, want.id, i+1)
			}
		}
	})
}

func TestConfigIsCheckedByField(t *testing.T) {
	good := Config{Client: newFake(1), Stream: "s"}
	for want, change := range map[string]func(*Config){
		"Client is required": func(c *Config) { c.Client = nil },
		"Stream is required": func(c *Config) { c.Stream = "" },
		"MaxRecordBytes is 10485761, 1 to 10485760 is accepted": func(c *Config) { c.MaxRecordBytes = 10<<20 + 1 },
		"BufferRecords is -1":   func(c *Config) { c.BufferRecords = -1 },
		"BufferBytes is 100":    func(c *Config) { c.BufferBytes = 100 },
		"CallRecords is 501":    func(c *Config) { c.CallRecords = 501 },
		"CallBytes is 10485761": func(c *Config) { c.CallBytes = 10<<20 + 1 },
		"Calls is -1":           func(c *Config) { c.Calls = -1 },
		"AggregateRecords is":   func(c *Config) { c.AggregateRecords = -1 },
		"RequestTimeout is -1s": func(c *Config) { c.RequestTimeout = -time.Second },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestStreamMayBeAnARN(t *testing.T) {
	arn := "arn:aws:kinesis:us-east-1:000000000000:stream/s"
	f := newFake(1)
	f.before = func(_ int, in *kinesis.PutRecordsInput) (*kinesis.PutRecordsOutput, error) {
		if in.StreamName != nil || *in.StreamARN != arn {
			t.Errorf("name %v, ARN %v", in.StreamName, in.StreamARN)
		}
		return nil, nil
	}
	p := newTest(t, f, func(c *Config) { c.Stream = arn })
	if _, err := p.PutSync(t.Context(), Record{Key: "k"}); err != nil {
		t.Fatal(err)
	}
}

func TestHooksTellOfCallsRecordsAndShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(2)
		f.latency = time.Second
		f.refuse = func(n, _ int, _ string) string {
			if n == 1 {
				return "ProvisionedThroughputExceededException"
			}
			return ""
		}
		var mu sync.Mutex
		var calls []CallEvent
		var settled []SettledEvent
		var maps []ShardMapEvent
		p := newTest(t, f, func(c *Config) {
			c.Hooks = Hooks{
				Call:     func(e CallEvent) { mu.Lock(); calls = append(calls, e); mu.Unlock() },
				Settled:  func(e SettledEvent) { mu.Lock(); settled = append(settled, e); mu.Unlock() },
				ShardMap: func(e ShardMapEvent) { mu.Lock(); maps = append(maps, e); mu.Unlock() },
			}
		})
		synctest.Wait()
		res, err := p.PutSync(t.Context(), Record{Key: "key", Data: []byte("data")})
		if err != nil {
			t.Fatal(err)
		}
		flush(t, p)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		want := CallEvent{Entries: 1, Records: 1, Bytes: 7, Throttled: 1, Limit: "refused by the test", Duration: time.Second}
		if len(calls) != 2 || calls[0] != want || calls[1].Throttled != 0 {
			t.Errorf("calls: %+v", calls)
		}
		if len(settled) != 1 || settled[0].Shard != res.Shard || settled[0].Attempts != 2 || settled[0].Age < 2*time.Second {
			t.Errorf("settled: %+v", settled)
		}
		if len(maps) != 1 || maps[0].Shards != 2 {
			t.Errorf("shard maps: %+v", maps)
		}
	})
}
