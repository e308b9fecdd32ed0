package redis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	goredis "github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/redistest"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/lease/redis"
)

const (
	group  = "billing"
	stream = "000000000000:us-east-1:orders:1700000000000"
	shard1 = stream + "/shardId-000000000001"
	shard2 = stream + "/shardId-000000000002"
)

// one is a group with one worker that holds shard1.
type one struct {
	store   *redis.Store
	session string
	inc     string
	sent    uint64
	good    uint64
	stamp   int64
	token   checkpoint.Token
}

func newOne(t *testing.T, s *redis.Store) *one {
	t.Helper()
	o := &one{store: s, session: uuid.NewString()}
	if _, err := o.beat(t); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), o.scope(), lease.Create{
		Session: o.session, Stream: stream, Rows: []lease.Row{{Name: shard1}, {Name: shard2}},
	}); err != nil {
		t.Fatal(err)
	}
	g, err := s.Acquire(t.Context(), o.scope(), lease.Acquire{Session: o.session, First: 1, Names: []string{shard1}})
	if err != nil || g[0].Err != nil {
		t.Fatal(err, g)
	}
	o.token = g[0].Token
	return o
}

func (o *one) scope() checkpoint.Scope { return checkpoint.Scope{Group: group, Incarnation: o.inc} }

func (o *one) beat(t *testing.T) (lease.View, error) {
	t.Helper()
	o.sent++
	v, err := o.store.Beat(t.Context(), group, lease.Beat{
		Incarnation: o.inc, NewIncarnation: uuid.NewString(), Number: o.sent, Good: o.good, Stamp: o.stamp, TTL: time.Second,
		Session: lease.Session{ID: o.session, Name: "a", State: lease.StateUp, Streams: []string{stream}},
	})
	if err == nil {
		o.good, o.stamp, o.inc = o.sent, v.Stamp, v.Incarnation
	}
	return v, err
}

func (o *one) save(t *testing.T, seq string) (checkpoint.Outcome, error) {
	t.Helper()
	out, err := o.store.Save(t.Context(), o.scope(), checkpoint.Update{
		Lease: shard1, Token: o.token, Position: checkpoint.At(checkpoint.SequenceNumber(seq), 0),
	})
	if err != nil {
		return checkpoint.Outcome{}, err
	}
	return out[0], nil
}

// servers are the two kinds of Redis, each with a client to do harm with.
func servers(t *testing.T, test func(t *testing.T, store *redis.Store, c *goredis.Client)) {
	t.Run("miniredis", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, c := redistest.Mini(t)
			test(t, newStore(t, redis.Config{Client: c}), c)
		})
	})
	t.Run("redis-server", func(t *testing.T) {
		c := goredis.NewClient(&goredis.Options{Addr: redistest.Server(t)})
		defer func() { _ = c.Close() }() // the test is over
		test(t, newStore(t, redis.Config{Client: c}), c)
	})
}

func TestALostKeyIsSeenByEveryCall(t *testing.T) {
	servers(t, func(t *testing.T, store *redis.Store, c *goredis.Client) {
		for key := range strings.FieldsSeq("m s i o c d g w") {
			if err := c.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			o := newOne(t, store)
			if out, err := o.save(t, "5"); err != nil || out.Err != nil {
				t.Fatal(out, err)
			}
			if err := c.Del(t.Context(), "{"+group+"}:"+key).Err(); err != nil {
				t.Fatal(err)
			}
			if _, err := o.save(t, "6"); !errors.Is(err, lease.ErrStateLost) {
				t.Errorf("without %s, save: %v", key, err)
			}
			if _, err := store.Acquire(t.Context(), o.scope(), lease.Acquire{Session: o.session, First: 9, Names: []string{shard2}}); !errors.Is(err, lease.ErrStateLost) {
				t.Errorf("without %s, acquire: %v", key, err)
			}
			old := o.inc
			v, err := o.beat(t)
			if !errors.Is(err, lease.ErrStateLost) || v.Incarnation == old || v.Incarnation == "" {
				t.Fatalf("without %s, beat: %v, incarnation %q after %q", key, err, v.Incarnation, old)
			}
			if _, err := o.save(t, "7"); !errors.Is(err, lease.ErrReset) {
				t.Errorf("without %s, save into the new state: %v", key, err)
			}
			o.inc, o.good, o.stamp = v.Incarnation, 0, 0
			if v, err := o.beat(t); err != nil || len(v.Leases) != 0 {
				t.Errorf("without %s, after the loss: %v, %+v", key, err, v.Leases)
			}
		}
	})
}

