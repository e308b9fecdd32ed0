package history

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

func TestNumbers(t *testing.T) {
	try(t, []ruling{
		{"a number that falls", H8, func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0, 1)
			l.done()
			s := l.of("a")
			s.Records = append(s.Records, Raw{Sequence: s.StartSequence, Key: "z"}) // put by somebody else
			l.Stream(l.stream)
		}},
		{"below the shard's first", H8, plain(func(l *tale) { l.of("a").StartSequence = l.ids[1].Sequence })},
		{"above the shard's last", H8, resharded(func(l *tale) {
			l.completes("one", "a", "b", "c")
			begin(l)
			l.of("a").EndSequence = l.of("a").StartSequence
		})},
		{"a child's first is its parent's last", H8, resharded(func(l *tale) {
			l.completes("one", "a", "b", "c")
			begin(l)
			l.of("b").StartSequence = l.of("a").EndSequence
		})},
		{"put later, and numbered lower", H8, func(l *tale) {
			n := l.begins("x")
			l.seq += 10
			l.acks(n, "a")
			l.seq -= 10
			m := l.begins("y")
			l.acks(m, "a")
			s := l.of("a")
			slices.Reverse(s.Records)
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", m, n)
			l.done(l.owner("a", "one", l.after(n)))
		}},
		{"put at the same time, and numbered lower", "", func(l *tale) {
			n, m := l.begins("x"), l.begins("y")
			l.seq += 10
			l.acks(n, "a")
			l.seq -= 10
			l.acks(m, "a")
			slices.Reverse(l.of("a").Records)
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", m, n)
			l.done(l.owner("a", "one", l.after(n)))
		}},
	})
}

// audited is a run of five records, put a second apart, in which an auditor
// reads; read gets the shard's read from its oldest record on.
func audited(read func(l *tale, r *Read)) func(l *tale) {
	return func(l *tale) {
		for range 5 {
			l.puts("a", "x")
			time.Sleep(time.Second)
		}
		r := l.read("a", "TRIM_HORIZON", 0)
		read(l, &r)
		l.Read(r)
		l.acquires("one", "a", checkpoint.Start())
		for n := range l.ids {
			l.does("one", "a", n)
		}
		l.done()
	}
}

func TestReads(t *testing.T) {
	from := func(kind string, i int, change func(l *tale, r *Read)) func(l *tale) {
		return audited(func(l *tale, r *Read) {
			*r = l.read("a", kind, i)
			change(l, r)
		})
	}
	seq := func(i int) func(l *tale, r *Read) {
		return func(l *tale, r *Read) { r.Sequence = l.ids[i].Sequence }
	}
	arrived := func(i int, d time.Duration) func(l *tale, r *Read) {
		return func(l *tale, r *Read) { r.Timestamp = l.of("a").Records[i].Arrival.Add(d) }
	}
	same := func(*tale, *Read) {}
	try(t, []ruling{
		{"from the oldest", "", from("TRIM_HORIZON", 0, same)},
		{"not from the oldest", H9, from("TRIM_HORIZON", 1, same)},
		{"at a number", "", from("AT_SEQUENCE_NUMBER", 2, seq(2))},
		{"behind a number that was asked for", H9, from("AT_SEQUENCE_NUMBER", 3, seq(2))},
		{"after a number", "", from("AFTER_SEQUENCE_NUMBER", 3, seq(2))},
		{"the number after which to read", H9, from("AFTER_SEQUENCE_NUMBER", 2, seq(2))},
		{"from a time", "", from("AT_TIMESTAMP", 2, arrived(2, 0))},
		{"from a moment after", "", from("AT_TIMESTAMP", 3, arrived(2, time.Millisecond))},
		{"from before a time", H9, from("AT_TIMESTAMP", 2, arrived(2, time.Millisecond))},
		{"a gap", H9, audited(func(_ *tale, r *Read) { r.Got = slices.Delete(r.Got, 2, 3) })},
		{"a repeat", H9, audited(func(_ *tale, r *Read) { r.Got[3] = r.Got[2] })},
		{"a record of nobody", H9, audited(func(_ *tale, r *Read) { r.Got[4] += "0" })},
		{"a shard of nobody", H9, audited(func(_ *tale, r *Read) { r.Shard = "z" })},
		{"a type of nobody", H9, audited(func(_ *tale, r *Read) { r.Type = "SOMEWHERE" })},
		{"told to be behind", "", audited(func(_ *tale, r *Read) { r.Got, r.Behind = r.Got[:3], time.Second })},
		{"told to be at the tip", H9, audited(func(_ *tale, r *Read) { r.Got = r.Got[:3] })},
		{"told to be at the tip with nothing", H9, audited(func(_ *tale, r *Read) { r.Got = nil })},
		{"at the tip before the last two were put", "", audited(func(_ *tale, r *Read) {
			r.Got = r.Got[:3]
			r.Last = r.Last.Add(-2 * time.Second)
		})},
		{"told that an open shard ends", H9, audited(func(_ *tale, r *Read) { r.Closed = true })},
		{"told that a shard ends before it does", H9, resharded(func(l *tale) {
			l.completes("one", "a", "b", "c")
			begin(l)
			r := l.read("a", "TRIM_HORIZON", 0)
			r.Got = nil
			l.Read(r)
		})},
	})
}

func TestLatest(t *testing.T) {
	latest := func(tell func(l *tale, r *Read, put func() int)) func(l *tale) {
		return func(l *tale) {
			l.puts("a", "x", "x")
			n := l.begins("x") // on its way while the iterator is asked for
			var r Read
			tell(l, &r, func() int {
				time.Sleep(time.Second)
				l.acks(n, "a")
				time.Sleep(time.Second)
				l.puts("a", "x")
				time.Sleep(time.Second)
				return len(l.ids)
			})
			r.Last = time.Now()
			l.Read(r)
			l.acquires("one", "a", checkpoint.Start())
			for n := range l.ids {
				l.does("one", "a", n)
			}
			l.done()
		}
	}
	ask := func(first int) func(l *tale, r *Read, put func() int) {
		return func(l *tale, r *Read, put func() int) {
			time.Sleep(time.Second)
			began := time.Now()
			time.Sleep(time.Millisecond)
			answered := time.Now()
			put()
			*r = l.read("a", "LATEST", first)
			r.Began, r.Answered = began, answered
		}
	}
	for first, breaks := range []Rule{H9, H9, "", "", H9} {
		try(t, []ruling{{"begins with record " + strconv.Itoa(first), breaks, latest(ask(first))}})
	}
}
