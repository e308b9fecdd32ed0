package history

import (
	"errors"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// makes tells of a making of the group's first lease, and gives what answers it.
func (l *tale) makes(worker string, at checkpoint.Position) (answer func(err string)) {
	c := l.Began(StoreCall{Actor: worker, Op: OpCreate, Items: []Item{{Lease: prefix + "a", Position: at}}})
	return func(err string) { l.Answered(c, []Result{{Err: err}}, nil) }
}

// latest is a run of a group that begins between its first put and its second.
func latest(t *testing.T, middle func(l *tale, from checkpoint.Position)) Verdict {
	t.Helper()
	return judged(t, func(l *tale) {
		l.History = New() // it did not begin yet
		l.puts("a", "x")
		time.Sleep(time.Minute)
		from := checkpoint.StartAt(time.Now())
		l.makes("one", from)("")
		time.Sleep(time.Second)
		l.puts("a", "y", "z")
		middle(l, from)
		l.done(l.owner("a", "one", l.after(2)))
	})
}

func TestWhereAGroupBegins(t *testing.T) {
	for _, c := range []struct {
		name   string
		breaks Rule
		tell   func(l *tale, from checkpoint.Position)
	}{
		{"what arrived since", "", func(l *tale, from checkpoint.Position) {
			l.acquires("one", "a", from)
			l.does("one", "a", 1, 2)
		}},
		{"what arrived before", H11, func(l *tale, from checkpoint.Position) {
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0, 1, 2)
		}},
		{"what was refused before, and is found by a server that starts anew", "", func(l *tale, from checkpoint.Position) {
			n := l.begins("w")
			l.Failed(n, errors.New("the log takes no more"), true)
			l.ids[n] = l.stored("a", "w", string(data(n)))
			l.of("a").Records[len(l.of("a").Records)-1].Arrival = time.Now().Add(-time.Minute)
			l.acquires("one", "a", from)
			l.does("one", "a", 1, 2, n)
		}},
		{"not all that arrived since", H1, func(l *tale, _ checkpoint.Position) {
			l.acquires("one", "a", checkpoint.StartAt(time.Now().Add(time.Hour)))
			l.does("one", "a")
			l.handles("one", "a", 2)
			l.given("one", "a", 2)
			l.handles("one", "a", 2)
		}},
		{"a time to come", H1, func(l *tale, from checkpoint.Position) {
			l.makes("two", checkpoint.StartAt(time.Now().Add(time.Minute)))("exists")
			l.acquires("one", "a", from)
			l.does("one", "a", 1, 2)
		}},
		{"anew, by one who knew it, without a loss", H1, func(l *tale, from checkpoint.Position) {
			l.acquires("one", "a", from)
			l.does("one", "a", 1, 2)
			l.makes("two", checkpoint.StartAt(time.Now()))("")
		}},
		{"anew and later, by one who knew it", H1, func(l *tale, from checkpoint.Position) {
			l.acquires("one", "a", from)
			l.does("one", "a", 1, 2)
			l.StoreLost("all", time.Time{})
			l.makes("one", checkpoint.StartAt(time.Now()))("")
		}},
		{"anew and later, by one who did not know it", "", func(l *tale, from checkpoint.Position) {
			l.acquires("one", "a", from)
			l.does("one", "a", 1)
			l.StoreLost("all", time.Time{})
			time.Sleep(time.Second)
			now := checkpoint.StartAt(time.Now())
			l.makes("two", now)("")
			l.acquires("two", "a", now)
		}},
		{"anew and later, by a new one, after one who knew it came", H1, func(l *tale, from checkpoint.Position) {
			l.acquires("one", "a", from)
			l.does("one", "a", 1, 2)
			l.StoreLost("all", time.Time{})
			time.Sleep(time.Second)
			l.LossSeen("one", time.Now())
			l.makes("two", checkpoint.StartAt(time.Now()))("")
		}},
		{"anew and later, by a new one, after one who knew it came before the loss", "", func(l *tale, from checkpoint.Position) {
			l.acquires("one", "a", from)
			l.does("one", "a", 1)
			began := time.Now()
			time.Sleep(time.Second)
			l.StoreLost("all", time.Time{})
			l.LossSeen("one", began)
			l.Started("two")
			now := checkpoint.StartAt(time.Now())
			l.makes("two", now)("")
			l.acquires("two", "a", now)
		}},
		{"anew at the oldest record", "", func(l *tale, from checkpoint.Position) {
			l.acquires("one", "a", from)
			l.does("one", "a", 1)
			l.StoreLost("all", time.Time{})
			l.makes("one", checkpoint.Start())("")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0, 1, 2)
		}},
		{"anew at the oldest record, which is skipped", H1, func(l *tale, from checkpoint.Position) {
			l.acquires("one", "a", from)
			l.does("one", "a", 1, 2)
			l.StoreLost("all", time.Time{})
			l.makes("one", checkpoint.Start())("")
		}},
		{"refused to another who would begin later", H1, func(l *tale, _ checkpoint.Position) {
			time.Sleep(time.Second)
			later := checkpoint.StartAt(time.Now())
			l.makes("two", later)("exists")
			l.acquires("two", "a", later)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := latest(t, c.tell)
			delete(v.Broken, H12) // who owns it in the end is not told here
			if c.breaks == "" && !v.OK() || c.breaks != "" && v.Broken[c.breaks] == 0 {
				t.Errorf("want %q broken: %s", c.breaks, v)
			}
		})
	}
	if v := latest(t, func(l *tale, from checkpoint.Position) {
		l.acquires("one", "a", from)
		l.does("one", "a", 1, 2)
	}); v.Skipped != 1 || v.Lost != 0 || v.Handled != 2 {
		t.Errorf("%d skipped: %s", v.Skipped, v)
	}
}

