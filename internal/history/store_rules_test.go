package history

import (
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/hashkey"
)

func TestStoredPositions(t *testing.T) {
	try(t, []ruling{
		{"saves that rise", "", plain(func(l *tale) { l.saves("one", "a", 0); l.saves("one", "a", 0); l.saves("one", "a", 1) })},
		{"a save below one before", H4, plain(func(l *tale) { l.saves("one", "a", 1); l.saves("one", "a", 0) })},
		{"a save below one that overlaps it", "", plain(func(l *tale) {
			first := l.sends("one", "a", l.after(0), false)
			l.saves("one", "a", 1)
			first(l.after(0), "")
		})},
		{"a save below one that was refused", "", plain(func(l *tale) {
			l.sends("one", "a", l.after(1), false)(checkpoint.Start(), "not found")
			l.saves("one", "a", 0)
		})},
		{"a refusal that shows a lower position", H4, plain(func(l *tale) {
			l.saves("one", "a", 1)
			l.sends("one", "a", checkpoint.Start(), false)(l.after(0), "regress")
		})},
		{"accepted, and not stored", H4, plain(func(l *tale) { l.sends("one", "a", l.after(1), false)(l.after(0), "") })},
		{"a save below one that the store lost", "", plain(func(l *tale) {
			l.saves("one", "a", 1)
			l.StoreLost("suffix", time.Time{})
			l.saves("one", "a", 0)
		})},
		{"a save below one that the store did not lose", H4, plain(func(l *tale) {
			l.saves("one", "a", 1)
			time.Sleep(time.Second)
			l.StoreLost("suffix", time.Now().Add(-time.Millisecond))
			l.saves("one", "a", 0)
		})},
		{"a save below one that it lost, and not below one that it did not", "", plain(func(l *tale) {
			l.saves("one", "a", 0)
			time.Sleep(time.Second)
			since := time.Now()
			time.Sleep(time.Second)
			l.saves("one", "a", 1)
			l.StoreLost("suffix", since)
			l.saves("one", "a", 0)
		})},
		{"lost once more, back to before the first loss", H4, plain(func(l *tale) {
			l.saves("one", "a", 1)
			time.Sleep(time.Second)
			since := time.Now()
			l.StoreLost("all", time.Time{})
			l.saves("one", "a", 0)
			l.StoreLost("suffix", since)
			l.saves("one", "a", 0)
		})},
		{"a save below one in state that the store dropped after a loss", "", plain(func(l *tale) {
			l.Joined("one", "first")
			l.saves("one", "a", 0)
			l.StoreLost("all", time.Time{})
			l.Joined("two", "second")
			l.saves("one", "a", 1)
			l.anew("one", "third")
			l.saves("one", "a", 0)
			l.Joined("two", "third")
		})},
		{"a save below one in the same state", H4, plain(func(l *tale) {
			l.Joined("one", "first")
			l.StoreLost("all", time.Time{})
			l.anew("one", "second")
			l.saves("one", "a", 1)
			l.Joined("two", "second")
			l.saves("one", "a", 0)
		})},
		{"state that is dropped twice after a loss", H4, plain(func(l *tale) {
			l.Joined("one", "first")
			l.StoreLost("all", time.Time{})
			for _, state := range []string{"second", "third", "fourth"} {
				l.anew("one", state)
			}
		})},
		{"state that is dropped without a loss", H4, plain(func(l *tale) {
			l.Joined("one", "first")
			l.anew("one", "second")
		})},
		{"a save that the loss overtook", "", plain(func(l *tale) {
			answer := l.sends("one", "a", l.after(1), false)
			l.StoreLost("suffix", time.Time{})
			answer(l.after(1), "")
			l.saves("one", "a", 0)
		})},
	})
}

// anew has a worker see state that was made anew, and make the leases in it.
func (l *tale) anew(worker, state string) {
	l.Joined(worker, state)
	l.makes(worker, checkpoint.Start())("")
}

// taken is a run in which two takes the lease over from one, who does not know,
// behind the first record.
func taken(after func(l *tale)) func(l *tale) {
	return func(l *tale) {
		l.puts("a", "x", "y", "z")
		l.acquires("one", "a", checkpoint.Start())
		l.does("one", "a", 0, 1)
		l.saves("one", "a", 0)
		l.acquires("two", "a", l.after(0))
		after(l)
		l.does("two", "a", 1, 2)
		l.saves("two", "a", 2)
		l.done(l.owner("a", "two", l.after(2)))
	}
}

// takenBack is like taken, and what happens ends with two behind the second record.
func takenBack(after func(l *tale)) func(l *tale) {
	return func(l *tale) {
		l.puts("a", "x", "y", "z")
		l.acquires("one", "a", checkpoint.Start())
		l.does("one", "a", 0, 1)
		l.saves("one", "a", 0)
		l.acquires("two", "a", l.after(0))
		after(l)
		l.does("two", "a", 2)
		l.done(l.owner("a", "two", l.after(2)))
	}
}

