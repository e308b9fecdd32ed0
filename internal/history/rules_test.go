package history

import (
	"errors"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/aggregate"
	"github.com/shardrun/shardrun/internal/hashkey"
)

func TestLoss(t *testing.T) {
	try(t, []ruling{
		{"all is handled", "", plain(func(*tale) {})},
		{"a failed handler that is called again", "", func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.given("one", "a", 0, 1)
			l.does("one", "a", 0, 1)
			l.done()
		}},
		{"never delivered", H1, func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0)
			l.done()
		}},
		{"never handled", H1, func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0)
			l.given("one", "a", 1)
			l.done()
		}},
		{"acknowledged in another shard than it is in", H1, func(l *tale) {
			n := l.begins("x")
			l.ids[n] = l.stored("a", "x", string(data(n)))
			l.Acked(n, "b", l.ids[n])
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0)
			l.done()
		}},
		{"handled, but no longer in the stream", H1, func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0)
			s := l.of("a")
			s.Records = s.Records[:1]
			l.Handled("one", prefix+"a", 1, l.ids[1])
			l.done(l.owner("a", "one", checkpoint.Start()))
		}},
	})
}

func TestContent(t *testing.T) {
	other := func(change func(d *Delivery)) func(*tale) {
		return func(l *tale) {
			l.puts("a", "x")
			l.acquires("one", "a", checkpoint.Start())
			d := Delivery{Worker: "one", Lease: prefix + "a", Epoch: 1, ID: l.ids[0], Key: "x", Data: data(0)}
			change(&d)
			l.Delivered(d)
			l.handles("one", "a", 0)
			l.done()
		}
	}
	try(t, []ruling{
		{"as it was put", "", other(func(*Delivery) {})},
		{"when it arrived", "", other(func(d *Delivery) { d.Arrival = time.Now() })},
		{"as if it had arrived earlier", H2, other(func(d *Delivery) { d.Arrival = time.Now().Add(-time.Millisecond) })},
		{"other bytes", H2, other(func(d *Delivery) { d.Data = []byte("DATA-0") })},
		{"another key", H2, other(func(d *Delivery) { d.Key = "X" })},
		{"a hash key that it does not have", H2, other(func(d *Delivery) { d.HashKey = "7" })},
		{"other bytes the second time", H2, func(l *tale) {
			l.puts("a", "x")
			l.acquires("one", "a", checkpoint.Start())
			l.given("one", "a", 0)
			l.Delivered(Delivery{Worker: "one", Lease: prefix + "a", Epoch: 1, ID: l.ids[0], Key: "x", Data: []byte("garbage")})
			l.handles("one", "a", 0)
			l.done()
		}},
		{"never put", H2, plain(func(l *tale) {
			l.Delivered(Delivery{Worker: "one", Lease: prefix + "a", Epoch: 1, ID: ID{Sequence: "9999"}, Key: "z"})
		})},
		{"put, delivered where the stream has nothing", H2, plain(func(l *tale) {
			l.Delivered(Delivery{Worker: "one", Lease: prefix + "a", Epoch: 1, ID: ID{l.ids[1].Sequence, 9}, Key: "y", Data: data(1)})
		})},
		{"written though the producer was told otherwise", "", func(l *tale) {
			l.puts("a", "w")
			n := l.begins("x")
			l.Failed(n, errors.New("time-out"), true)
			l.ids[n] = l.stored("a", "x", string(data(n)))
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0, n)
			l.done()
		}},
		{"a shard's record delivered with another's", H2, func(l *tale) {
			l.split()
			l.puts("b", keyIn(low))
			l.acquires("one", "a", checkpoint.Start())
			l.completes("one", "a", "b", "c")
			l.acquires("one", "b", checkpoint.Start())
			l.acquires("two", "c", checkpoint.Start())
			l.does("two", "c", 0)
			l.does("one", "b", 0)
			l.done(l.owner("b", "one", l.after(0)), l.owner("c", "two", checkpoint.Start()))
		}},
	})
}

// keyIn is a partition key that a range has.
func keyIn(r hashkey.Range) string {
	for c := 'a'; ; c++ {
		if k := "key-" + string(c); r.Contains(hashkey.Of(k)) {
			return k
		}
	}
}

