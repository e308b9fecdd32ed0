package main

import (
	"bytes"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/redistest"
	"github.com/shardrun/shardrun/lease"
)

func TestAPausedGroupHoldsNothing(t *testing.T) {
	f := newFleet(t, 2)
	f.start("ann")
	f.states(map[string]string{"0": "held", "1": "held"})
	if out := f.ok("pause", "billing", "--wait"); out != "group billing is paused: 1 worker runs, nothing is held\n" {
		t.Errorf("printed %q", out)
	}
	f.put("later")
	if l := f.leases(); l["0"].State != "free" || l["1"].State != "free" || !l["0"].GroupPaused {
		t.Errorf("in a pause: %+v", l)
	}
	if i := jsonLines[pauseInfo](t, f.ok("resume", "billing", "--json"))[0]; i.Paused || i.Workers != 1 || i.Group != "billing" {
		t.Errorf("resume printed %+v", i)
	}
	f.saw("later")
}

func TestOneLeaseIsPaused(t *testing.T) {
	f := newFleet(t, 2)
	f.start("ann")
	f.states(map[string]string{"0": "held", "1": "held"})
	if out := f.ok("pause", "billing", "--shard", "shardId-000000000001", "--wait"); !strings.HasSuffix(out, "/shardId-000000000001 is paused: 1 worker runs, nothing is held\n") {
		t.Errorf("printed %q", out)
	}
	f.states(map[string]string{"0": "held", "1": "free"})
	f.ok("pause", "billing", "--wait")
	if out := f.ok("resume", "billing", "--shard", "shardId-000000000001"); !strings.Contains(out, "but its group is: shardrun resume billing") {
		t.Errorf("printed %q", out)
	}
	f.ok("resume", "billing")
	f.states(map[string]string{"0": "held", "1": "held"})
	f.refused(exitFail, "no lease of shard shardId-7", "pause", "billing", "--shard", "shardId-7")
}

// A reset to the oldest records reads all generations of shards again, in order.
func TestResetReadsAllGenerationsAgainInOrder(t *testing.T) {
	f := newFleet(t, 1)
	f.start("ann")
	f.put("1")
	f.put("2")
	f.saw("1", "2")
	f.split()
	f.put("3")
	f.put("4")
	f.saw("3", "4")
	f.states(map[string]string{"0": "finished", "1": "held", "2": "held"})

	reset := []string{"reset", "orders", "--group", "billing", "--to", "trim"}
	plan := f.refused(exitPlan, "nothing was changed: say --yes to reset, when group billing is paused", reset...)
	if !strings.Contains(plan, "WOULD GO ON FROM") || !regexp.MustCompile(`SHARD_END +START\n`).MatchString(plan) || strings.Count(plan, "(removed)") != 2 {
		t.Errorf("the plan is\n%s", plan)
	}
	reset = append(reset, "--yes")
	f.refused(exitFail, "group billing is not paused: shardrun pause billing --wait", reset...)
	f.states(map[string]string{"0": "finished", "1": "held", "2": "held"})
	f.ok("pause", "billing", "--wait")
	f.put("5") // what arrives meanwhile comes too
	if out := f.ok(reset...); !strings.Contains(out, "GOES ON FROM") {
		t.Errorf("printed %s", out)
	}
	f.states(map[string]string{"0": "free"})
	f.ok("resume", "billing")
	f.saw("1", "2", "3", "4", "5")
	f.states(map[string]string{"0": "finished", "1": "held", "2": "held"})
}

func TestAForcedResetNeedsNoPause(t *testing.T) {
	f := newFleet(t, 1)
	f.start("ann")
	f.put("1")
	f.saw("1")
	lines := jsonLines[resetLine](t, f.ok("reset", "orders", "--group", "billing", "--to", "trim", "--force", "--yes", "--json"))
	if len(lines) != 1 || !lines[0].Done || lines[0].To != "START" {
		t.Errorf("printed %+v", lines)
	}
	f.saw("1")
	if f.leases()["0"].GroupPaused {
		t.Error("the group stays paused")
	}
	// A group that was paused stays so.
	f.ok("pause", "billing", "--wait")
	f.ok("reset", "orders", "--group", "billing", "--to", "trim", "--force", "--yes")
	if !f.leases()["0"].GroupPaused {
		t.Error("a reset ended the pause")
	}
}

