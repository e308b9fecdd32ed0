package producer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/internal/hashkey"
)

// eighth is the explicit hash key of the given eighth of all keys.
func eighth(i uint64) string { return hashkey.Key{Hi: i<<61 + 1}.String() }

func TestStreamMadeAnewGoesByItsOwnShards(t *testing.T) {
	for name, away := range map[string]error{"deleted": missing, "server replaced": nobody} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(1)
				f.latency = 10 * time.Millisecond
				var e ends
				p := newTest(t, f, nil)
				put(t, p, &e, "before", "x")
				flush(t, p)
				f.leave(away)
				for i := range uint64(8) {
					name := fmt.Sprint(i)
					err := p.Put(t.Context(), Record{Key: "k" + name, HashKey: eighth(i), Data: []byte(name), Done: e.done("k" + name + "=" + name)})
					if err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(2 * time.Second)
				f.create(2) // its first shard has the id of the old one
				flush(t, p)
				e.checkOnce(t, 9)
				if errs := e.failed(); len(errs) > 0 {
					t.Errorf("failed: %v", errs)
				}
				checkEnds(t, f, e.all())
			})
		})
	}
}

func TestOutageCostsOneListing(t *testing.T) {
	for name, err := range map[string]error{"missing": missing, "nobody": nobody} {
		b := newBench(t, func(c *Config) { c.CallRecords = 1 }, ranges("p", 2, 4, 6)...)
		for i := range uint64(8) {
			b.put(i, "x")
		}
		calls := b.next().calls
		if len(calls) != 4 {
			t.Fatalf("%s: %d calls", name, len(calls))
		}
		for _, cl := range calls {
			b.answer(cl, "", err)
		}
		b.now = b.now.Add(time.Minute)
		if pl := b.next(); !pl.list || len(pl.calls) > 0 {
			t.Fatalf("%s: list %v, %d calls; want a listing alone", name, pl.list, len(pl.calls))
		}
		b.c.mapped(b.now, ranges("p", 2, 4, 6))
		pl := b.next()
		if pl.list || len(pl.calls) != 4 {
			t.Fatalf("%s: list %v, %d calls; want all that failed", name, pl.list, len(pl.calls))
		}
		for _, cl := range pl.calls {
			b.take(cl)
		}
		if pl := b.next(); pl.list {
			t.Errorf("%s: listed again", name)
		}
	}
}

func TestListingThatBeganBeforeAnOutageIsNotBelieved(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Ordered = true }, ranges("p", 4)...)
	b.put(0, "1")
	first := b.one()
	b.put(4, "2")
	second := b.one()
	b.answer(first, "c0", nil)
	if !b.next().list {
		t.Fatal("no listing")
	}
	b.answer(second, "", missing)
	b.now = b.now.Add(time.Minute)
	b.c.mapped(b.now, ranges("c", 2, 4)) // as it was before
	pl := b.next()
	if !pl.list || len(pl.calls) > 0 {
		t.Fatalf("list %v, %d calls; want another listing first", pl.list, len(pl.calls))
	}
	b.c.mapped(b.now, ranges("p", 2))
	if cl := b.one(); text(cl) != "2" || cl.shares[0].lane.shard != "p1" || cl.shares[0].lane.keys != ranges("p", 2)[1].keys {
		t.Errorf("sent %q to %s", text(cl), cl.shares[0].lane.shard)
	}
}

func TestAnswerDuringAnOutageIsJudgedByTheNextListing(t *testing.T) {
	for name, c := range map[string]struct {
		shard   string
		listing []shardRange
		again   bool // it was not right, or nobody knows
	}{
		"same stream":                 {"p0", ranges("p", 4), false},
		"same ids, other ranges":      {"p0", ranges("p", 1), true},
		"shard that is gone":          {"p0", ranges("q", 4), true},
		"split that came too":         {"c0", append(ranges("c", 2, 4)[:2], ranges("p", 4)[1]), true},
		"not the shard it was for":    {"p1", ranges("p", 4), true},
		"shard that is never listed":  {"c0", ranges("p", 4), true},
		"shard that once was smaller": {"c0", ranges("c", 4), true},
	} {
		b := newBench(t, func(c *Config) { c.Ordered = true }, ranges("p", 4)...)
		b.put(0, "1")
		b.put(3, "2")
		first := b.one()
		b.put(4, "3")
		b.answer(b.one(), "", nobody)
		if out := b.answer(first, c.shard, nil); len(out) > 0 {
			t.Errorf("%s: believed at once", name)
		}
		b.now = b.now.Add(time.Minute)
		if !b.next().list {
			t.Fatalf("%s: no listing", name)
		}
		b.c.mapped(b.now, c.listing)
		written := 0
		var sent []string
		for range 3 {
			pl := b.next()
			written += count(b.settle(pl))
			for _, cl := range pl.calls {
				sent = append(sent, strings.Fields(text(cl))...)
				b.take(cl)
			}
		}
		slices.Sort(sent)
		if want := map[bool][]string{false: {"3"}, true: {"1", "2", "3"}}[c.again]; !slices.Equal(sent, want) {
			t.Errorf("%s: %v were sent after it, want %v", name, sent, want)
		}
		if (written == 2) == c.again {
			t.Errorf("%s: %d of the records were written", name, written)
		}
	}
}

func TestRecordsDoNotWaitForAShardOfAnOlderStream(t *testing.T) {
	b := newBench(t, nil, ranges("p")...)
	b.put(0, "1")
	b.put(7, "2")
	b.answer(b.one(), "c0", nil) // after a split that is not known yet
	for _, err := range []error{missing, nil} {
		b.now = b.now.Add(time.Minute)
		if !b.next().list {
			t.Fatal("no listing")
		}
		if err != nil {
			b.c.unmapped(b.now, err)
		} else {
			b.c.mapped(b.now, ranges("p")) // made anew, as it was at first
		}
	}
	if cl := b.one(); text(cl) != "1 2" {
		t.Errorf("sent %q", text(cl))
	}
}

func TestStreamThatCameBackIsWaitedForAnew(t *testing.T) {
	b := newBench(t, nil, ranges("p")...)
	b.put(0, "1")
	b.answer(b.one(), "", missing)
	b.next()
	b.c.unmapped(b.now, missing)
	b.now = b.now.Add(time.Hour)
	if !b.next().list {
		t.Fatal("no listing")
	}
	b.c.mapped(b.now, ranges("p"))
	if out := b.answer(b.one(), "", missing); len(out) != 0 {
		t.Errorf("given up for having been missing an hour ago: %v", out[0].err)
	}
}

func TestIdleProducerDoesNotListDuringAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		p := newTest(t, f, nil)
		if _, err := p.PutSync(t.Context(), Record{Key: "k"}); err != nil {
			t.Fatal(err)
		}
		f.leave(nobody)
		if _, err := p.PutSync(t.Context(), Record{Key: "k"}); !errors.Is(err, ErrExpired) {
			t.Fatal(err)
		}
		n := f.listings()
		time.Sleep(time.Hour)
		if f.listings() != n {
			t.Errorf("%d listings without a record to send", f.listings()-n)
		}
		f.leave(nil)
		if _, err := p.PutSync(t.Context(), Record{Key: "k"}); err != nil {
			t.Error(err)
		}
	})
}