func TestFence(t *testing.T) {
	try(t, []ruling{
		{"the former owner's save is refused", "", taken(func(l *tale) {
			l.sends("one", "a", l.after(1), false)(checkpoint.Start(), "fenced")
		})},
		{"the former owner's save is accepted", H5, taken(func(l *tale) { l.saves("one", "a", 1) })},
		{"the former owner's release is accepted", H5, taken(func(l *tale) { l.releases("one", "a", 1) })},
		{"the former owner's end of the shard is accepted", H5, func(l *tale) {
			l.puts("a", "x")
			l.split()
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0)
			l.acquires("two", "a", checkpoint.Start())
			l.does("two", "a", 0)
			l.completes("one", "a", "b", "c")
			l.done(l.owner("b", "one", checkpoint.Start()), l.owner("c", "two", checkpoint.Start()))
		}},
		{"a save that began before the other was granted", "", func(l *tale) {
			l.puts("a", "x")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0)
			grant := l.asks("two", "a")
			answer := l.sends("one", "a", l.after(0), false)
			grant(checkpoint.Start())
			answer(l.after(0), "")
			l.does("two", "a", 0)
			l.done()
		}},
		{"a release sent again after its answer was lost", "", func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0)
			l.sends("one", "a", l.after(0), true)
			l.acquires("two", "a", l.after(0))
			l.does("two", "a", 1)
			l.saves("two", "a", 1)
			l.sends("one", "a", l.after(0), true)(l.after(1), "")
			l.done()
		}},
		{"a release sent again with another position", H5, func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0)
			l.sends("one", "a", l.after(0), true)
			l.does("one", "a", 1)
			l.acquires("two", "a", l.after(0))
			l.does("two", "a", 1)
			l.releases("one", "a", 1)
			l.done()
		}},
		{"a former owner of whom the store knows again", "", takenBack(func(l *tale) {
			l.StoreLost("suffix", time.Time{})
			l.saves("one", "a", 1)
			l.acquires("two", "a", l.after(1))
		})},
		{"a former owner, taken over from once more", H5, taken(func(l *tale) {
			l.StoreLost("suffix", time.Time{})
			l.acquires("two", "a", l.after(0))
			l.saves("one", "a", 1)
		})},
		{"a former owner of whom the store knows no more", H5, taken(func(l *tale) {
			time.Sleep(time.Second)
			l.StoreLost("suffix", time.Now().Add(-time.Millisecond))
			l.saves("one", "a", 1)
		})},
		{"an epoch that falls in spite of what the store has", H5, takenBack(func(l *tale) {
			l.does("two", "a", 1)
			time.Sleep(time.Second)
			l.StoreLost("suffix", time.Now().Add(-time.Millisecond))
			l.epoch = 0
			l.acquires("three", "a", l.after(1))
			l.epoch = 5
			l.acquires("two", "a", l.after(1))
		})},
		{"an epoch that falls to what the store has", "", takenBack(func(l *tale) {
			l.does("two", "a", 1)
			l.StoreLost("suffix", time.Now())
			l.epoch = 1
			l.acquires("two", "a", l.after(1))
		})},
		{"a token that nobody asked for", H5, plain(func(l *tale) {
			l.tokens["one"+"a"] = "one#99"
			l.saves("one", "a", 0)
		})},
		{"an acquisition whose answer was lost", "", func(l *tale) {
			l.puts("a", "x")
			l.acquires("one", "a", checkpoint.Start())
			l.asks("two", "a")
			l.does("one", "a", 0)
			l.saves("one", "a", 0)
			l.done()
		}},
		{"granted under a token that was not asked for", H5, func(l *tale) {
			l.puts("a", "x")
			c := l.Began(StoreCall{Actor: "one", Op: OpAcquire, Items: []Item{{Lease: prefix + "a", Token: "one#1"}}})
			l.Answered(c, []Result{{Token: "one#2", Epoch: 1, Stored: true}}, nil)
			l.epochs["onea"] = 1
			l.does("one", "a", 0)
			l.done()
		}},
		{"a grant that is told twice", "", func(l *tale) {
			l.puts("a", "x")
			item := []Item{{Lease: prefix + "a", Token: "one#1"}}
			c := l.Began(StoreCall{Actor: "one", Op: OpAcquire, Items: item})
			d := l.Began(StoreCall{Actor: "one", Op: OpAcquire, Items: item})
			for _, call := range []int{c, d, d} {
				l.Answered(call, []Result{{Token: "one#1", Epoch: 1, Stored: true}}, nil)
			}
			l.epochs["onea"] = 1
			l.does("one", "a", 0)
			l.done()
		}},
		{"an epoch that does not rise", H5, func(l *tale) {
			l.puts("a", "x")
			l.epoch = 7
			l.acquires("one", "a", checkpoint.Start())
			l.epoch = 6
			l.acquires("two", "a", checkpoint.Start())
			l.does("two", "a", 0)
			l.done()
		}},
	})
}

