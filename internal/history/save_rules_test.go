package history

import (
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

func TestBoundOnRepeats(t *testing.T) {
	run := func(tell func(l *tale)) func(l *tale) {
		return func(l *tale) {
			l.puts("a", "x", "y", "z")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0)
			tell(l)
			l.done(l.owner("a", "one", l.after(2)))
		}
	}
	const lag = 3 * time.Second
	for _, c := range []struct {
		name   string
		breaks Rule
		tell   func(l *tale)
	}{
		{"saved in time", "", run(func(l *tale) {
			time.Sleep(lag)
			l.does("one", "a", 1)
			l.saves("one", "a", 0)
			time.Sleep(lag)
			l.does("one", "a", 2)
			l.saves("one", "a", 2)
		})},
		{"saved late", H11, run(func(l *tale) {
			time.Sleep(lag + time.Millisecond)
			l.does("one", "a", 1, 2)
			l.saves("one", "a", 2)
		})},
		{"saved in time, but not all", H11, run(func(l *tale) {
			l.does("one", "a", 1)
			time.Sleep(lag)
			l.saves("one", "a", 0)
			time.Sleep(time.Millisecond)
			l.does("one", "a", 2)
			l.saves("one", "a", 2)
		})},
		{"saved late by one who was held", "", run(func(l *tale) {
			l.Held("one")
			time.Sleep(time.Minute)
			l.Resumed("one")
			time.Sleep(lag)
			l.does("one", "a", 1, 2)
			l.saves("one", "a", 2)
		})},
		{"saved late because another was held", H11, run(func(l *tale) {
			l.Held("two")
			time.Sleep(time.Minute)
			l.Resumed("two")
			l.does("one", "a", 1, 2)
			l.saves("one", "a", 2)
		})},
		{"never saved", "", run(func(l *tale) {
			time.Sleep(time.Second)
			l.does("one", "a", 1, 2)
		})},
		{"given back with all that was handled", "", run(func(l *tale) {
			l.does("one", "a", 1)
			l.releases("one", "a", 1)
			l.acquires("one", "a", l.after(1))
			l.does("one", "a", 2)
		})},
		{"given back with less", H11, run(func(l *tale) {
			l.does("one", "a", 1)
			l.releases("one", "a", 0)
			l.acquires("one", "a", l.after(0))
			l.does("one", "a", 1, 2)
		})},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := judgedBy(t, c.tell, Options{TTL: 8 * time.Second, Beat: 2 * time.Second, SaveLag: lag})
			if c.breaks == "" && !v.OK() || c.breaks != "" && (v.Broken[c.breaks] == 0 || len(v.Broken) > 1) {
				t.Errorf("want %q broken: %s", c.breaks, v)
			}
		})
	}
}

// Whoever leaves in peace has saved all that it handled: its goodbye frees its
// leases as they are.
func TestWhoLeavesHasSaved(t *testing.T) {
	leaves := func(l *tale, worker string) {
		l.Answered(l.Began(StoreCall{Actor: worker, Op: OpBye}), nil, nil)
		l.Stopped(worker)
	}
	after := func(before func(l *tale)) func(l *tale) {
		return func(l *tale) {
			l.puts("a", "x", "y", "z")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0, 1)
			before(l)
			leaves(l, "one")
			l.Started("one")
			l.acquires("two", "a", checkpoint.Start())
			l.does("two", "a", 0, 1, 2)
			l.done(l.owner("a", "two", l.after(2)))
		}
	}
	try(t, []ruling{
		{"nothing was saved", H11, after(func(*tale) {})},
		{"nothing was saved, and no goodbye was said", H11, after(func(l *tale) { l.Stopped("one") })},
		{"less was saved", H11, after(func(l *tale) { l.saves("one", "a", 0) })},
		{"nothing was saved, and another was refused the lease", H11, after(func(l *tale) {
			c := l.Began(StoreCall{Actor: "three", Op: OpAcquire, Items: []Item{{Lease: prefix + "a", Token: "three#9"}}})
			l.Answered(c, []Result{{Err: "held"}}, nil)
		})},
		{"a save that nobody knows the outcome of", "", after(func(l *tale) { l.sends("one", "a", l.after(1), false) })},
		{"a save that was refused", "", after(func(l *tale) { l.sends("one", "a", l.after(0), false)(checkpoint.Start(), "fenced") })},
		{"nothing that the store said lately", "", after(func(*tale) { time.Sleep(4*time.Second + time.Millisecond) })},
		{"one that was held", "", after(func(l *tale) { l.Held("one"); l.Resumed("one") })},
		{"another that was held", H11, after(func(l *tale) { l.Held("three"); l.Resumed("three") })},
		{"one that died", "", after(func(l *tale) { l.Crashed("one") })},
		{"one whose name another took", "", after(func(l *tale) { l.Superseded("one") })},
		{"one that may have lost it to another", "", after(func(l *tale) { l.asks("three", "a") })},
		{"a store that lost something", "", after(func(l *tale) { l.StoreLost("suffix", time.Now()) })},
		{"one that was granted it late", "", func(l *tale) {
			l.puts("a", "x", "y", "z")
			grant := l.asks("one", "a")
			l.acquires("two", "a", checkpoint.Start())
			grant(checkpoint.Start())
			l.handles("one", "a", 0)
			leaves(l, "one")
			l.does("two", "a", 0, 1, 2)
			l.done(l.owner("a", "two", l.after(2)))
		}},
	})
}