func TestLostWritesAreSeen(t *testing.T) {
	servers(t, func(t *testing.T, store *redis.Store, c *goredis.Client) {
		o := newOne(t, store)
		// A fail-over to a replica that had not seen the last beats.
		row, err := c.HGet(t.Context(), "{"+group+"}:i", o.session).Result()
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := o.beat(t); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.HSet(t.Context(), "{"+group+"}:i", o.session, row).Err(); err != nil {
			t.Fatal(err)
		}
		_, err = o.beat(t)
		regressed, ok := errors.AsType[*lease.RegressedError](err)
		if !ok || regressed.Number != 1 {
			t.Fatalf("beat: %v", err)
		}
		o.good, o.stamp = 0, 0
		if _, err := o.beat(t); err != nil {
			t.Error(err)
		}
	})
}

func TestARowThatCannotBeReadFailsNothingElse(t *testing.T) {
	servers(t, func(t *testing.T, store *redis.Store, c *goredis.Client) {
		for _, damage := range []struct{ key, value string }{
			{"o", "garbage"}, {"o", "x|NaN|y|z|a|b"}, {"o", "|1|y|z|a|b"}, {"o", "|x|||a|b"}, {"c", "1"}, {"c", "9|||||"},
			{"c", "1|5|0|0|x|y"}, {"c", "0|0|0|0|7|y"}, {"d", "{"}, {"d", `{"parents":5}`},
		} {
			if err := c.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			o := newOne(t, store)
			if g, err := store.Acquire(t.Context(), o.scope(), lease.Acquire{Session: o.session, First: 2, Names: []string{shard2}}); err != nil || g[0].Err != nil {
				t.Fatal(err, g)
			}
			if err := c.HSet(t.Context(), "{"+group+"}:"+damage.key, shard2, damage.value).Err(); err != nil {
				t.Fatal(err)
			}
			if out, err := o.save(t, "5"); err != nil || out.Err != nil {
				t.Errorf("%v: save of the other lease: %v, %v", damage, out, err)
			}
			token := checkpoint.Token(o.session + "#2")
			out, err := store.Save(t.Context(), o.scope(),
				checkpoint.Update{Lease: shard2, Token: token, Position: checkpoint.At("7", 0), Weight: 9},
				checkpoint.Update{Lease: shard1, Token: o.token, Position: checkpoint.At("7", 0), Weight: 9})
			if err != nil || out[0].Err == nil && damage.key != "d" || out[1].Err != nil {
				t.Errorf("%v: save of both: %v, %v", damage, out, err)
			}
			g, err := store.Acquire(t.Context(), o.scope(), lease.Acquire{Session: o.session, First: 10, Names: []string{shard2, shard1}})
			if err != nil || g[0].Err == nil || g[1].Err != nil {
				t.Errorf("%v: acquire of both: %+v, %v", damage, g, err)
			}
			_, err = store.Request(t.Context(), o.scope(), lease.Request{Session: o.session, For: time.Second, Names: []string{shard2, shard1}})
			if err != nil {
				t.Errorf("%v: request of both: %v", damage, err)
			}
			v, err := o.beat(t)
			if err != nil || len(v.Leases) == 0 || v.Leases[0].Name == "" {
				t.Errorf("%v: beat: %v, %+v", damage, err, v.Leases)
			}
		}
	})
}

func TestNewerStateIsRefused(t *testing.T) {
	servers(t, func(t *testing.T, store *redis.Store, c *goredis.Client) {
		o := newOne(t, store)
		if err := c.HSet(t.Context(), "{"+group+"}:m", "v", "2").Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := o.beat(t); !errors.Is(err, lease.ErrVersion) {
			t.Errorf("beat: %v", err)
		}
		if _, err := o.save(t, "5"); !errors.Is(err, lease.ErrVersion) {
			t.Errorf("save: %v", err)
		}
	})
}

func TestFieldsOfNewerVersionsAreKept(t *testing.T) {
	servers(t, func(t *testing.T, store *redis.Store, c *goredis.Client) {
		o := newOne(t, store)
		for _, key := range []string{"o", "c"} {
			key = "{" + group + "}:" + key
			v, err := c.HGet(t.Context(), key, shard1).Result()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.HSet(t.Context(), key, shard1, v+"|new").Err(); err != nil {
				t.Fatal(err)
			}
		}
		out, err := store.Save(t.Context(), o.scope(), checkpoint.Update{Lease: shard1, Token: o.token, Position: checkpoint.At("5", 0), Release: true})
		if err != nil || out[0].Err != nil {
			t.Fatal(out, err)
		}
		for _, key := range []string{"o", "c"} {
			if v := c.HGet(t.Context(), "{"+group+"}:"+key, shard1).Val(); !strings.HasSuffix(v, "|new") {
				t.Errorf("%s: %q", key, v)
			}
		}
	})
}

