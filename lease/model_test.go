package lease_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/shardrun/shardrun/internal/rediskeys"
	"github.com/shardrun/shardrun/internal/redistest"
	"github.com/shardrun/shardrun/lease"
	leaseredis "github.com/shardrun/shardrun/lease/redis"
)

var (
	modelSequences = flag.Uint64("model.sequences", modelDefault, "how many random sequences of calls the stores are compared in")
	modelSequence  = flag.Uint64("model.sequence", 1, "the seed of the first")
)

// modelGroup is the group of all sequences, one after the other.
const modelGroup = "model"

// TestTheStoresAreOneModel holds that random sequences of all calls, of several
// sessions, with time that passes, pauses, losses and fail-overs, have the same
// answers from Memory, which is the model, as from the scripts, on miniredis and on a
// real server.
func TestTheStoresAreOneModel(t *testing.T) {
	server := realBackend(t)
	reached := map[string]int{}
	for seed := *modelSequence; seed < *modelSequence+*modelSequences; seed++ {
		var steps []step
		synctest.Test(t, func(t *testing.T) { steps = compareInBubble(t, seed) })
		if t.Failed() {
			return
		}
		if at, got := server.replay(t.Context(), steps); at >= 0 {
			t.Fatalf("sequence %d on redis-server:\n%s\nanswered\n%s", seed, tell(steps[:at+1]), got)
		}
		for _, s := range steps {
			reached[s.kind+" "+s.class]++
		}
	}
	if *modelSequences >= 200 {
		for _, want := range mustReach {
			if reached[want] == 0 {
				t.Errorf("no sequence reached %q", want)
			}
		}
	}
}

// mustReach are answers that some sequence has to have, else it proves little.
var mustReach = []string{
	"beat ok", "beat gone", "beat superseded", "beat regressed", "beat stale", "beat resync", "beat lost", "beat reset", "view ok",
	"acquire ok", "acquire held", "acquire parent", "acquire gone", "acquire expired", "acquire stale", "acquire paused",
	"acquire syncing", "acquire not ready", "save ok", "save fenced", "save regress", "save not found", "complete ok", "complete fenced",
	"create ok", "create exists", "create syncing", "request ok", "request held", "refuse ok", "refuse fenced",
	"seed ok", "seed seeded", "adopt ok", "adopt not ready", "retire ok", "retire held", "retire not found",
	"collect ok", "collect held", "collect needed", "mark ok", "mark fenced", "pause ok", "reset ok", "reset changed",
	"reset not paused", "load ok",
}

// step is one thing that happens, and what the model answered.
type step struct {
	at    time.Time
	what  string
	kind  string
	class string // of the answer
	want  string
	do    func(ctx context.Context, b backend) string
}

// backend is a store with what can happen to it.
type backend interface {
	lease.Store
	// lose drops the group's state.
	lose(ctx context.Context)
	// keep notes the group's state, and fallBack goes back to it.
	keep(ctx context.Context)
	fallBack(ctx context.Context)
}

func tell(steps []step) string {
	var out strings.Builder
	for _, s := range steps[max(len(steps)-40, 0):] {
		fmt.Fprintf(&out, "%s %s\n    %s\n", s.at.UTC().Format("05.000"), s.what, s.want)
	}
	return strings.NewReplacer(modelStream+"/", "", modelStream, "S").Replace(out.String())
}

// compareInBubble runs a sequence on Memory and on miniredis, step by step.
func compareInBubble(t *testing.T, seed uint64) []step {
	_, client := redistest.Mini(t)
	store, err := leaseredis.New(leaseredis.Config{Client: client})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }() // the test is over
	mini := &redisBackend{Store: store, client: client}
	memory := &memoryBackend{Memory: lease.NewMemory()}
	g := newScript(rand.New(rand.NewPCG(seed, 1)))
	var steps []step
	for range 90 {
		s := g.next()
		if s.wait > 0 {
			time.Sleep(s.wait)
			continue
		}
		s.at = time.Now()
		s.want = s.do(t.Context(), memory)
		s.class, _, _ = strings.Cut(s.want, ":")
		steps = append(steps, s.step)
		if got := s.do(t.Context(), mini); got != s.want {
			t.Errorf("sequence %d on miniredis:\n%s\nanswered\n%s", seed, tell(steps), got)
			return nil
		}
	}
	return steps
}

// realBackend is a redis-server of which the scripts read the clock from a key.
func realBackend(t *testing.T) *redisBackend {
	client := goredis.NewClient(&goredis.Options{Addr: redistest.Server(t)})
	db, err := rediskeys.Open(rediskeys.Options{Client: client, Edit: func(source string) string {
		const clock = "redis.call('TIME')"
		if strings.Count(source, clock) != 1 {
			t.Fatalf("the scripts read the clock %d times, want once", strings.Count(source, clock))
		}
		return strings.Replace(source, clock, "redis.call('LRANGE', '{"+modelGroup+"}:clock', 0, 1)", 1)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = db.Close(), client.Close() }) // the test is over
	return &redisBackend{Store: leaseredis.On(db, zap.NewNop()), client: client}
}

// replay does all steps, each at its time, up to one that is answered in another way.
func (b *redisBackend) replay(ctx context.Context, steps []step) (int, string) {
	b.client.FlushAll(ctx)
	for i, s := range steps {
		pipe := b.client.Pipeline()
		pipe.Del(ctx, "{"+modelGroup+"}:clock")
		pipe.RPush(ctx, "{"+modelGroup+"}:clock", s.at.Unix(), s.at.Nanosecond()/1000)
		if _, err := pipe.Exec(ctx); err != nil {
			return i, err.Error()
		}
		if got := s.do(ctx, b); got != s.want {
			return i, got
		}
	}
	return -1, ""
}

// redisBackend is a store in Redis, with a client to do harm with.
type redisBackend struct {
	*leaseredis.Store
	client *goredis.Client
	kept   map[string]any
}

func (b *redisBackend) lose(ctx context.Context) { b.client.Del(ctx, rediskeys.Keys(modelGroup)...) }

func (b *redisBackend) keep(ctx context.Context) {
	b.kept = map[string]any{}
	for _, key := range rediskeys.Keys(modelGroup) {
		switch b.client.Type(ctx, key).Val() {
		case "hash":
			b.kept[key] = b.client.HGetAll(ctx, key).Val()
		case "zset":
			b.kept[key] = b.client.ZRangeWithScores(ctx, key, 0, -1).Val()
		}
	}
}

func (b *redisBackend) fallBack(ctx context.Context) {
	b.lose(ctx)
	for key, v := range b.kept {
		switch v := v.(type) {
		case map[string]string:
			b.client.HSet(ctx, key, v)
		case []goredis.Z:
			b.client.ZAdd(ctx, key, v...)
		}
	}
}

type memoryBackend struct {
	*lease.Memory
	restore func()
}

func (b *memoryBackend) lose(context.Context) { b.Forget(modelGroup) }
func (b *memoryBackend) keep(context.Context) { b.restore = b.Snapshot(modelGroup) }

func (b *memoryBackend) fallBack(context.Context) {
	if b.restore != nil {
		b.restore()
	}
}
