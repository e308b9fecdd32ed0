package history

import (
	"math"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// overtaken is a run in which two takes the lease over from one, and one does
// something before two has handled anything.
func overtaken(before, after func(l *tale)) func(l *tale) {
	return func(l *tale) {
		l.puts("a", "x", "y", "z", "u")
		l.acquires("one", "a", checkpoint.Start())
		l.does("one", "a", 0)
		before(l)
		grant := l.asks("two", "a")
		grant(checkpoint.Start())
		time.Sleep(time.Second)
		after(l)
		l.does("two", "a", 0, 1, 2, 3)
		l.done(l.owner("a", "two", l.after(3)))
	}
}

func TestOneOwnerDelivers(t *testing.T) {
	nothing := func(*tale) {}
	hold := func(l *tale) { l.Held("one") }
	held := func(after func(l *tale)) func(l *tale) { return overtaken(hold, after) }
	try(t, []ruling{
		{"nothing after the lease was taken over", "", overtaken(nothing, nothing)},
		{"a delivery after the lease was taken over", H5, overtaken(nothing, func(l *tale) { l.does("one", "a", 1) })},
		{"a delivery before the other's grant was answered", "", func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0)
			grant := l.asks("two", "a")
			l.given("one", "a", 1)
			grant(checkpoint.Start())
			l.handles("one", "a", 1)
			l.does("two", "a", 0, 1)
			l.done(l.owner("a", "two", l.after(1)))
		}},
		{"two owners for ever", H5, func(l *tale) {
			l.puts("a", "x", "y", "z")
			l.acquires("one", "a", checkpoint.Start())
			l.acquires("two", "a", checkpoint.Start())
			for n := range 3 {
				l.does("one", "a", n)
				l.does("two", "a", n)
			}
			l.done()
		}},
		{"an owner that takes over from itself", H5, func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0)
			former := l.epochs["onea"]
			l.acquires("one", "a", checkpoint.Start())
			latter := l.epochs["onea"]
			l.epochs["onea"] = former
			l.does("one", "a", 1)
			l.epochs["onea"] = latter
			l.does("one", "a", 0, 1)
			l.done()
		}},
		{"a grant that the store lost", "", overtaken(nothing, func(l *tale) {
			l.StoreLost("suffix", time.Now().Add(-time.Minute))
			l.does("one", "a", 1)
			l.acquires("two", "a", checkpoint.Start())
		})},
		{"a loss that it has not seen yet", "", overtaken(func(l *tale) { l.StoreLost("suffix", time.Now()) }, func(l *tale) {
			l.does("one", "a", 1)
		})},
		{"a loss that it must have seen", H5, overtaken(func(l *tale) {
			l.StoreLost("suffix", time.Now())
			time.Sleep(12 * time.Second)
		}, func(l *tale) { l.does("one", "a", 1) })},
		{"a loss before it acquired the lease", H5, func(l *tale) {
			l.StoreLost("suffix", time.Now())
			overtaken(nothing, func(l *tale) { l.does("one", "a", 1) })(l)
		}},
		{"a loss of both grants, long ago", "", overtaken(nothing, func(l *tale) {
			l.StoreLost("suffix", time.Now().Add(-time.Minute))
			time.Sleep(time.Minute)
			l.does("one", "a", 1)
		})},
		{"a loss of neither grant, long ago", H5, overtaken(nothing, func(l *tale) {
			l.StoreLost("suffix", time.Now().Add(-time.Millisecond))
			time.Sleep(13 * time.Second)
			l.does("one", "a", 1)
		})},
		{"one that has not seen yet that its grant was lost", "", func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0)
			l.StoreLost("suffix", time.Now())
			l.acquires("two", "a", checkpoint.Start())
			l.does("one", "a", 1)
			l.does("two", "a", 0, 1)
			l.done(l.owner("a", "two", l.after(1)))
		}},
		{"a grant that may have been lost before its answer came", "", func(l *tale) {
			l.puts("a", "x", "y")
			l.epoch = 5
			grant := l.asks("two", "a")
			l.StoreLost("all", time.Time{})
			l.epoch = 0
			l.acquires("one", "a", checkpoint.Start())
			grant(checkpoint.Start())
			l.does("one", "a", 0, 1)
			l.done()
		}},

		{"after a grant that followed a jump of the clock", "", overtaken(func(l *tale) { l.ClockJumped() }, func(l *tale) {
			time.Sleep(5 * time.Second)
			l.does("one", "a", 1)
		})},
		{"long after a grant that followed a jump of the clock", H5, overtaken(func(l *tale) { l.ClockJumped() }, func(l *tale) {
			time.Sleep(11 * time.Second)
			l.does("one", "a", 1)
		})},
		{"after a grant long after a jump of the clock", H5, overtaken(func(l *tale) {
			l.ClockJumped()
			time.Sleep(11 * time.Second)
		}, func(l *tale) { l.does("one", "a", 1) })},

		{"a batch while it is held", "", held(func(l *tale) { l.does("one", "a", 1); l.does("one", "a", 2); l.Resumed("one") })},
		{"a batch when it goes on", "", held(func(l *tale) { l.Resumed("one"); time.Sleep(time.Second); l.given("one", "a", 1, 2) })},
		{"a batch long after it went on", H5, held(func(l *tale) { l.Resumed("one"); time.Sleep(wakes + time.Millisecond); l.given("one", "a", 1, 2) })},
		{"a batch that begins when it goes on, and takes long", "", held(func(l *tale) {
			l.Resumed("one")
			l.given("one", "a", 1)
			time.Sleep(time.Minute)
			l.given("one", "a", 2)
		})},
		{"the rest of a batch that was in progress, and takes long", "", overtaken(func(l *tale) { l.given("one", "a", 1); l.Held("one") }, func(l *tale) {
			l.Resumed("one")
			time.Sleep(time.Minute)
			l.given("one", "a", 2)
		})},
		{"a batch long after the one in progress returned", H5, overtaken(func(l *tale) { l.given("one", "a", 1); l.Held("one") }, func(l *tale) {
			l.Resumed("one")
			l.returns("one", "a")
			time.Sleep(time.Minute)
			l.given("one", "a", 2)
		})},
		{"two batches when it goes on", H5, held(func(l *tale) { l.Resumed("one"); l.does("one", "a", 1); l.does("one", "a", 2) })},
		{"a batch again when it goes on", H5, held(func(l *tale) { l.Resumed("one"); l.given("one", "a", 1, 2); l.given("one", "a", 1, 2) })},
		{"the end of a batch when it goes on", "", overtaken(func(l *tale) { l.given("one", "a", 1); l.Held("one") }, func(l *tale) {
			l.Resumed("one")
			l.handles("one", "a", 1)
		})},
		{"a batch behind the one in progress when it goes on", H5, overtaken(func(l *tale) { l.given("one", "a", 1); l.Held("one") }, func(l *tale) {
			l.Resumed("one")
			l.handles("one", "a", 1)
			l.given("one", "a", 2)
		})},
		{"a batch behind a record given up when it goes on", "", held(func(l *tale) {
			l.Resumed("one")
			l.handles("one", "a", 1)
			l.given("one", "a", 2)
		})},
		{"held once more", "", held(func(l *tale) {
			l.Resumed("one")
			l.given("one", "a", 1)
			l.Held("one")
			l.handles("one", "a", 1)
			l.Resumed("one")
			l.given("one", "a", 2)
		})},
		{"a grant that is told again when it goes on", "", held(func(l *tale) {
			l.Resumed("one")
			l.again("one", "a", checkpoint.Start())
			l.given("one", "a", 1)
		})},
		{"another that is held", H5, overtaken(func(l *tale) { l.Held("three") }, func(l *tale) {
			l.Resumed("three")
			l.does("one", "a", 1)
		})},
		{"another life of one that was held", H5, held(func(l *tale) { l.Crashed("one"); l.Started("one"); l.does("one", "a", 1) })},
		{"a lease granted when it went on", H5, func(l *tale) {
			l.puts("a", "x", "y")
			l.Held("one")
			l.Resumed("one")
			l.acquires("one", "a", checkpoint.Start())
			l.acquires("two", "a", checkpoint.Start())
			l.does("one", "a", 0)
			l.does("two", "a", 0, 1)
			l.done(l.owner("a", "two", l.after(1)))
		}},
	})
}

