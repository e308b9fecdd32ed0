package drainer

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/shardrun/shardrun/bench/child"
)

// Drain says what is to be read.
type Drain struct {
	// Endpoint serves Stream; Redis and DynamoDB keep the positions.
	Endpoint string `json:"endpoint"`
	Stream   string `json:"stream"`
	Redis    string `json:"redis"`
	DynamoDB string `json:"dynamodb"`
	// Group is new with each run.
	Group string `json:"group"`
	// Records is how many user records there are.
	Records int `json:"records"`
	// Memory is the budget for what has been read, 0 for the default.
	Memory int64 `json:"memory"`
	// Fast asks in CBOR, with our own client.
	Fast bool `json:"fast"`
	// Aggregated says that the records are in aggregates.
	Aggregated bool `json:"aggregated"`
}

// Drained is what the process says at its end.
type Drained struct {
	// Seconds is the time from the start of the consumer to the last record.
	Seconds float64 `json:"seconds"`
	// Handled is the number of records handled; there is none to be handled
	// twice.
	Handled int64 `json:"handled"`
	child.Usage
}

// Run is a contestant: it handles all records, tells of them, saves its
// positions, and returns when ctx ends.
type Run func(ctx context.Context, d Drain, handled func(n int)) error

// Role is the role of the process of a contestant.
func Role(run Run) child.Role {
	return child.As(func(ctx context.Context, say *child.Speaker, d Drain) error { return drain(ctx, say, d, run) })
}

func drain(ctx context.Context, say *child.Speaker, d Drain, run Run) error {
	say.Say(struct{}{}) // ready
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	work, done := context.WithCancel(ctx)
	defer done()
	var (
		count atomic.Int64
		took  atomic.Int64
		began = time.Now()
		used  = child.UsageNow().CPU
	)
	err := run(work, d, func(n int) {
		if count.Add(int64(n)) == int64(d.Records) {
			took.Store(int64(time.Since(began)))
			done()
		}
	})
	if err != nil {
		return err
	}
	if n := count.Load(); n != int64(d.Records) {
		return fmt.Errorf("%d records handled, not %d", n, d.Records)
	}
	out := Drained{Seconds: time.Duration(took.Load()).Seconds(), Handled: count.Load(), Usage: child.UsageNow()}
	out.CPU -= used
	say.Say(out)
	return nil
}