// When records arrived is known from the truth. Without it nothing is said of what
// a group that began late may skip, or come to late.
func TestWhereAGroupBeginsWithoutTheTruth(t *testing.T) {
	run := func(at func() checkpoint.Position) Verdict {
		return judged(t, func(l *tale) {
			l.History = New()
			l.puts("a", "x", "y", "y")
			time.Sleep(time.Second)
			from := at()
			l.makes("one", from)("")
			l.acquires("one", "a", from)
			l.does("one", "a", 2, 1)
		})
	}
	if v := run(func() checkpoint.Position { return checkpoint.StartAt(time.Now()) }); v.Broken[H1] > 0 || v.Broken[H3] > 0 || v.Skipped != 1 {
		t.Errorf("%d skipped: %s", v.Skipped, v)
	}
	if v := run(checkpoint.Start); v.Broken[H1] != 1 || v.Broken[H3] == 0 || v.Skipped != 0 {
		t.Errorf("from the oldest record, %d skipped: %s", v.Skipped, v)
	}
}

// A worker under whose name another starts may deliver for a lease time after the
// other was granted its leases, and no longer.
func TestSuperseded(t *testing.T) {
	try(t, []ruling{
		{"for a lease time", "", overtaken(func(l *tale) { l.Superseded("one") }, func(l *tale) {
			l.does("one", "a", 1)
			time.Sleep(7 * time.Second)
			l.does("one", "a", 2)
		})},
		{"for longer", H5, overtaken(func(l *tale) { l.Superseded("one") }, func(l *tale) {
			time.Sleep(7*time.Second + time.Millisecond)
			l.does("one", "a", 1)
		})},
		{"long after another took its name", H5, overtaken(func(l *tale) { l.Superseded("one"); time.Sleep(reign * 8 * time.Second) }, func(l *tale) {
			l.does("one", "a", 1)
		})},
		{"another", H5, overtaken(func(l *tale) { l.Superseded("three") }, func(l *tale) { l.does("one", "a", 1) })},
		{"in another life", H5, overtaken(func(l *tale) { l.Superseded("one"); l.Crashed("one"); l.Started("one") }, func(l *tale) {
			l.does("one", "a", 1)
		})},
	})
}

