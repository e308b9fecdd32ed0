package producer

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestExpiryIsLookedAtInSteps(t *testing.T) {
	b := newBench(t, func(c *Config) { c.RecordTTL = 32 * time.Second })
	for i := range 300 {
		b.put(0, fmt.Sprint(i))
		b.now = b.now.Add(10 * time.Millisecond)
	}
	b.now = epoch.Add(32 * time.Second)
	n, steps := 0, 0
	for n < 300 {
		pl := b.next()
		ended := b.settle(pl)
		if n += count(ended); len(ended) > 0 {
			steps++
			continue
		}
		if !pl.wake.After(b.now) {
			t.Fatalf("to be asked again at once, with %d expired", n)
		}
		b.now = b.now.Add(10 * time.Millisecond) // something else happened
	}
	if steps > 5 {
		t.Errorf("300 records of 3 s expired in %d steps, want one a second", steps)
	}
	if late := b.now.Sub(epoch.Add(32*time.Second + 2990*time.Millisecond)); late > time.Second {
		t.Errorf("the last expired %v late", late)
	}
}

func TestRecordsOfMergedShardsExpireByTheirAge(t *testing.T) {
	b := newBench(t, func(c *Config) { c.RecordTTL = 30 * time.Second }, ranges("p", 4)...)
	b.put(0, "first")
	low := b.one()
	b.put(4, "first")
	high := b.one()
	b.put(0, "old") // both wait for the calls before
	b.now = b.now.Add(20 * time.Second)
	b.put(4, "young")
	b.c.mapped(b.now, ranges("m"))
	b.put(0, "own") // is looked at before the others come
	b.next()
	b.answer(low, "p0", nil)
	b.answer(high, "p1", nil) // its records are queued in front of the other's
	b.c.calls = b.c.cfg.Calls // nothing can be sent
	ages := map[string]time.Duration{}
	for len(ages) < 3 && b.now.Sub(epoch) < time.Hour {
		pl := b.next()
		for _, o := range b.settle(pl) {
			for _, r := range o.entry.contents() {
				ages[string(r.Data)] = b.now.Sub(epoch)
			}
		}
		b.now = latest(pl.wake, b.now.Add(time.Millisecond))
	}
	if old, young := ages["old"], ages["young"]; old < 30*time.Second || old > 31*time.Second || young < 50*time.Second || young > 51*time.Second {
		t.Errorf("expired at %v, want at 30 s and 50 s", ages)
	}
}

// A merge and a split leave old records between young ones in one aggregate.
func TestOldRecordsExpireFromAmongYoungOnes(t *testing.T) {
	b := newBench(t, func(c *Config) { c.RecordTTL = 30 * time.Second }, ranges("p", 2, 4)...)
	b.put(0, "first")
	low := b.one()
	b.put(2, "first")
	high := b.one()
	b.put(0, "old")
	b.now = b.now.Add(20 * time.Second)
	b.put(2, "young")
	b.c.mapped(b.now, append(ranges("m", 4)[:1], ranges("p", 2, 4)[2]))
	b.answer(low, "p0", nil)
	b.answer(high, "p1", nil)
	b.c.calls = b.c.cfg.Calls
	b.next()
	b.c.mapped(b.now, ranges("n")) // packed anew, in the order of the queue
	b.next()
	if n := len(b.c.routes[0].queue); n != 1 {
		t.Fatalf("%d aggregates, want one of both", n)
	}
	b.now = epoch.Add(31 * time.Second)
	out := b.settle(b.next())
	if count(out) != 1 || !errors.Is(out[0].err, ErrExpired) {
		t.Fatalf("%d records expired, want one", count(out))
	}
	b.c.calls = 0
	if cl := b.one(); text(cl) != "young" || len(cl.entries[0].records) != 1 {
		t.Errorf("sent %q", text(cl))
	}
}