func TestResetToLatestSkips(t *testing.T) {
	f := newFleet(t, 1)
	f.ok("leases", "init", "orders", "--group", "billing", "--at", "trim", "--lease-ttl", "500ms")
	f.put("skipped")
	nextSecond()
	f.ok("pause", "billing")
	f.ok("reset", "orders", "--group", "billing", "--to", "latest", "--yes")
	f.put("next")
	f.ok("resume", "billing")
	f.start("ann")
	f.saw("next")
}

func TestResetOfOneShard(t *testing.T) {
	f := newFleet(t, 1)
	f.start("ann")
	for _, record := range []string{"1", "2", "3"} {
		f.put(record)
	}
	f.saw("1", "2", "3")
	f.ok("pause", "billing", "--wait")
	tailed := jsonLines[tailed](t, f.ok("tail", "orders", "--from", "trim", "--no-follow", "--json"))
	one := func(to string, more ...string) []string {
		return append([]string{"reset", "orders", "--group", "billing", "--shard", "shardId-000000000000", "--to", to}, more...)
	}
	f.refused(exitPlan, "say --yes to reset\n", one(tailed[0].SequenceNumber)...)
	f.ok(one(tailed[0].SequenceNumber, "--yes")...)
	f.ok("resume", "billing")
	f.saw("2", "3")
	f.refused(exitFail, "neither group billing nor its lease is paused: shardrun pause billing --shard shardId-000000000000 --wait", one("trim", "--yes")...)
	f.ok(one("trim", "--yes", "--force")...)
	f.saw("1", "2", "3")

	f.refused(exitUsage, "a sequence number is of one shard: name it with --shard", "reset", "orders", "--group", "billing", "--to", tailed[0].SequenceNumber)
	f.refused(exitFail, "--to 12: InvalidArgumentException", one("12", "--yes", "--force")...)
	f.split()
	f.states(map[string]string{"0": "finished", "1": "held", "2": "held"})
	f.refused(exitFail, "shard shardId-000000000000 was handled to its end", one("trim", "--yes", "--force")...)
	f.refused(exitFail, "no lease of shard shardId-9", "reset", "orders", "--group", "billing", "--shard", "shardId-9", "--to", "trim")
}

// finished makes a lease at the end of its shard, as of a shard that is not there any
// more.
func (f *fleet) finished(stream string, shards ...string) {
	f.t.Helper()
	var rows []lease.Row
	for _, shard := range shards {
		rows = append(rows, lease.Row{Name: lease.Name(stream, shard), Position: checkpoint.ShardEnd()})
	}
	session := lease.Session{ID: uuid.NewString(), Name: "test-" + uuid.NewString(), Plan: lease.PlanVersion, State: lease.StateUp}
	v, err := f.store.Beat(f.t.Context(), "billing", lease.Beat{Session: session, Number: 1, NewIncarnation: uuid.NewString(), TTL: time.Second})
	if err != nil {
		f.t.Fatal(err)
	}
	scope := checkpoint.Scope{Group: "billing", Incarnation: v.Incarnation}
	if err := f.store.Create(f.t.Context(), scope, lease.Create{Session: session.ID, Stream: stream, Rows: rows}); err != nil {
		f.t.Fatal(err)
	}
	if err := f.store.Bye(f.t.Context(), scope, session.ID); err != nil {
		f.t.Fatal(err)
	}
}