func TestNoKeyExpiresAndAllAreOfTheGroup(t *testing.T) {
	servers(t, func(t *testing.T, store *redis.Store, c *goredis.Client) {
		o := newOne(t, store)
		if _, err := o.save(t, "5"); err != nil {
			t.Fatal(err)
		}
		keys, err := c.Keys(t.Context(), "*").Result()
		if err != nil || len(keys) != 8 {
			t.Fatalf("keys %v, %v", keys, err)
		}
		for _, k := range keys {
			if !strings.HasPrefix(k, "{"+group+"}:") || c.TTL(t.Context(), k).Val() != -1 {
				t.Errorf("key %s, time to live %v", k, c.TTL(t.Context(), k).Val())
			}
		}
	})
}

// TestACallEndsWithItsContext holds that a server that does not answer keeps no
// call longer than its context, also on a connection that was good before.
func TestACallEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := redistest.Mini(t)
		stuck := make(chan struct{})
		dial := func(context.Context, string, string) (net.Conn, error) {
			c, err := m.Dial()
			return &stuckConn{c, stuck}, err
		}
		c := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1", Dialer: dial, DisableIdentity: true})
		defer func() { _ = c.Close() }() // the test is over
		store := newStore(t, redis.Config{Client: c, Timeout: time.Minute})
		o := newOne(t, store)
		close(stuck)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		from := time.Now()
		_, err := store.View(ctx, group)
		if took := time.Since(from); err == nil || took > 250*time.Millisecond {
			t.Errorf("view took %v: %v", took, err)
		}
		_ = o
	})
}

// TestADialThatHangsHoldsUpNoLaterCall holds that dials of a server that was
// away do not keep the places of the pool that beats need when it is back.
func TestADialThatHangsHoldsUpNoLaterCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := redistest.Mini(t)
		var back atomic.Bool
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			if !back.Load() {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return m.Dial()
		}
		c := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1", Dialer: dial, DisableIdentity: true})
		defer func() { _ = c.Close() }() // the test is over
		store := newStore(t, redis.Config{Client: c, Timeout: time.Minute})
		beat := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, err := store.Beat(ctx, group, lease.Beat{NewIncarnation: "i", Number: 1, TTL: time.Second, Session: lease.Session{ID: "a", Name: "a"}})
			return err
		}
		for range 5 {
			if err := beat(); err == nil {
				t.Fatal("a beat without a server")
			}
		}
		back.Store(true)
		time.Sleep(150 * time.Millisecond) // the last dial is given up within the time of a call
		if err := beat(); err != nil {
			t.Errorf("the server is back: %v", err)
		}
	})
}

// TestASaveKeepsTheOutcomesItHas holds that a call of many positions that fails
// midway tells what became of those before.
func TestASaveKeepsTheOutcomesItHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := redistest.Mini(t)
		dial := func(context.Context, string, string) (net.Conn, error) {
			c, err := m.Dial()
			return &brokenConn{c, []byte("shardId-000000000299")}, err
		}
		c := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1", Dialer: dial, DisableIdentity: true})
		defer func() { _ = c.Close() }() // the test is over
		store := newStore(t, redis.Config{Client: c})
		o := newOne(t, store)
		updates := []checkpoint.Update{{Lease: shard1, Token: o.token, Position: checkpoint.At("7", 0)}}
		for i := 1; i < 300; i++ {
			updates = append(updates, checkpoint.Update{
				Lease: fmt.Sprintf("%s/shardId-%012d", stream, i), Token: "none", Position: checkpoint.At("7", 0),
			})
		}
		out, err := store.Save(t.Context(), o.scope(), updates...)
		if err == nil || len(out) != 250 {
			t.Fatalf("%d outcomes, %v; want those of the first 250, and the error of the others", len(out), err)
		}
		if out[0].Err != nil || out[0].Position != checkpoint.At("7", 0) {
			t.Errorf("outcome %+v", out[0])
		}
	})
}

// brokenConn fails when a text is written to it.
type brokenConn struct {
	net.Conn
	at []byte
}

func (c *brokenConn) Write(b []byte) (int, error) {
	if bytes.Contains(b, c.at) {
		return 0, net.ErrClosed
	}
	return c.Conn.Write(b)
}

// stuckConn loses what is written once stuck is closed.
type stuckConn struct {
	net.Conn
	stuck chan struct{}
}

func (c *stuckConn) Write(b []byte) (int, error) {
	select {
	case <-c.stuck:
		return len(b), nil
	default:
		return c.Conn.Write(b)
	}
}

func TestAServerThatIsAwayIsNamed(t *testing.T) {
	store := newStore(t, redis.Config{Addr: "127.0.0.1:1"})
	_, err := store.View(t.Context(), group)
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") || !strings.Contains(err.Error(), group) {
		t.Errorf("error %v, want the address and the group", err)
	}
}
