package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/shardrun/shardrun/internal/history/witness"
	"github.com/shardrun/shardrun/producer"
	"github.com/shardrun/shardrun/reliability/cmdline"
)

const (
	// keys is how many partition keys all producers share.
	keys = 64
	// recordTTL is how long a record may wait, so that outages of the server
	// let some expire.
	recordTTL = 5 * time.Second
	// closeTime is how long the end may take: until all that was put before has
	// ended, then the last records, and a call for each that is under way when
	// they expire.
	closeTime = 4 * recordTTL
	// farewells is how many records a producer puts when it is asked to end.
	farewells = 60
)

// mostRate is how many records a second a producer can be asked for.
const mostRate = 100_000

// producerFlags declares the flags of a producer.
func producerFlags(flags *cmdline.Flags) role {
	var (
		rate    = flags.Int("rate", 200, "records a second")
		ordered = flags.Bool("ordered", true, "keep the order of each key")
	)
	check := func() error {
		if *rate < 1 || *rate > mostRate {
			return cmdline.Wrong("-rate %d: want 1 to %d records a second", *rate, mostRate)
		}
		return nil
	}
	return role{check, func(ctx context.Context, n *node) error {
		rng := n.rand()
		cfg := producer.Config{
			Client: n.client, Stream: n.stream, Ordered: *ordered, RecordTTL: recordTTL,
			RequestTimeout: 2 * time.Second, Linger: 100 * time.Millisecond,
			RateLimit: -1, // the local stream has no limit to keep to
			Logger:    n.log,
		}
		if !*ordered && rng.IntN(2) == 0 {
			cfg.AggregateBytes = -1
		}
		p, err := producer.New(cfg)
		if err != nil {
			return err
		}
		if err := n.up(); err != nil {
			return errors.Join(err, p.Close(ctx))
		}
		w := witness.Producer{To: p, History: n.history, Name: n.name, Ordered: *ordered}
		err = put(ctx, w, rng, *rate)
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		return errors.Join(err, n.end(closing, w, rng))
	}}
}

// end ends a producer in peace: once all that it was given before has ended, it
// puts a few records more. Whether those may fail, because the server is away,
// knows who asked it to end.
func (n *node) end(ctx context.Context, w witness.Producer, rng *rand.Rand) error {
	if err := w.To.Flush(ctx); err != nil {
		return errors.Join(err, w.To.Close(ctx))
	}
	var mu sync.Mutex // guards failed
	var failed []error
	done := func(_ producer.Result, err error) {
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			failed = append(failed, err)
		}
	}
	var errs []error
	for i := range farewells {
		r := record(w.Name+" farewell", i, rng)
		r.Done = done
		errs = append(errs, w.Put(ctx, r))
	}
	if err := errors.Join(append(errs, w.To.Close(ctx))...); err != nil {
		return err
	}
	// No Done is called after Close.
	if len(failed) > 0 {
		n.history.Note(n.name, "%d of the last %d records failed: %v", len(failed), farewells, failed[0])
		n.log.Error("the last records failed", zap.Int("failed", len(failed)), zap.Int("of", farewells), zap.Error(failed[0]))
		n.unfinished = true
	}
	return nil
}

// put puts records in small bursts, evenly, until ctx ends.
func put(ctx context.Context, p witness.Producer, rng *rand.Rand, rate int) error {
	const burst = 30 // fills aggregates
	tick := time.NewTicker(time.Second * burst / time.Duration(rate))
	defer tick.Stop()
	for n := 0; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		for range burst {
			n++
			if err := p.Put(ctx, record(p.Name, n, rng)); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// record makes a record. A quarter of the keys have an explicit hash key, always
// the same one, so that all records of a key go to one place.
func record(name string, n int, rng *rand.Rand) producer.Record {
	k := rng.IntN(keys)
	r := producer.Record{
		Key:  fmt.Sprintf("key-%02d", k),
		Data: fmt.Appendf(nil, "%s %d %s", name, n, strings.Repeat("x", rng.IntN(200))),
	}
	if k%4 == 0 {
		r.HashKey = hashkey.Of(r.Key + " elsewhere").String()
	}
	return r
}
