package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

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
	// closeTime is how long the last records may take.
	closeTime = 2 * recordTTL
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
		return errors.Join(err, p.Close(closing))
	}}
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