// An aggregate that was made for shard a lands in its child b: the members of
// c's range are not b's records.
func TestAggregates(t *testing.T) {
	tell := func(deliver func(l *tale, first, second ID)) func(l *tale) {
		return func(l *tale) {
			lows, highs := keyIn(low), keyIn(high)
			l.split()
			n, m := l.begins(lows), l.begins(highs)
			var b aggregate.Builder
			b.Add(lows, "", data(n))
			b.Add(highs, "", data(m))
			first := l.stored("b", "a", string(b.Append(nil)))
			second := l.stored("c", highs, string(data(m))) // sent again where it belongs
			l.ids[n], l.ids[m] = first, second
			l.Acked(n, "b", first)
			l.Acked(m, "c", second)
			l.acquires("one", "a", checkpoint.Start())
			l.completes("one", "a", "b", "c")
			l.acquires("one", "b", checkpoint.Start())
			l.acquires("one", "c", checkpoint.Start())
			l.does("one", "b", n)
			deliver(l, first, second)
			l.does("one", "c", m)
			l.done(l.owner("b", "one", l.after(n)), l.owner("c", "one", l.after(m)))
		}
	}
	try(t, []ruling{
		{"members out of the range are left out", "", tell(func(*tale, ID, ID) {})},
		{"a member out of the range is delivered", H2, tell(func(l *tale, first, _ ID) {
			l.Delivered(Delivery{
				Worker: "one", Lease: prefix + "b", Epoch: 2, ID: ID{first.Sequence, 1}, Key: keyIn(high), Data: data(1),
			})
		})},
		{"a member of another number", H2, tell(func(l *tale, first, _ ID) {
			l.Delivered(Delivery{
				Worker: "one", Lease: prefix + "b", Epoch: 2, ID: ID{first.Sequence, 2}, Key: keyIn(low), Data: data(0),
			})
		})},
	})
	try(t, []ruling{
		{"a hash key of its own", "", hashed("7", "7")},
		{"a hash key that was lost", H2, hashed("7", "")},
	})
}

// hashed tells of a member that was put with a hash key and delivered with one.
func hashed(put, delivered string) func(l *tale) {
	return func(l *tale) {
		n := l.Put(Put{Producer: "p", Key: "x", HashKey: put, Data: data(0), Ordered: true})
		var b aggregate.Builder
		b.Add("x", put, data(0))
		l.ids, l.keys = append(l.ids, l.stored("a", "a", string(b.Append(nil)))), append(l.keys, "x")
		l.Acked(n, "a", l.ids[n])
		l.acquires("one", "a", checkpoint.Start())
		l.Delivered(Delivery{Worker: "one", Lease: prefix + "a", Epoch: 1, ID: l.ids[0], Key: "x", HashKey: delivered, Data: data(0)})
		l.handles("one", "a", 0)
		l.done()
	}
}