// A lease is given back when no call of its handler is open any more.
func TestCallsReturnBeforeTheLeaseIsGivenBack(t *testing.T) {
	// A run in which one has two calls of its handler, and the lease goes to two.
	run := func(first, second func(l *tale), leaves func(l *tale)) func(l *tale) {
		return func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0)
			first(l)
			l.given("one", "a", 1)
			second(l)
			leaves(l)
			l.acquires("two", "a", l.after(0))
			l.does("two", "a", 1)
			l.returns("two", "a")
			l.saves("two", "a", 1)
			l.done(l.owner("a", "two", l.after(1)))
		}
	}
	returns := func(l *tale) { l.returns("one", "a") }
	nothing := func(*tale) {}
	releases := func(l *tale) { l.releases("one", "a", 0) }
	bye := func(l *tale) {
		l.saves("one", "a", 0)
		l.Answered(l.Began(StoreCall{Actor: "one", Op: OpBye}), nil, nil)
	}
	try(t, []ruling{
		{"both returned, and it releases", "", run(returns, returns, releases)},
		{"both returned, and it says goodbye", "", run(returns, returns, bye)},
		{"the first returned, and it releases", H5, run(returns, nothing, releases)},
		{"the first returned, and it says goodbye", H5, run(returns, nothing, bye)},
		{"the second returned, and it releases", "", run(nothing, returns, releases)},
		{"nobody ever says so", "", run(nothing, nothing, releases)},
		{"the first returned, and it only saves", "", run(returns, nothing, func(l *tale) { l.saves("one", "a", 0) })},
		{"the first returned, and it dies", "", run(returns, nothing, func(l *tale) { l.Crashed("one"); bye(l) })},
		{"the first returned, and another releases", "", run(returns, nothing, func(l *tale) {
			l.acquires("three", "a", l.after(0))
			l.releases("three", "a", 0)
		})},
		{"the first returned, and it ends the shard", H5, func(l *tale) {
			l.puts("a", "x", "y")
			l.split()
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0)
			l.returns("one", "a")
			l.does("one", "a", 1)
			l.completes("one", "a", "b", "c")
			l.done(l.owner("b", "one", checkpoint.Start()), l.owner("c", "two", checkpoint.Start()))
		}},
	})
}