func TestGcRemovesWhatIsGoneFromTheStream(t *testing.T) {
	f := newFleet(t, 1)
	f.ok("leases", "init", "orders", "--group", "there", "--at", "trim")
	stream := jsonLines[leaseInfo](t, f.ok("leases", "there", "--json"))[0].Stream
	f.finished(stream, "shardId-000000000000", "shardId-000000000007", "shardId-000000000008")
	other := strings.Replace(stream, ":orders:", ":invoices:", 1)
	f.finished(other, "shardId-000000000009")
	gc := func(args ...string) (out, errOut string, code int) {
		var o, e bytes.Buffer
		a := &app{out: &o, err: &e, gcTwice: time.Millisecond}
		code = a.run(t.Context(), f.args(append([]string{"gc"}, args...)))
		return o.String(), e.String(), code
	}
	out, errOut, code := gc("billing")
	if code != exitPlan || !strings.Contains(errOut, "stream invoices is not at this endpoint: its leases are left alone") ||
		!strings.Contains(errOut, "say --yes to remove") || strings.Count(out, "gone from the stream") != 2 || strings.Contains(out, "shardId-000000000000") {
		t.Errorf("exit %d: %s%s", code, out, errOut)
	}
	if out, errOut, code := gc("billing", "orders", "--yes"); code != exitOK || errOut != "" || strings.Count(out, "gone from the stream") != 2 {
		t.Errorf("exit %d: %s%s", code, out, errOut)
	}
	if l := f.leases(); len(l) != 2 || l["0"].State != "finished" || l["9"].State != "finished" {
		t.Errorf("left are %+v", l)
	}
	if out, _, code := gc("billing", "orders"); code != exitOK || out != "nothing is to be removed\n" {
		t.Errorf("exit %d: %s", code, out)
	}
	for _, c := range []struct{ args, want string }{
		{"billing --deleted", "--deleted needs STREAM"},
		{"billing orders --deleted --yes", "stream orders is there"},
		{"billing flights --deleted", "no leases of a stream flights"},
	} {
		if _, errOut, code := gc(strings.Fields(c.args)...); code == exitOK || !strings.Contains(errOut, c.want) {
			t.Errorf("gc %s: exit %d: %s", c.args, code, errOut)
		}
	}
	elsewhere := strings.Replace(other, ":us-east-1:", ":eu-west-1:", 1)
	f.finished(elsewhere, "shardId-000000000003")
	if out, errOut, code := gc("billing", "invoices", "--deleted", "--yes"); code != exitOK || errOut != "" || strings.Count(out, "its stream was deleted") != 1 {
		t.Errorf("exit %d: %s%s", code, out, errOut)
	}
	if l := f.leases(); len(l) != 2 || l["9"].State != "" || l["3"].State != "finished" {
		t.Errorf("left are %+v", l)
	}
	if _, errOut, code := gc("billing", "flights"); code != exitFail || !strings.Contains(errOut, "no leases of a stream flights, but of invoices, orders") {
		t.Errorf("exit %d: %s", code, errOut)
	}
}

func TestGcFindsTheStreamsThatWereDeleted(t *testing.T) {
	created := time.UnixMilli(1_700_000_000_000).UTC()
	leases := []lease.Lease{
		{Name: "0:eu:orders:1600000000000/a"}, {Name: "0:eu:orders:1700000000000/b"}, {Name: "0:eu:orders:1800000000000/c"},
		{Name: "1:eu:orders:1600000000000/d"}, {Name: "0:us:orders:1600000000000/e"}, {Name: "0:eu:others:1600000000000/f"}, {Name: "odd/g"},
	}
	st := found{id: "0:eu:orders:1700000000000", created: created, retention: 24 * time.Hour, now: created.Add(24*time.Hour + 1)}
	if got := remade(st, leases); len(got) != 1 || got[0].Lease != leases[0].Name || !got[0].deleted {
		t.Errorf("found %+v", got)
	}
	st.now = created.Add(24 * time.Hour)
	if got := remade(st, leases); len(got) != 0 {
		t.Errorf("found %+v within the retention", got)
	}
}

