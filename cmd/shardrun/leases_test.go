package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/internal/awsclient"
	"github.com/shardrun/shardrun/internal/redistest"
	"github.com/shardrun/shardrun/lease"
	leaseredis "github.com/shardrun/shardrun/lease/redis"
)

// fleet is a stream, a Redis, and workers of the group "billing" that note what they
// handle.
type fleet struct {
	t     *testing.T
	redis string
	at    []string // the flags of the endpoint
	store *leaseredis.Store

	mu      sync.Mutex // guards handled
	handled []string
}

// newFleet makes a stream orders of so many shards, and no worker.
func newFleet(t *testing.T, shards int) *fleet {
	t.Helper()
	f := &fleet{t: t, redis: redistest.Server(t), at: local(t)}
	var err error
	if f.store, err = leaseredis.New(leaseredis.Config{Addr: f.redis}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.store.Close() }) // the test is over
	f.ok("streams", "create", "orders", "--shards", fmt.Sprint(shards))
	return f
}

// args adds the flags that a command needs.
func (f *fleet) args(args []string) []string {
	if slices.Contains([]string{"leases", "pause", "resume", "reset", "gc"}, args[0]) {
		args = append(args, "--redis", f.redis)
	}
	if !slices.Contains([]string{"pause", "resume"}, args[0]) && !slices.Contains(args, "remove") {
		args = append(args, f.at...)
	}
	return args
}

func (f *fleet) ok(args ...string) string {
	f.t.Helper()
	return ok(f.t, "", f.args(args)...)
}

// refused runs a command that must fail with an error that has some text.
func (f *fleet) refused(code int, want string, args ...string) (out string) {
	f.t.Helper()
	out, errOut, got := cli(f.t, "", f.args(args)...)
	if got != code || !strings.Contains(errOut, want) {
		f.t.Errorf("%v: exit %d, want %d with %q: %s%s", args, got, code, want, out, errOut)
	}
	return out
}

// start runs a worker until the test ends, or stop is called.
func (f *fleet) start(name string) (stop func()) {
	f.t.Helper()
	client, err := awsclient.New(f.t.Context(), awsclient.Options{Endpoint: f.at[1]})
	if err != nil {
		f.t.Fatal(err)
	}
	w, err := consumer.New(consumer.Config{
		Group: "billing", Stream: "orders", Client: client, Store: f.store, WorkerName: name, LeaseTTL: 500 * time.Millisecond,
		IdleDelay: 10 * time.Millisecond, MaxIdleDelay: 10 * time.Millisecond, ReadsPerSecond: -1,
		Handler: consumer.BatchFunc(func(_ context.Context, b *consumer.Batch) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			for _, r := range b.Records {
				f.handled = append(f.handled, string(r.Data))
			}
			return nil
		}),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan error, 1) // room for what Run returns
	go func() { done <- w.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Errorf("worker %s: %v", name, err)
		}
	})
	f.t.Cleanup(stop)
	return stop
}

// leases are what the command shows, by the last digit of the shard.
func (f *fleet) leases(args ...string) map[string]leaseInfo {
	f.t.Helper()
	out := map[string]leaseInfo{}
	for _, i := range jsonLines[leaseInfo](f.t, f.ok(append([]string{"leases", "billing", "--json"}, args...)...)) {
		out[i.Shard[len(i.Shard)-1:]] = i
	}
	return out
}

// until waits for something to come true.
func (f *fleet) until(what string, is func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); {
		if time.Now().After(deadline) {
			f.t.Fatalf("not %s: %+v", what, f.leases())
		}
		time.Sleep(10 * time.Millisecond) // a look is a command: what it shows tells nobody that it changed
	}
}

// states waits until the leases are in states, which are by the last digit of their
// shards.
func (f *fleet) states(want map[string]string) {
	f.t.Helper()
	f.until(fmt.Sprint(want), func() bool {
		if _, errOut, _ := cli(f.t, "", f.args([]string{"leases", "billing"})...); strings.Contains(errOut, "did a worker of it ever start") {
			return false // it has not joined yet
		}
		leases := f.leases()
		for shard, state := range want {
			if leases[shard].State != state {
				return false
			}
		}
		return len(leases) == len(want)
	})
}