func TestBeginnings(t *testing.T) {
	try(t, []ruling{
		{"granted before a saved position", H11, func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0, 1)
			l.saves("one", "a", 1)
			l.acquires("two", "a", l.after(0))
			l.does("two", "a", 1)
			l.done()
		}},
		{"granted before a saved position that the store did not lose", H11, func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0, 1)
			l.saves("one", "a", 1)
			time.Sleep(time.Second)
			l.StoreLost("suffix", time.Now().Add(-time.Millisecond))
			l.acquires("two", "a", l.after(0))
			l.does("two", "a", 1)
			l.done()
		}},
		{"granted before a position that was saved meanwhile", "", func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0, 1)
			l.saves("one", "a", 0)
			grant := l.asks("two", "a")
			l.saves("one", "a", 1)
			grant(l.after(0))
			l.does("two", "a", 1)
			l.done()
		}},
		{"begins with what the position says is done", H11, func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0)
			l.saves("one", "a", 0)
			l.acquires("two", "a", l.after(0))
			l.does("two", "a", 0, 1)
			l.done()
		}},
		{"begins without a lease", H11, func(l *tale) {
			l.puts("a", "x")
			l.does("one", "a", 0)
			l.done()
		}},
	})
}

// resharded is a run in which a is split into b and c; children is told after
// a's last record was handled, and ends with both children's leases held by one.
func resharded(children func(l *tale)) func(l *tale) {
	return func(l *tale) {
		l.puts("a", "x")
		l.split()
		l.puts("b", keyIn(low))
		l.puts("c", keyIn(high))
		l.acquires("one", "a", checkpoint.Start())
		l.does("one", "a", 0)
		children(l)
		l.done(l.owner("b", "one", l.after(1)), l.owner("c", "one", l.after(2)))
	}
}

func begin(l *tale) {
	l.acquires("one", "b", checkpoint.Start())
	l.acquires("one", "c", checkpoint.Start())
	l.does("one", "b", 1)
	l.does("one", "c", 2)
}

func TestParentsFirst(t *testing.T) {
	try(t, []ruling{
		{"after the parent", "", resharded(func(l *tale) { l.completes("one", "a", "b", "c"); begin(l) })},
		{"before the parent", H6, resharded(func(l *tale) { begin(l); l.completes("one", "a", "b", "c") })},
		{"after a completion of which nobody knows", "", resharded(func(l *tale) { l.completing("one", "a", "b", "c"); begin(l) })},
		{"after a completion of which nobody knows, of a child acquired before", H6, resharded(func(l *tale) {
			l.acquires("one", "b", checkpoint.Start())
			l.acquires("one", "c", checkpoint.Start())
			l.completing("one", "a", "b", "c")
			l.does("one", "b", 1)
			l.does("one", "c", 2)
		})},
		{"after a completion of which a table tells, of a child acquired before", "", resharded(func(l *tale) {
			l.acquires("one", "b", checkpoint.Start())
			l.acquires("one", "c", checkpoint.Start())
			l.completing("one", "a", "b", "c")
			l.Owners([]Owner{
				l.owner("a", "", checkpoint.ShardEnd()), l.owner("b", "one", checkpoint.Start()), l.owner("c", "one", checkpoint.Start()),
			})
			l.does("one", "b", 1)
			l.does("one", "c", 2)
		})},
		{"after a completion that was refused", H6, resharded(func(l *tale) {
			l.completing("one", "a", "b", "c")("fenced")
			begin(l)
		})},
		{"after one of two parents", H6, merged(func(l *tale) {
			l.completes("one", "b", "d")
			l.acquires("one", "d", checkpoint.Start())
			l.does("one", "d", 2)
			l.completes("one", "c", "d")
		})},
		{"after both parents", "", merged(func(l *tale) {
			l.completes("one", "b", "d")
			l.completes("one", "c", "d")
			l.acquires("one", "d", checkpoint.Start())
			l.does("one", "d", 2)
		})},
		{"a parent that the group never had a lease of", "", func(l *tale) {
			*l = tale{History: New(), tokens: map[string]string{}, epochs: map[string]uint64{}, seq: 10}
			l.shard("a", hashkey.Full)
			l.split()
			l.puts("b", keyIn(low))
			l.acquires("one", "b", checkpoint.Start())
			l.does("one", "b", 0)
			l.done(l.owner("b", "one", l.after(0)), l.owner("c", "one", checkpoint.Start()))
		}},
	})
}

// merged is a run in which a was split into b and c, and they were merged into d.
func merged(end func(l *tale)) func(l *tale) {
	return func(l *tale) {
		l.split()
		l.puts("b", keyIn(low))
		l.puts("c", keyIn(high))
		l.closes("b")
		l.closes("c")
		l.shard("d", hashkey.Full, "b", "c")
		l.puts("d", "x")
		l.acquires("one", "a", checkpoint.Start())
		l.completes("one", "a", "b", "c")
		l.acquires("one", "b", checkpoint.Start())
		l.acquires("one", "c", checkpoint.Start())
		l.does("one", "b", 0)
		l.does("one", "c", 1)
		end(l)
		l.done(l.owner("d", "one", l.after(2)))
	}
}
