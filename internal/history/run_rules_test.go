package history

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// restored is a run in which a store that lost everything has half of the table
// again, and goes on from there by steps.
func restored(steps ...string) func(l *tale) {
	return plain(func(l *tale) {
		l.shard("h", low)
		half := []Owner{l.owner("h", "one", checkpoint.Start())}
		l.stream.Shards = l.stream.Shards[:len(l.stream.Shards)-1]
		l.Joined("one", "first")
		before := time.Now()
		time.Sleep(time.Second)
		l.StoreLost("all", time.Time{})
		l.Joined("one", "second")
		lost := time.Now()
		l.Owners(half)
		time.Sleep(time.Second)
		for _, step := range steps {
			switch step {
			case "then the rest":
				l.makes("one", checkpoint.Start())("")
				l.Owners([]Owner{l.owner("a", "one", checkpoint.Start())})
			case "refused":
				l.makes("one", checkpoint.Start())("being restored")
				l.Owners(half)
			case "back":
				l.StoreLost("suffix", lost)
			case "long back":
				l.StoreLost("suffix", before)
			case "half":
				l.Owners(half)
			}
			time.Sleep(time.Second)
		}
		l.makes("one", checkpoint.Start())("")
		l.acquires("one", "a", l.after(1))
	})
}

func TestCover(t *testing.T) {
	table := func(owners func(l *tale) []Owner) func(l *tale) {
		return merged(func(l *tale) {
			l.completes("one", "b", "d")
			l.completes("one", "c", "d")
			l.acquires("one", "d", checkpoint.Start())
			l.does("one", "d", 2)
			l.Owners(owners(l))
		})
	}
	end, start := checkpoint.ShardEnd(), checkpoint.Start()
	try(t, []ruling{
		{"no leases yet", "", table(func(*tale) []Owner { return nil })},
		{"two halves", "", table(func(l *tale) []Owner { return []Owner{l.owner("b", "one", start), l.owner("c", "", start)} })},
		{"a merge of which one parent has ended", "", table(func(l *tale) []Owner {
			return []Owner{l.owner("b", "", end), l.owner("c", "one", start), l.owner("d", "", start)}
		})},
		{"a child is missing", H7, table(func(l *tale) []Owner { return []Owner{l.owner("a", "", end), l.owner("b", "one", start)} })},
		{"the first half is missing", H7, table(func(l *tale) []Owner { return []Owner{l.owner("c", "one", start)} })},
		{"a shard beside its child", "", table(func(l *tale) []Owner {
			return []Owner{l.owner("a", "one", start), l.owner("b", "", start)}
		})},
		{"all have ended", H7, table(func(l *tale) []Owner { return []Owner{l.owner("d", "", end)} })},
		{"two strangers have one key", H7, table(func(l *tale) []Owner {
			o := l.owner("c", "one", start)
			o.StartHashKey = "5"
			return []Owner{l.owner("b", "one", start), o}
		})},
		{"a range that cannot be read", H7, table(func(l *tale) []Owner {
			o := l.owner("a", "one", start)
			o.EndHashKey = "x"
			return []Owner{o}
		})},
		{"a half that is given back after a loss, and then the other is made", "", restored("then the rest")},
		{"a half that is given back, and the other is refused to be made", "", restored("refused")},
		{"a half that is given back, and the other is missing though the rest was made", H7, restored("then the rest", "half")},
		{"the store falls back to before the rest was made", "", restored("then the rest", "back", "half")},
		{"the store falls back to the table before the loss, and that has a half", H7, restored("long back", "half")},
		{"an open shard is missing", H7, resharded(func(l *tale) {
			l.completes("one", "a", "b", "c")
			begin(l)
			l.closes("c")
		})},
		{"a shard whose range cannot be read", H7, plain(func(l *tale) { l.of("a").EndHashKey = "all" })},
		{"open shards overlap", H7, func(l *tale) {
			l.shard("e", low)
			plain(func(*tale) {})(l)
		}},
		{"a record in a shard that does not have its key", H7, func(l *tale) {
			l.split()
			l.puts("b", keyIn(high))
			l.acquires("one", "a", checkpoint.Start())
			l.completes("one", "a", "b", "c")
			l.acquires("one", "b", checkpoint.Start())
			l.does("one", "b", 0)
			l.done(l.owner("b", "one", l.after(0)), l.owner("c", "one", start))
		}},
	})
}