func TestOrder(t *testing.T) {
	try(t, []ruling{
		{"a replay by the next owner", "", plain(func(l *tale) {
			l.saves("one", "a", 0)
			l.acquires("two", "a", l.after(0))
			l.does("two", "a", 1)
			l.releases("two", "a", 1)
			l.acquires("one", "a", l.after(1))
		})},
		{"a key overtaken", H3, func(l *tale) {
			l.puts("a", "x", "y", "x")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 2)
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0, 1, 2)
			l.done()
		}},
		{"records skipped", H3, func(l *tale) {
			l.puts("a", "x", "y", "z")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0, 2)
			l.acquires("two", "a", l.after(0))
			l.does("two", "a", 1, 2)
			l.done(l.owner("a", "two", l.after(2)))
		}},
		{"records given up without being delivered", "", func(l *tale) {
			l.puts("a", "x", "y", "z")
			l.acquires("one", "a", checkpoint.Start())
			l.handles("one", "a", 0)
			l.does("one", "a", 1)
			l.handles("one", "a", 2)
			l.done()
		}},
		{"records skipped that another gave up", H3, func(l *tale) {
			l.puts("a", "x", "y", "z")
			l.acquires("one", "a", checkpoint.Start())
			l.acquires("two", "a", checkpoint.Start())
			l.handles("one", "a", 0)
			l.does("two", "a", 1, 2)
			l.done()
		}},
		{"back to before where it began", H3, func(l *tale) {
			l.puts("a", "x", "y", "z")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0, 1)
			l.saves("one", "a", 0)
			l.acquires("two", "a", l.after(1))
			l.does("two", "a", 2, 1)
			l.done()
		}},
		{"two puts of the same content", "", func(l *tale) {
			twin := func() int {
				l.ids, l.keys = append(l.ids, ID{}), append(l.keys, "x")
				return l.Put(Put{Producer: "p", Key: "x", Data: data(0), Ordered: true})
			}
			n, m := twin(), twin()
			l.acks(n, "a")
			l.Failed(m, errors.New("time-out"), true)
			copied := l.stored("a", "x", string(data(0)))
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", n)
			l.Delivered(Delivery{Worker: "one", Lease: prefix + "a", Epoch: 1, ID: copied, Key: "x", Data: data(0)})
			l.done(l.owner("a", "one", l.after(n)))
		}},
		{"the first records skipped", H3, func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 1)
			l.acquires("two", "a", checkpoint.Start())
			l.does("two", "a", 0, 1)
			l.done(l.owner("a", "two", l.after(1)))
		}},
		{"records from a time on", "", func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0, 1)
			time.Sleep(time.Second)
			since := time.Now()
			l.puts("a", "z")
			l.does("one", "a", 2)
			l.StoreLost("all", time.Time{})
			l.acquires("two", "a", checkpoint.StartAt(since))
			l.does("two", "a", 2)
			l.done(l.owner("a", "two", l.after(2)))
		}},
		{"a batch again from its first unhandled record", "", func(l *tale) {
			l.puts("a", "x", "y", "z")
			l.acquires("one", "a", checkpoint.Start())
			l.given("one", "a", 0, 1, 2)
			l.handles("one", "a", 0)
			l.does("one", "a", 1)
			l.does("one", "a", 2)
			l.done()
		}},
		{"a handled record again, of a lease that the store lost and gave out once more", "", func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0, 1)
			l.StoreLost("all", time.Time{})
			c := l.Began(StoreCall{Actor: "one", Op: OpAcquire, Items: []Item{{Lease: prefix + "a", Token: "one#again"}}})
			l.Answered(c, []Result{{Token: "one#again", Epoch: 1, Stored: true}}, nil)
			l.given("one", "a", 0, 1) // and the handler fails
			l.does("one", "a", 0, 1)
			l.done()
		}},
		{"a handled record again", H3, plain(func(l *tale) { l.given("one", "a", 1) })},
		{"a batch again, and then on behind a gap", H3, func(l *tale) {
			l.puts("a", "x", "y", "z", "u")
			l.acquires("one", "a", checkpoint.Start())
			l.given("one", "a", 0, 1, 2)
			l.does("one", "a", 0)
			l.does("one", "a", 3)
			l.acquires("two", "a", checkpoint.Start())
			l.does("two", "a", 0, 1, 2, 3)
			l.done(l.owner("a", "two", l.after(3)))
		}},
		{"acknowledged against the order of the puts", H3, func(l *tale) {
			n, m := l.begins("x"), l.begins("x")
			l.acks(m, "a")
			l.acks(n, "a")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", m, n)
			l.done(l.owner("a", "one", l.after(n)))
		}},
		{"keys that are placed by different hash keys", "", func(l *tale) {
			for i, hash := range []string{"9", "7"} {
				l.Put(Put{Producer: "p", Key: "x", HashKey: hash, Data: data(i), Ordered: true})
				l.ids, l.keys = append(l.ids, ID{}), append(l.keys, "x")
			}
			l.acks(1, "a")
			l.acks(0, "a")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 1, 0)
			l.done(l.owner("a", "one", l.after(0)))
		}},
		{"a copy that nobody was told of comes first", "", func(l *tale) {
			n := l.begins("x")
			copied := l.stored("a", "x", string(data(n))) // and its answer was lost
			l.acks(n, "a")
			l.puts("a", "x")
			acked := l.ids[n]
			l.acquires("one", "a", checkpoint.Start())
			l.ids[n] = copied
			l.does("one", "a", n)
			l.ids[n] = acked
			l.does("one", "a", n, 1)
			l.done()
		}},
		{"a copy of a later put comes first", H3, func(l *tale) {
			n, m := l.begins("x"), l.begins("x")
			copied := l.stored("a", "x", string(data(m)))
			l.acks(n, "a")
			l.acks(m, "a")
			acked := l.ids[m]
			l.acquires("one", "a", checkpoint.Start())
			l.ids[m] = copied
			l.does("one", "a", m)
			l.ids[m] = acked
			l.does("one", "a", n, m)
			l.done()
		}},
	})
}

func TestPromises(t *testing.T) {
	try(t, []ruling{
		{"a put that failed and is not there", "", plain(func(l *tale) { l.Failed(l.begins("z"), errors.New("throttled"), false) })},
		{"acknowledged twice", H10, plain(func(l *tale) { l.Acked(0, "a", l.ids[0]) })},
		{"failed and acknowledged", H10, plain(func(l *tale) { l.Failed(0, errors.New("closed"), true) })},
		{"never ended", H10, plain(func(l *tale) { l.begins("z") })},
		{"never ended by one that died", "", plain(func(l *tale) { l.begins("z"); l.Crashed("p") })},
		{"never ended by one that came back", H10, plain(func(l *tale) { l.Crashed("p"); l.Started("p"); l.begins("z") })},
		{"failed for good and delivered", H10, func(l *tale) {
			l.puts("a", "w")
			n := l.begins("x")
			l.Failed(n, errors.New("refused"), false)
			l.ids[n] = l.stored("a", "x", string(data(n)))
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0, n)
			l.done()
		}},
		{"failed for good like another that was not", "", func(l *tale) {
			l.Failed(l.Put(Put{Producer: "q", Key: "x", Data: data(1)}), errors.New("refused"), false)
			l.ids, l.keys = append(l.ids, ID{}), append(l.keys, "")
			l.puts("a", "x")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 1)
			l.done()
		}},
	})
}
