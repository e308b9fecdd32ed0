package main

import (
	"context"
	"strings"
	"testing"

	"github.com/shardrun/shardrun/lease"
)

func TestGroupsAreListed(t *testing.T) {
	f := newFleet(t, 2)
	if out := f.ok("leases", "--groups"); out != "there are no groups in this Redis\n" {
		t.Errorf("printed %q", out)
	}
	f.ok("leases", "init", "orders", "--group", "audit", "--at", "trim")
	f.ok("pause", "audit")
	f.start("ann")
	f.states(map[string]string{"0": "held", "1": "held"})
	s, err := openRedis(t.Context(), f.redis)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.close() }() // the test is over
	for _, foreign := range []string{"{}:m", "{a}{b}:m", "x{a}:m"} {
		if err := s.client.HSet(t.Context(), foreign, "a", "b").Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.client.Set(t.Context(), "{text}:m", "a", 0).Err(); err != nil {
		t.Fatal(err)
	}
	infos := jsonLines[groupInfo](t, f.ok("leases", "--groups", "--json"))
	if len(infos) != 2 || infos[0].Group != "audit" || !infos[0].Paused || infos[0].Leases != 2 || infos[0].Workers != 0 || infos[1].Group != "billing" ||
		infos[1].Workers != 1 || infos[1].Held != 2 || infos[1].Paused || len(infos[1].Streams) != 1 || infos[1].Streams[0] != "orders" {
		t.Errorf("printed %+v", infos)
	}
	if out := f.ok("leases", "--groups"); !strings.Contains(out, "GROUP") || strings.Count(out, "orders") != 2 {
		t.Errorf("printed\n%s", out)
	}
	if names, more, err := s.groupNames(t.Context(), 1); err != nil || len(names) != 1 || !more {
		t.Errorf("of two groups: %q, more: %v, %v", names, more, err)
	}
}

func TestAGroupIsRemovedWhenNobodyUsesIt(t *testing.T) {
	f := newFleet(t, 2)
	stop := f.start("ann")
	f.states(map[string]string{"0": "held", "1": "held"})
	f.refused(exitFail, "group billing is in use: 1 worker runs", "leases", "remove", "billing", "--yes")
	f.refused(exitFail, "group billing is in use: 1 worker runs", "leases", "remove", "billing")
	stop()
	f.ok("leases", "init", "orders", "--group", "audit", "--at", "trim")
	if out := f.refused(exitPlan, "nothing was changed: say --yes to remove", "leases", "remove", "billing"); out != "group billing would be removed, with 2 leases\n" {
		t.Errorf("printed %q", out)
	}
	if l := f.leases(); len(l) != 2 {
		t.Errorf("left are %+v", l)
	}
	if r := jsonLines[removed](t, f.ok("leases", "remove", "--group", "billing", "--yes", "--json")); len(r) != 1 || !r[0].Removed || r[0].Leases != 2 {
		t.Errorf("printed %+v", r)
	}
	if infos := jsonLines[groupInfo](t, f.ok("leases", "--groups", "--json")); len(infos) != 1 || infos[0].Group != "audit" {
		t.Errorf("left are %+v", infos)
	}
	f.ok("leases", "init", "orders", "--group", "billing", "--at", "trim")
	f.ok("pause", "billing")
	f.loseAllButThePause()
	f.ok("leases", "remove", "billing", "--yes")
}

// joining is a store in which a worker joins after the look.
type joining struct {
	lease.Store
	join func()
}

func (s joining) View(ctx context.Context, group string) (lease.View, error) {
	defer s.join()
	return s.Store.View(ctx, group)
}

func TestAGroupIsNotRemovedWhileAWorkerStarts(t *testing.T) {
	f := newFleet(t, 1)
	f.ok("leases", "init", "orders", "--group", "billing", "--at", "trim")
	g, err := openGroup(t.Context(), groupFlags{redis: f.redis, group: "billing"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = g.close() }() // the test is over
	g.Store = joining{g.Store, func() { f.holder() }}
	if _, err := g.removeUnused(t.Context()); err == nil || !strings.Contains(err.Error(), "a worker of group billing started just now") {
		t.Errorf("removed: %v", err)
	}
	if l := f.leases(); len(l) != 1 {
		t.Errorf("left are %+v", l)
	}
}

func TestFinishedShardsAreCounted(t *testing.T) {
	f := newFleet(t, 1)
	const old, now = "000000000000:us-east-1:orders:1600000000000", "000000000000:us-east-1:orders:1700000000000"
	f.finished(old, "shardId-000000000000", "shardId-000000000001")
	f.finished(now, "shardId-000000000002")
	f.finished("000000000000:us-east-1:other:1600000000000", "shardId-000000000003")
	out := f.ok("leases", "billing")
	if strings.Contains(out, "shardId") || !strings.Contains(out, "4 finished shards not shown (--all)\n") ||
		!strings.Contains(out, "2 leases are of "+old+", which was deleted and made anew since: shardrun gc billing\n") || strings.Contains(out, "other") {
		t.Errorf("printed\n%s", out)
	}
	if out := f.ok("leases", "billing", "--all"); strings.Count(out, "shardId") != 4 || strings.Contains(out, "not shown") {
		t.Errorf("printed with --all\n%s", out)
	}
	l := f.leases()
	if len(l) != 4 || !l["0"].Former || !l["1"].Former || l["2"].Former || l["3"].Former {
		t.Errorf("of former streams: %+v", l)
	}
}