func TestLiveness(t *testing.T) {
	healed := func(tell func(l *tale)) func(l *tale) {
		return func(l *tale) {
			l.Started("one")
			l.puts("a", "x")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0)
			l.reads("a")
			l.Stream(l.stream)
			tell(l)
		}
	}
	// A shard is split, and ends so long after the faults.
	born := func(l *tale, after, before time.Duration) {
		l.split()
		l.Stream(l.stream)
		l.Healed()
		time.Sleep(after)
		l.completes("one", "a", "b", "c")
		time.Sleep(before)
		l.Owners([]Owner{l.owner("b", "", checkpoint.Start()), l.owner("c", "one", checkpoint.Start())})
	}
	// The lease time is 8 s and a beat 2 s.
	try(t, []ruling{
		{"owned in time", "", healed(func(l *tale) {
			l.Owners([]Owner{l.owner("a", "", l.after(0))})
			l.Healed()
			time.Sleep(12 * time.Second)
			l.Owners([]Owner{l.owner("a", "", l.after(0))})
			time.Sleep(time.Millisecond)
			l.Owners([]Owner{l.owner("a", "one", l.after(0))})
		})},
		{"a table is not made whole after a loss", H12, plain(func(l *tale) {
			l.Joined("one", "first")
			l.StoreLost("all", time.Time{})
			l.Joined("one", "second")
		})},
		{"owned by nobody", H12, healed(func(l *tale) {
			l.Healed()
			time.Sleep(13 * time.Second)
			l.Owners([]Owner{l.owner("a", "", l.after(0))})
		})},
		{"born just now, and owned by nobody", "", healed(func(l *tale) { born(l, 12*time.Second, time.Second) })},
		{"born a while ago, and owned by nobody", H12, healed(func(l *tale) { born(l, 0, 13*time.Second) })},
		{"handed over just now", "", healed(func(l *tale) {
			l.Started("two")
			l.Healed()
			time.Sleep(13 * time.Second)
			l.releases("one", "a", 0)
			l.Owners([]Owner{l.owner("a", "", l.after(0))})
			time.Sleep(2 * time.Millisecond)
			l.acquires("two", "a", l.after(0))
			l.Owners([]Owner{l.owner("a", "two", l.after(0))})
		})},
		{"given back, and taken by nobody", H12, healed(func(l *tale) {
			l.Started("two")
			l.Healed()
			time.Sleep(13 * time.Second)
			l.Owners([]Owner{l.owner("a", "one", l.after(0))})
			l.releases("one", "a", 0)
			time.Sleep(13 * time.Second)
			l.Owners([]Owner{l.owner("a", "", l.after(0))})
		})},
		{"one is started anew after the faults", "", healed(func(l *tale) {
			l.Healed()
			time.Sleep(13 * time.Second)
			l.Owners([]Owner{l.owner("a", "one", l.after(0))})
			l.releases("one", "a", 0)
			l.Stopped("one")
			time.Sleep(11 * time.Second)
			l.Owners([]Owner{l.owner("a", "", l.after(0))})
			time.Sleep(2 * time.Second)
			l.Owners([]Owner{l.owner("a", "two", l.after(0))})
		})},
		{"owned by one who died", H12, healed(func(l *tale) {
			l.Crashed("one")
			l.Healed()
			time.Sleep(13 * time.Second)
			l.Owners([]Owner{l.owner("a", "one", l.after(0))})
		})},
		{"owned by one who stopped", H12, healed(func(l *tale) {
			l.saves("one", "a", 0)
			l.Stopped("one")
			l.Healed()
			time.Sleep(13 * time.Second)
			l.Owners([]Owner{l.owner("a", "one", l.after(0))})
		})},
		{"owned by one who died while it was held", H12, healed(func(l *tale) {
			l.Crashed("one")
			l.Held("one")
			l.Healed()
			time.Sleep(13 * time.Second)
			l.Owners([]Owner{l.owner("a", "one", l.after(0))})
		})},
		{"owned by one who is held", "", healed(func(l *tale) {
			l.Held("one")
			l.Healed()
			time.Sleep(13 * time.Second)
			l.Owners([]Owner{l.owner("a", "one", l.after(0))})
		})},
		{"owned by one who came back", "", healed(func(l *tale) {
			l.Crashed("one")
			l.Started("one")
			l.Healed()
			time.Sleep(13 * time.Second)
			l.Owners([]Owner{l.owner("a", "one", l.after(0))})
		})},
		{"nobody looked", H12, healed(func(l *tale) {
			l.Owners([]Owner{l.owner("a", "one", l.after(0))})
			l.Healed()
		})},
		{"a child that waits for its parent", "", healed(func(l *tale) {
			l.Healed()
			time.Sleep(13 * time.Second)
			child := l.owner("a", "", checkpoint.Start())
			child.Lease, child.Parents = prefix+"b", []string{prefix + "a"}
			l.Owners([]Owner{l.owner("a", "one", l.after(0)), child})
		})},
		{"handled late", H12, plain(func(l *tale) { l.Healed(); time.Sleep(21 * time.Second) })},
		{"handled late, but not long after the faults", "", plain(func(l *tale) { time.Sleep(time.Hour); l.Healed(); time.Sleep(19 * time.Second) })},
	})
}

