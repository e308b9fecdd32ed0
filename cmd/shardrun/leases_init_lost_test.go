package main

import (
	"strings"
	"testing"
)

// With no worker that remembers anything, only init says where a group goes on.
func TestLeasesInitGoesOnAfterALossThatNobodyRemembers(t *testing.T) {
	f := newFleet(t, 1)
	f.put("before")
	f.ok("leases", "init", "orders", "--group", "billing", "--at", "trim", "--lease-ttl", "500ms")
	f.ok("pause", "billing")
	f.loseAllButThePause()
	nextSecond()
	out, errOut, code := cli(t, "", f.args([]string{"leases", "init", "orders", "--group", "billing", "--at", "latest", "--lease-ttl", "500ms"})...)
	if code != exitOK || !strings.Contains(out, "made 1 lease of orders") || !strings.Contains(errOut, "the state of group billing was lost: for one lease time") {
		t.Fatalf("exit %d: %s%s", code, out, errOut)
	}
	if l := f.leases(); len(l) != 1 || !l["0"].GroupPaused {
		t.Errorf("made %+v", l)
	}
	f.put("after")
	f.ok("resume", "billing")
	f.start("ann")
	f.saw("after")
}
