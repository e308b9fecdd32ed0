package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/shardrun/shardrun/internal/rediskeys"
	"github.com/shardrun/shardrun/lease"
)

// loseAllButThePause deletes all keys of the group but the one that has the pause.
func (f *fleet) loseAllButThePause() {
	f.t.Helper()
	s, err := openRedis(f.t.Context(), f.redis)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = s.close() }() // the keys are gone
	if err := s.client.Del(f.t.Context(), rediskeys.Keys("billing")[1:]...).Err(); err != nil {
		f.t.Fatal(err)
	}
}

func TestAPausedGroupWhoseStateWasLostIsSeenAndResumed(t *testing.T) {
	f := newFleet(t, 1)
	f.ok("leases", "init", "orders", "--group", "billing", "--at", "trim", "--lease-ttl", "500ms")
	f.put("1")
	f.ok("pause", "billing")
	f.loseAllButThePause()
	const lost = "group billing has no leases: part of its state was lost; the first worker that runs makes it anew, " +
		"with what the workers remember; no worker makes any while it is paused: shardrun resume billing; " +
		"to say where it goes on: shardrun leases init STREAM --group billing --at …\n"
	if out := f.ok("leases", "billing"); out != lost {
		t.Errorf("leases printed %q", out)
	}
	if out := f.ok("pause", "billing", "--wait"); out != "group billing is paused: no worker runs, nothing is held\n"+lost {
		t.Errorf("pause printed %q", out)
	}
	if i := jsonLines[pauseInfo](t, f.ok("pause", "billing", "--json"))[0]; i.Note != strings.TrimSpace(lost) {
		t.Errorf("pause printed %+v", i)
	}
	f.refused(exitFail, "part of its state was lost", "pause", "billing", "--shard", "shardId-000000000000")
	f.start("ann")
	const mute = "group billing has no leases: its state was lost; no worker makes any while it is paused: shardrun resume billing"
	f.until("made anew", func() bool { return strings.HasPrefix(f.ok("leases", "billing"), mute) })
	if s := jsonLines[sessionInfo](t, f.ok("leases", "billing", "--sessions", "--json")); len(s) != 1 || s[0].Worker != "ann" {
		t.Errorf("workers %+v", s)
	}
	if out, errOut, code := cli(t, "", f.args([]string{"leases", "billing", "--json"})...); code != exitOK || out != "" || !strings.Contains(errOut, mute) {
		t.Errorf("exit %d: %s%s", code, out, errOut)
	}
	f.refused(exitFail, mute, "reset", "orders", "--group", "billing", "--to", "trim")
	if out := f.ok("resume", "billing"); !strings.HasPrefix(out, "group billing goes on: 1 worker runs\n") {
		t.Errorf("resume printed %q", out)
	}
	f.saw("1")
}

// What workers hold may take them long to give back; a holder of this test never does.
func TestAnInterruptedWaitSaysThatThePauseStays(t *testing.T) {
	f := newFleet(t, 1)
	f.ok("leases", "init", "orders", "--group", "billing", "--at", "trim", "--lease-ttl", "1m")
	h := f.holder()
	h.take(f.leases()["0"].Lease)
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "shardrun: interrupted: group billing stays paused until shardrun resume billing; held yet: shardId-000000000000 of orders by test-" + h.id + "\n"},
		{[]string{"--shard", "shardId-000000000000"}, "/shardId-000000000000 stays paused until shardrun resume billing --shard shardId-000000000000; held yet: shardId-000000000000 of orders by test-"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan string, 1) // room for what it printed
		go func() {
			var out, errOut strings.Builder
			if code := run(ctx, f.args(append([]string{"pause", "billing", "--wait"}, c.args...)), nil, &out, &errOut); code != exitFail {
				t.Errorf("exit %d: %s", code, out.String())
			}
			ended <- errOut.String()
		}()
		f.until("paused", func() bool { l := f.leases()["0"]; return l.GroupPaused && len(l.Flags) == len(c.args)/2 })
		cancel()
		if got := <-ended; !strings.Contains(got, c.want) {
			t.Errorf("printed %q, want %q", got, c.want)
		}
	}
}

func TestAWaitThatFailsNamesTheFirstHolders(t *testing.T) {
	v := lease.View{Now: 0, TTL: time.Second, Sessions: []lease.Session{{ID: "a", Name: "ann", Deadline: 1000}}}
	for shard := range strings.FieldsSeq("0 1 2 3 4 5 6 7 8 9 x y") {
		v.Leases = append(v.Leases, lease.Lease{Name: "0:eu:orders:1/" + shard, Token: "a#1"})
	}
	f := pauseFlags{groupFlags: groupFlags{group: "g"}}
	err := stillPaused(context.DeadlineExceeded, f, pauseInfo{Group: "g", Paused: true}, v)
	if text := err.Error(); !strings.HasPrefix(text, "timed out: group g stays paused") || !strings.Contains(text, "9 of orders by ann, and 2 more") || strings.Contains(text, "x of") {
		t.Errorf("said %v", err)
	}
	err = stillPaused(context.DeadlineExceeded, f, pauseInfo{Group: "g", Paused: true}, lease.View{})
	if err.Error() != "timed out: group g stays paused until shardrun resume g" {
		t.Errorf("said %v", err)
	}
}