// Where nothing was acknowledged nothing could be lost; and puts of which nobody
// knows whether they were written are counted.
func TestUnsure(t *testing.T) {
	run := func(acked bool) Verdict {
		return judged(t, func(l *tale) {
			l.unacked("a", "x")
			l.unacked("a", "y")
			n := l.begins("z")
			l.Failed(n, failure("time-out"), true) // and it is not there
			l.ids[n] = l.ids[1]
			if acked {
				l.puts("a", "x")
				l.ids[n] = l.ids[3]
			}
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0, 1)
			if acked {
				l.does("one", "a", 3)
			}
			l.done()
		})
	}
	if v := run(true); !v.OK() || v.Unsure != 3 || v.Written != 2 || v.Sent != 1 {
		t.Errorf("%d unsure, %d written: %s", v.Unsure, v.Written, v)
	}
	if v := run(false); v.Broken[H1] != 1 || len(v.Broken) != 1 {
		t.Errorf("nothing acknowledged: %s", v)
	}
	v := judged(t, func(l *tale) {
		l.puts("a", "x")
		for range 2 { // two of one content
			l.Failed(l.Put(Put{Producer: "q", Key: "x", Data: data(0)}), failure("time-out"), true)
		}
		l.acquires("one", "a", checkpoint.Start())
		l.does("one", "a", 0)
		l.done()
	})
	if !v.OK() || v.Unsure != 2 || v.Written != 0 {
		t.Errorf("copies: %d unsure, %d written: %s", v.Unsure, v.Written, v)
	}
}

func TestVerdictInWords(t *testing.T) {
	v := judged(t, func(l *tale) {
		for range 12 {
			l.puts("a", "x")
		}
		l.acquires("one", "a", checkpoint.Start())
		l.does("one", "a", 1)
		l.done()
	})
	text := v.String()
	for _, want := range []string{
		"12 sent, 1 handled, 11 lost, 0 duplicates, 0 repeated, 0 out of order, 0 altered, 0 unknown\n",
		"\nH1 broken 11 times\n  lost: put 0, key \"x\", acknowledged as 12:0 in a at 0.000000s, was never handled\n",
		"\nH3 broken 1 times\n  one on a epoch 1 delivers 13:0, and skips 1 records behind START",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if len(v.Examples) != mostExamples || len(v.Violations) != mostExamples+1 || v.Broken[H1] != 11 {
		t.Errorf("%d examples, %d violations, %v broken", len(v.Examples), len(v.Violations), v.Broken)
	}
}

func TestUnrecorded(t *testing.T) {
	v := New().Check(Options{})
	for _, r := range Rules() {
		if r == H3 {
			continue // without deliveries there is no order to break
		}
		if v.Broken[r] == 0 {
			t.Errorf("%s holds in a history without events", r)
		}
	}
	if v := New().Check(Options{Partial: Rules()}); !v.OK() {
		t.Errorf("broken although not judged: %s", v)
	}
	if got := Without(H1, H12); len(got) != 10 || got[0] != H2 || got[9] != H11 {
		t.Errorf("Without(H1, H12) is %v", got)
	}
	h := New()
	h.Failed(h.Put(Put{Key: "a"}), nil, false)
	h.Failed(h.Put(Put{Key: "a"}), errors.New("second"), false)
	if err := h.FirstFailure(); err == nil || err.Error() != "failed" {
		t.Errorf("first failure %v", err)
	}
}