// When the faults are over each shard is read to its tip.
func TestTips(t *testing.T) {
	run := func(after func(l *tale)) func(l *tale) {
		return func(l *tale) {
			plain(func(*tale) {})(l)
			after(l)
		}
	}
	for _, c := range []struct {
		name string
		ok   bool
		tell func(l *tale)
	}{
		{"not read", false, func(*tale) {}},
		{"read to the tip", true, func(l *tale) { l.reads("a") }},
		{"read half", false, func(l *tale) {
			r := l.read("a", "TRIM_HORIZON", 0)
			r.Got, r.Behind = r.Got[:1], time.Second
			l.Read(r)
		}},
		{"asked for, and not read", false, func(l *tale) {
			r := l.read("a", "TRIM_HORIZON", 0)
			r.Got, r.Last = nil, time.Time{}
			l.Read(r)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := judgedBy(t, run(c.tell), Options{TTL: 8 * time.Second, Beat: 2 * time.Second, Tips: true})
			if v.OK() != c.ok || len(v.Broken) > v.Broken[H9] {
				t.Errorf("%s", v)
			}
		})
	}
}

// A request that arrived twice wrote a record before the group began, which skips
// it, and once more since.
func TestALateCopyOfWhatMayBeSkippedIsNotOutOfOrder(t *testing.T) {
	v := judged(t, func(l *tale) {
		l.History = New() // it did not begin yet
		l.puts("a", "x")
		time.Sleep(time.Minute)
		from := checkpoint.StartAt(time.Now())
		l.makes("one", from)("")
		time.Sleep(time.Second)
		l.puts("a", "x")
		first := l.ids[0]
		l.ids[0] = l.stored("a", "x", string(data(0)))
		l.acquires("one", "a", from)
		l.does("one", "a", 1, 0)
		end := l.after(0)
		l.ids[0] = first
		l.done(l.owner("a", "one", end))
	})
	if !v.OK() {
		t.Error(v)
	}
}

// What a worker gives back of a store that lost everything goes on where it was.
func TestLostStateThatIsGivenBack(t *testing.T) {
	seeds := func(l *tale, worker string, at checkpoint.Position, err string) {
		items := []Item{{Lease: prefix + "a", Position: at}}
		n := l.Began(StoreCall{Actor: worker, Op: OpSeed, Items: items})
		l.Answered(n, []Result{{Err: err}}, nil)
	}
	for _, c := range []struct {
		name   string
		breaks Rule
		tell   func(l *tale, from checkpoint.Position)
	}{
		{"and skips what the group skipped", "", func(l *tale, from checkpoint.Position) {
			l.acquires("one", "a", from)
			l.does("one", "a", 1, 2)
			l.StoreLost("all", time.Time{})
			seeds(l, "one", l.after(2), "")
			l.makes("one", checkpoint.Start())("")
			l.acquires("one", "a", l.after(2))
		}},
		{"refused, and skips what is to be read again", H1, func(l *tale, from checkpoint.Position) {
			l.acquires("one", "a", from)
			l.does("one", "a", 1, 2)
			l.StoreLost("all", time.Time{})
			seeds(l, "one", l.after(2), "too late")
			l.makes("one", checkpoint.Start())("")
			l.acquires("one", "a", l.after(2))
		}},
		{"and is granted before that", H11, func(l *tale, from checkpoint.Position) {
			l.acquires("one", "a", from)
			l.does("one", "a", 1, 2)
			l.StoreLost("all", time.Time{})
			seeds(l, "one", l.after(2), "")
			l.makes("one", checkpoint.Start())("")
			l.acquires("one", "a", l.after(1))
			l.does("one", "a", 2)
		}},
		{"and lost once more", H1, func(l *tale, from checkpoint.Position) {
			l.acquires("one", "a", from)
			l.does("one", "a", 1, 2)
			l.StoreLost("all", time.Time{})
			seeds(l, "one", l.after(2), "")
			l.StoreLost("all", time.Time{})
			l.makes("one", checkpoint.Start())("")
			l.acquires("one", "a", l.after(2))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := latest(t, c.tell)
			delete(v.Broken, H12) // who owns it in the end is not told here
			if c.breaks == "" && !v.OK() || c.breaks != "" && v.Broken[c.breaks] == 0 {
				t.Errorf("want %q broken: %s", c.breaks, v)
			}
		})
	}
}
