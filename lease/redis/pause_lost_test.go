package redis_test

import (
	"errors"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/lease/redis"
)

// A pause outlives the loss of all other keys. Until a worker beats nobody makes the
// state anew, and an operator sees the pause, and ends it, all the same.
func TestAPauseIsSeenAndEndedWhenAllElseIsLost(t *testing.T) {
	servers(t, func(t *testing.T, store *redis.Store, c *goredis.Client) {
		byHand := checkpoint.Scope{Group: group}
		for key := range strings.FieldsSeq("s i o c d g w") {
			if err := c.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			o := newOne(t, store)
			if err := store.Pause(t.Context(), byHand, true); err != nil {
				t.Fatal(err)
			}
			if err := c.Del(t.Context(), "{"+group+"}:"+key).Err(); err != nil {
				t.Fatal(err)
			}
			v, err := store.View(t.Context(), group)
			if !errors.Is(err, lease.ErrStateLost) || !v.Paused {
				t.Errorf("without %s, view: %v, paused %v", key, err, v.Paused)
			}
			if err := store.Pause(t.Context(), o.scope(), false); !errors.Is(err, lease.ErrStateLost) {
				t.Errorf("without %s, a worker that has joined ends the pause: %v", key, err)
			}
			if err := store.Pause(t.Context(), byHand, false); err != nil {
				t.Errorf("without %s, resume: %v", key, err)
			}
			if v, err := store.View(t.Context(), group); !errors.Is(err, lease.ErrStateLost) || v.Paused {
				t.Errorf("without %s, view after the pause: %v, paused %v", key, err, v.Paused)
			}
			if err := store.Pause(t.Context(), byHand, true); err != nil {
				t.Errorf("without %s, pause: %v", key, err)
			}
			v, err = o.beat(t)
			if !errors.Is(err, lease.ErrStateLost) {
				t.Fatalf("without %s, beat: %v", key, err)
			}
			o.inc, o.good, o.stamp = v.Incarnation, 0, 0
			if v, err := o.beat(t); err != nil || !v.Paused {
				t.Errorf("without %s, the state that was made anew: %v, paused %v", key, err, v.Paused)
			}
		}
		// Without the key that has the pause there is nothing to pause.
		if err := c.Del(t.Context(), "{"+group+"}:m").Err(); err != nil {
			t.Fatal(err)
		}
		if err := store.Pause(t.Context(), byHand, true); !errors.Is(err, lease.ErrStateLost) {
			t.Errorf("without m: %v", err)
		}
		if n := c.Exists(t.Context(), "{"+group+"}:m").Val(); n != 0 {
			t.Error("a pause made the key")
		}
	})
}
