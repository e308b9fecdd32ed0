package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"go.uber.org/zap"

	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/internal/history/witness"
	"github.com/shardrun/shardrun/localstream"
	"github.com/shardrun/shardrun/producer"
)

// A producer that is asked to end puts its last records when what it had before has
// ended, and says that work is undone when one of them fails: nothing may keep them
// from being written at the end of a run.
func TestAProducerEndsWithRecordsThatMustBeWritten(t *testing.T) {
	for name, test := range map[string]struct {
		before, after bool // the server fails: before the end was asked for, and since
		failed        bool
	}{
		"the server is well":                          {},
		"the server was away, and records expire":     {before: true},
		"the server is away for the last records too": {after: true, failed: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := localstream.NewT(t)
				client := server.Client()
				if _, err := client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("s"), ShardCount: aws.Int32(1)}); err != nil {
					t.Fatal(err)
				}
				h := history.New()
				n := &node{name: "producer", stream: "s", file: "producer", client: client, history: h, log: zap.NewNop()}
				p, err := producer.New(producer.Config{Client: client, Stream: "s", RateLimit: -1, RecordTTL: recordTTL})
				if err != nil {
					t.Fatal(err)
				}
				w, rng := witness.Producer{To: p, History: h, Name: n.name}, n.rand()
				mend := func() {}
				down := func() {
					mend = server.Inject(localstream.Fault{Operation: "PutRecords", Action: localstream.Fail, Count: -1})
				}
				if test.before {
					down()
				}
				for i := range 10 {
					if err := w.Put(t.Context(), record(n.name, i, rng)); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(recordTTL - time.Millisecond)
				mend()
				if test.after {
					down()
				}
				ctx, cancel := context.WithTimeout(t.Context(), closeTime)
				defer cancel()
				if err := n.end(ctx, w, rng); err != nil || n.unfinished != test.failed {
					t.Errorf("it ended with %v, and work is undone: %v, want %v", err, n.unfinished, test.failed)
				}
				var text strings.Builder
				if err := h.Timeline(&text); err != nil {
					t.Fatal(err)
				}
				if told := strings.Contains(text.String(), "of the last 60 records failed"); told != test.failed || h.Counts().Put != 10+farewells {
					t.Errorf("told: %v, %d put:\n%s", told, h.Counts().Put, text.String())
				}
			})
		})
	}
}