// again tells a grant of a worker's once more.
func (l *tale) again(worker, shard string, at checkpoint.Position) {
	token := l.tokens[worker+shard]
	c := l.Began(StoreCall{Actor: worker, Op: OpAcquire, Items: []Item{{Lease: prefix + shard, Token: token}}})
	l.Answered(c, []Result{{Token: token, Epoch: l.epochs[worker+shard], Position: at, Stored: true}}, nil)
}

// unacked stores a record of which the producer does not know that it was written.
func (l *tale) unacked(shard, key string) {
	n := l.begins(key)
	l.ids[n] = l.stored(shard, key, string(data(n)))
	l.Failed(n, failure("time-out"), true)
}

func TestPositionsAreOfWhatWasHandled(t *testing.T) {
	ended := func(handled ...int) func(l *tale) {
		return func(l *tale) {
			l.puts("a", "x")
			l.unacked("a", "y")
			l.split()
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", handled...)
			l.completes("one", "a", "b", "c")
			l.done(l.owner("b", "one", checkpoint.Start()), l.owner("c", "two", checkpoint.Start()))
		}
	}
	try(t, []ruling{
		{"a position that is saved before it is handled", H1, plain(func(l *tale) { l.saves("one", "a", 2) })},
		{"a position that is saved while it is handled", H1, plain(func(l *tale) { l.given("one", "a", 2); l.saves("one", "a", 2) })},
		{"one that is saved when it was handled", "", plain(func(l *tale) { l.saves("one", "a", 1) })},
		{"one of a grant that is told again", "", plain(func(l *tale) {
			l.again("one", "a", checkpoint.Start())
			l.saves("one", "a", 1)
		})},
		{"one behind that of which nobody was told", H1, func(l *tale) {
			l.puts("a", "x")
			l.unacked("a", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0)
			l.saves("one", "a", 1)
			l.done()
		}},
		{"one of what another handled", H1, func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0, 1)
			l.acquires("two", "a", checkpoint.Start())
			l.does("two", "a", 0)
			l.saves("two", "a", 1)
			l.done()
		}},
		{"one of what another handled, and said so", "", func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0)
			l.saves("one", "a", 0)
			l.acquires("two", "a", l.after(0))
			l.saves("two", "a", 0)
			l.does("two", "a", 1)
			l.saves("two", "a", 1)
			l.done()
		}},
		{"one that another handled since", "", func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0, 1)
			l.acquires("two", "a", checkpoint.Start())
			l.does("two", "a", 0, 1)
			l.sends("one", "a", l.after(1), false)(checkpoint.Start(), "fenced")
			l.done()
		}},
		{"one of records handled out of order", "", func(l *tale) {
			l.puts("a", "x", "y", "z")
			l.acquires("one", "a", checkpoint.Start())
			l.given("one", "a", 0, 1, 2)
			l.handles("one", "a", 2, 1, 0)
			l.saves("one", "a", 2)
			l.done()
		}},
		{"one of records of which the first was not handled", H1, func(l *tale) {
			l.puts("a", "x", "y", "z")
			l.acquires("one", "a", checkpoint.Start())
			l.given("one", "a", 0, 1, 2)
			l.handles("one", "a", 2, 1)
			l.saves("one", "a", 2)
			l.handles("one", "a", 0)
			l.done()
		}},
		{"a release ahead of the handlers", H1, func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0)
			l.releases("one", "a", 1)
			l.handles("one", "a", 1)
			l.done()
		}},
		{"the end of what was handled", "", ended(0, 1)},
		{"the end of what was not handled", H1, ended(0)},
	})
}

func TestWhatALossKeeps(t *testing.T) {
	const all = 0
	twice := losses{{at: 10, since: 5}, {at: 20, since: 15}}
	back := losses{{at: 10, since: all}, {at: 20, since: 8}}
	for _, c := range []struct {
		losses         losses
		answered, then int64
		kept           bool
	}{
		{nil, 3, 4, true}, {nil, 4, 4, false},
		{twice, 4, math.MaxInt64, true}, {twice, 5, math.MaxInt64, false}, {twice, 7, math.MaxInt64, false},
		{twice, 7, 9, true}, {twice, 7, 12, false}, {twice, 12, math.MaxInt64, true}, {twice, 17, math.MaxInt64, false},
		{twice, 17, 19, true}, {twice, 21, math.MaxInt64, true},
		{back, 3, 12, false}, {back, 3, math.MaxInt64, true}, {back, 9, math.MaxInt64, false}, {back, 12, math.MaxInt64, false},
	} {
		if got := c.losses.kept(c.answered, c.then); got != c.kept {
			t.Errorf("%v: answered at %d, kept at %d: %v", c.losses, c.answered, c.then, got)
		}
	}
}
