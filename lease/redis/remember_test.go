package redis_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/lease/internal/runnertest"
)

// counts is what runners counted, which save each number.
type counts struct {
	t *testing.T

	mu    sync.Mutex // guards all below
	at    map[string]uint64
	again uint64 // numbers that were to be counted again
}

// run counts up from where the lease is until it is to be given back.
func (c *counts) run(ctx context.Context, h *lease.Held) error {
	name := h.Lease().Name
	at, _ := strconv.ParseUint(string(h.Entry().Position.Sequence), 10, 64) // a start has none
	c.mu.Lock()
	if at > c.at[name] {
		c.t.Errorf("%s: begins after %d, only %d are counted", name, at, c.at[name])
	}
	c.again += c.at[name] - at
	c.mu.Unlock()
	return runnertest.Every(ctx, h.Draining(), 2*time.Millisecond, func() {
		at++
		c.mu.Lock()
		c.at[name] = max(c.at[name], at)
		c.mu.Unlock()
		h.Save(checkpoint.At(checkpoint.SequenceNumber(strconv.FormatUint(at, 10)), 0), 0, nil)
	})
}

func (c *counts) repeated() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.again
}

func TestWorkersGiveBackWhatRedisLoses(t *testing.T) {
	t.Parallel()
	c := newCrew(t)
	n := &counts{t: t, at: map[string]uint64{}}
	for _, name := range []string{"a", "b", "c"} {
		c.start(name, someRows(12), n.run)
	}
	client := goredis.NewClient(&goredis.Options{Addr: c.config.Addr})
	defer func() { _ = client.Close() }() // the test is over
	shared := share(map[string]int{"a": 4, "b": 4, "c": 4})
	for _, key := range append(strings.Fields("m s i o c d g w"), "all") {
		c.until("before the loss of "+key, 20*time.Second, shared)
		time.Sleep(100 * time.Millisecond) // under load
		err := client.Del(t.Context(), "{"+group+"}:"+key).Err()
		if key == "all" {
			err = client.FlushAll(t.Context()).Err()
		}
		if err != nil {
			t.Fatal(err)
		}
		c.until("after the loss of "+key, 20*time.Second, share(map[string]int{}))
		c.until("anew", 20*time.Second, func(owners map[string]string) bool { return len(owners) == 12 })
		if again := n.repeated(); again > 0 {
			t.Fatalf("after the loss of %s %d numbers are counted again", key, again)
		}
	}
}