func TestGcSaysWhatItKept(t *testing.T) {
	f := newFleet(t, 1)
	f.start("ann")
	f.states(map[string]string{"0": "held"})
	g, err := openGroup(t.Context(), groupFlags{redis: f.redis, group: "billing"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = g.close() }() // the test is over
	v, err := g.known(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lines := []gcLine{{Lease: v.Leases[0].Name, deleted: true}, {Lease: "gone/already"}, {Lease: v.Leases[0].Name}}
	if err := g.collect(t.Context(), v, lines); err != nil {
		t.Fatal(err)
	}
	if lines[0].Kept != "a worker holds it" || lines[0].Removed || !lines[1].Removed || lines[2].Removed {
		t.Errorf("%+v", lines)
	}
}

func TestAdministrationRefusesWhatIsWrong(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	_ = l.Close() // now nothing listens there
	redis, at := redistest.Server(t), local(t)
	ok(t, "", append([]string{"streams", "create", "orders"}, at...)...)
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "leases: GROUP is required", []string{"leases"}},
		{exitUsage, "GROUP is given twice", []string{"leases", "a", "--group", "b"}},
		{exitUsage, "use one of them", []string{"leases", "a", "--sessions", "--lag"}},
		{exitUsage, "--group is required", []string{"leases", "init", "orders", "--at", "trim"}},
		{exitUsage, "--at is required: trim, latest, a time", []string{"leases", "init", "orders", "--group", "g"}},
		{exitUsage, `--at "noon": want latest, trim, a time`, []string{"leases", "init", "orders", "--group", "g", "--at", "noon"}},
		{exitUsage, "--lease-ttl 1ms: it must be from 300ms to 5m0s", []string{"leases", "init", "orders", "--group", "g", "--at", "trim", "--lease-ttl", "1ms"}},
		{exitFail, "stream not found", []string{"leases", "init", "gone", "--group", "g", "--at", "trim"}},
		{exitUsage, "--to is required", []string{"reset", "orders", "--group", "g"}},
		{exitUsage, `--to "noon": want trim, latest`, []string{"reset", "orders", "--group", "g", "--to", "noon"}},
		{exitUsage, `--to "SHARD_END": want trim, latest`, []string{"reset", "orders", "--group", "g", "--to", "SHARD_END", "--shard", "s"}},
		{exitFail, "there is no group g in this Redis", []string{"reset", "orders", "--group", "g", "--to", "trim"}},
		{exitFail, "there is no group g in this Redis", []string{"pause", "g"}},
		{exitFail, "there is no group g in this Redis", []string{"resume", "g"}},
		{exitFail, "there is no group g in this Redis", []string{"gc", "g"}},
		{exitFail, "has a brace", []string{"pause", "{g}"}},
		{exitUsage, "gc: GROUP is required", []string{"gc"}},
		{exitUsage, "accepts at most 2 arg(s)", []string{"gc", "a", "b", "c"}},
		{exitUsage, "gc: GROUP is given twice, as a and as g", []string{"gc", "a", "orders", "--group", "g"}},
		{exitUsage, "pause: GROUP is given twice", []string{"pause", "a", "--group", "b"}},
		{exitUsage, "resume: GROUP is required", []string{"resume"}},
		{exitUsage, "--groups lists the groups", []string{"leases", "g", "--groups"}},
		{exitFail, "there is no group g in this Redis", []string{"gc", "orders", "--group", "g"}},
		{exitFail, "there is no group g in this Redis", []string{"leases", "remove", "g", "--yes"}},
		{exitFail, "(taken as STREAM g, GROUP orders)", []string{"reset", "g", "--group", "orders", "--to", "trim"}},
		{exitFail, "(taken as STREAM g, GROUP orders)", []string{"leases", "init", "g", "--group", "orders", "--at", "trim"}},
	} {
		args := append(slices.Clone(c.args), "--redis", redis)
		if !slices.Contains([]string{"pause", "resume"}, c.args[0]) && !slices.Contains(c.args, "remove") {
			args = append(args, at...)
		}
		if _, errOut, code := cli(t, "", args...); code != c.code || !strings.Contains(errOut, c.want) {
			t.Errorf("%v: exit %d, want %d with %q: %s", c.args, code, c.code, c.want, errOut)
		}
	}
	for _, args := range [][]string{{"pause", "g"}, {"leases", "g", "--watch"}, {"leases", "init", "orders", "--group", "g", "--at", "trim"}} {
		if _, errOut, code := cli(t, "", append(args, "--redis", nobody)...); code != exitFail || !strings.Contains(errOut, "no Redis answers at "+nobody) {
			t.Errorf("%v: exit %d: %s", args, code, errOut)
		}
	}
	ok(t, "", append([]string{"leases", "init", "orders", "--group", "g", "--at", "trim", "--redis", redis}, at...)...)
	ok(t, "", append([]string{"streams", "create", "invoices"}, at...)...)
	if _, errOut, code := cli(t, "", append([]string{"reset", "invoices", "--group", "g", "--to", "trim", "--redis", redis}, at...)...); code != exitFail ||
		!strings.Contains(errOut, "group g has no leases of stream invoices: shardrun leases init makes them") {
		t.Errorf("exit %d: %s", code, errOut)
	}
}
