package sim

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/localstream"
)

// When the faults are over, puts by each way and reads must succeed.
func TestAfterTheFaults(t *testing.T) {
	for name, c := range map[string]struct {
		fails string // an operation of the server
		want  string // part of the failures, empty for none
	}{
		"all is well":           {},
		"GetRecords fails":      {"GetRecords", "read shardId-000000000000 after the faults"},
		"GetShardIterator does": {"GetShardIterator", "read shardId-000000000000 after the faults"},
		"PutRecord does":        {"PutRecord", "shardId-000000000000 takes no record"},
		"PutRecords does":       {"PutRecords", "a record of canary-aggregates fails"},
		"ListShards does":       {"ListShards", "list shards after the faults"},
	} {
		t.Run(name, func(t *testing.T) {
			seedEverything(t, 1)
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(Plan{Shards: 1}, false, nil)
				w.life, w.end = context.WithCancel(t.Context())
				defer w.stop()
				var err error
				if w.kinesis, err = newKinesis(nil, &w.work, w.source, localstream.LimitsOff, 0); err != nil {
					t.Fatal(err)
				}
				if err := w.create(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second) // it is being created
				if c.fails != "" {
					server, _ := w.kinesis.current()
					defer server.Inject(localstream.Fault{Action: localstream.Fail, Operation: c.fails, Count: 1000})()
				}
				w.canary()
				w.inspect()
				said(t, w, c.want)
			})
		})
	}
}