// saw waits until records were handled, in this order, since the last call.
func (f *fleet) saw(want ...string) {
	f.t.Helper()
	var got []string
	f.until(fmt.Sprintf("handled %q", want), func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		got = slices.Clone(f.handled)
		return len(got) >= len(want)
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.handled = nil; !slices.Equal(got, want) {
		f.t.Errorf("handled %q, want %q", got, want)
	}
}

func (f *fleet) put(records ...string) {
	f.t.Helper()
	f.ok(append([]string{"put", "orders", "--key", "k"}, records...)...)
}

// split splits the only shard of the stream.
func (f *fleet) split() {
	f.t.Helper()
	f.ok("split", "orders", "shardId-000000000000")
}

func TestLeasesShowsWhoHasWhatAndHowFar(t *testing.T) {
	f := newFleet(t, 1)
	f.start("ann")
	f.put("a")
	f.saw("a")
	var i leaseInfo
	f.until("saved", func() bool {
		i = f.leases("--lag")["0"]
		return i.Position != "START"
	})
	if i.State != "held" || i.Owner != "ann" || i.Epoch == 0 || i.LagMs == nil || *i.LagMs != 0 || len(i.Parents) != 0 || i.GroupPaused {
		t.Errorf("%+v", i)
	}
	if out := f.ok("leases", "--group", "billing", "--lag"); !strings.Contains(out, "LAG") || !strings.Contains(out, i.Position+":0  0s") {
		t.Errorf("table:\n%s", out)
	}
	f.ok("pause", "billing", "--wait")
	f.put("c")
	// The lag is in whole milliseconds, and none at first.
	f.until("behind by a record", func() bool {
		lag := f.leases("--lag")["0"].LagMs
		return lag != nil && *lag > 0
	})
	if out := f.ok("leases", "billing"); !strings.HasPrefix(out, "group billing is paused (shardrun resume billing)\n") {
		t.Errorf("a paused group:\n%s", out)
	}
}

func TestLeasesShowsWhatAShardWaitsFor(t *testing.T) {
	f := newFleet(t, 2)
	f.ok("merge", "orders", "shardId-000000000000", "shardId-000000000001")
	f.ok("leases", "init", "orders", "--group", "billing", "--at", "trim")
	f.ok("pause", "billing", "--shard", "shardId-000000000001")
	f.start("ann")
	f.states(map[string]string{"0": "finished", "1": "free", "2": "waiting"})
	leases := f.leases()
	if p := leases["2"].Parents; len(p) != 1 || lease.ShardOf(p[0]) != "shardId-000000000001" {
		t.Errorf("the merged shard waits for %v", p)
	}
	if out := f.ok("leases", "billing"); !slices.Equal(leases["1"].Flags, []string{"paused"}) || !strings.Contains(out, "FLAGS") {
		t.Errorf("flags %v in\n%s", leases["1"].Flags, out)
	}
	f.ok("resume", "billing", "--shard", leases["1"].Lease)
	f.states(map[string]string{"0": "finished", "1": "finished", "2": "held"})
}

func TestSessionsAreShown(t *testing.T) {
	f := newFleet(t, 2)
	stop := f.start("ann")
	f.states(map[string]string{"0": "held", "1": "held"})
	s := jsonLines[sessionInfo](t, f.ok("leases", "billing", "--sessions", "--json"))
	if len(s) != 1 || s[0].Worker != "ann" || s[0].State != "up" || s[0].Leases != 2 || s[0].Capacity != 1 || len(s[0].Streams) != 1 {
		t.Errorf("sessions %+v", s)
	}
	if out := f.ok("leases", "billing", "--sessions"); !strings.Contains(out, "WORKER") || !strings.Contains(out, "orders") || strings.Contains(out, "000000000000:") {
		t.Errorf("table of sessions:\n%s", out)
	}
	stop()
	if out := f.ok("leases", "billing", "--sessions"); out != "no worker runs\n" {
		t.Errorf("without workers: %s", out)
	}
}

// When all workers are dead nobody beats, and session time stands still before they
// lapse: they are shown as silent.
func TestDeadWorkersAreShownAsSilent(t *testing.T) {
	v := lease.View{Now: 10_000, TTL: time.Second, Sessions: []lease.Session{
		{ID: "a", Name: "well", Deadline: 10_501, State: lease.StateDrain}, {ID: "b", Name: "dead", Deadline: 10_500, State: lease.StateUp},
		{ID: "c", Name: "long dead", Deadline: 10_000, State: lease.StateUp},
	}}
	for _, id := range []string{"a", "b", "c", "d"} {
		v.Leases = append(v.Leases, lease.Lease{Name: "s/" + id, Token: checkpoint.Token(id + "#1"), Epoch: 1})
	}
	var states []string
	for _, i := range leaseInfos(v) {
		states = append(states, i.Owner+" "+i.State)
	}
	if want := []string{"well held", "dead silent", "long dead lapsed", "d lapsed"}; !slices.Equal(states, want) {
		t.Errorf("leases %q, want %q", states, want)
	}
	states = nil
	for _, i := range sessionInfos(v) {
		states = append(states, i.Worker+" "+i.State)
	}
	if want := []string{"dead silent", "long dead lapsed", "well drain"}; !slices.Equal(states, want) {
		t.Errorf("sessions %q, want %q", states, want)
	}
	if workers, held := running(v); workers != 1 || held != 1 {
		t.Errorf("%d workers run and hold %d leases, want 1 and 1", workers, held)
	}
}

// nextSecond lets the second end. Latest is the time of the service, which it tells in
// a header to the second: what was put before in the same second would be behind that
// start. The command asks a server of its own, in real time, so only waiting helps.
func nextSecond() {
	now := time.Now()
	time.Sleep(now.Truncate(time.Second).Add(time.Second + 5*time.Millisecond).Sub(now))
}

// A group that was initialised begins there, whenever its workers start.
func TestLeasesInitFixesWhereAGroupBegins(t *testing.T) {
	f := newFleet(t, 1)
	f.put("before")
	nextSecond()
	out := f.ok("leases", "init", "orders", "--group", "billing", "--at", "latest", "--lease-ttl", "500ms")
	if !strings.HasPrefix(out, "made 1 lease of orders for group billing, at START@") {
		t.Errorf("printed %q", out)
	}
	f.put("after")
	f.start("ann")
	f.saw("after")
	f.refused(exitFail, "group billing has 1 lease of stream orders already: nothing was changed; to move them: shardrun reset orders --group billing --to …",
		"leases", "init", "orders", "--group", "billing", "--at", "trim")
	if s := jsonLines[sessionInfo](t, f.ok("leases", "billing", "--sessions", "--json")); len(s) != 1 || s[0].Worker != "ann" {
		t.Errorf("sessions %+v", s)
	}
}

// lines reads the lines of a running command one by one.
func lines[T any](t *testing.T, r *bufio.Reader) func() T {
	return func() (v T) {
		t.Helper()
		line, err := r.ReadString('\n')
		if err == nil {
			err = json.Unmarshal([]byte(line), &v)
		}
		if err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		return v
	}
}

// watching runs `leases --watch`, which must end well with its context.
func (f *fleet) watching(args ...string) *bufio.Reader {
	ctx, cancel := context.WithCancel(f.t.Context())
	r, w := io.Pipe()
	ended := make(chan int, 1) // room for the one exit code
	go func() {
		ended <- run(ctx, f.args(append([]string{"leases", "billing", "--watch"}, args...)), nil, w, io.Discard)
	}()
	f.t.Cleanup(func() {
		cancel()
		_ = r.Close() // what it would print yet is not wanted
		if code := <-ended; code != exitOK {
			f.t.Errorf("the watch ended with exit %d", code)
		}
	})
	return bufio.NewReader(r)
}

func TestWatchShowsWhatChanges(t *testing.T) {
	f := newFleet(t, 2)
	f.ok("leases", "init", "orders", "--group", "billing", "--at", "trim")
	next := lines[leaseInfo](t, f.watching("--json"))
	if a, b := next(), next(); a.State != "free" || b.State != "free" || a.Shard == b.Shard {
		t.Fatalf("at first %+v and %+v", a, b)
	}
	f.ok("pause", "billing", "--shard", "shardId-000000000001")
	if i := next(); i.Shard != "shardId-000000000001" || !slices.Equal(i.Flags, []string{"paused"}) {
		t.Errorf("after a pause of one lease: %+v", i)
	}
	scope := checkpoint.Scope{Group: "billing"}
	if _, err := f.store.Collect(t.Context(), scope, lease.Collection{Names: []string{f.leases()["0"].Lease}, Deleted: true}); err != nil {
		t.Fatal(err)
	}
	if i := next(); i.Shard != "shardId-000000000000" || i.State != "gone" {
		t.Errorf("after a removal: %+v", i)
	}
}

func TestWatchPrintsTheTableAgainWhenItChanges(t *testing.T) {
	f := newFleet(t, 1)
	f.ok("leases", "init", "orders", "--group", "billing", "--at", "trim")
	r := f.watching()
	table := func() (out string) {
		for range 2 {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			out += line
		}
		return out
	}
	if first := table(); !strings.HasPrefix(first, "STREAM") || !strings.Contains(first, "free") {
		t.Errorf("at first:\n%s", first)
	}
	f.ok("pause", "billing")
	if next := table(); !strings.HasPrefix(next, "\ngroup billing is paused") {
		t.Errorf("after a pause:\n%s", next)
	}
}
