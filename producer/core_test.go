package producer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/hashkey"
)

// bench drives a core by hand: no goroutine, no clock.
type bench struct {
	t   *testing.T
	c   *core
	now time.Time
}

func newBench(t *testing.T, change func(*Config), listing ...shardRange) *bench {
	cfg := Config{Stream: "s", RateLimit: -1, RecordTTL: -1}
	if change != nil {
		change(&cfg)
	}
	b := &bench{t, newCore(cfg.withDefaults(), epoch, 1), epoch}
	if len(listing) > 0 {
		b.next()
		b.c.mapped(b.now, listing)
		b.next()
	}
	return b
}

func (b *bench) next() plan { return b.c.next(b.now) }

// put puts a record under a hash key of the given eighth of all keys.
func (b *bench) put(eighth uint64, data string) {
	b.t.Helper()
	r := Record{Key: "k", HashKey: hashkey.Key{Hi: eighth<<61 + 1}.String(), Data: []byte(data)}
	k, err := r.check(&b.c.cfg, hashkey.NewCache())
	if err != nil || !b.c.room.take(r.size()) {
		b.t.Fatal("not accepted", err)
	}
	b.c.accept(b.now, &r, k)
}

// one is the one call of a plan.
func (b *bench) one() *call {
	b.t.Helper()
	calls := b.next().calls
	if len(calls) != 1 {
		b.t.Fatalf("%d calls, want one", len(calls))
	}
	return calls[0]
}

func (b *bench) none() {
	b.t.Helper()
	if calls := b.next().calls; len(calls) != 0 {
		b.t.Fatalf("%d calls, the first for %s; want none", len(calls), calls[0].shares[0].lane.shard)
	}
}

// answer answers a call as a whole: every entry landed in the shard, or failed.
func (b *bench) answer(cl *call, shard string, err error) []outcome {
	b.t.Helper()
	answers := make([]answer, len(cl.entries))
	for i := range answers {
		answers[i] = answer{shard: shard, sequence: "1"}
	}
	out := b.c.landed(b.now, cl, answers, err)
	b.c.ended(cl)
	return out
}

// take answers a call as a stream does that places all as foreseen.
func (b *bench) take(cl *call) []outcome {
	var answers []answer
	for _, s := range cl.shares {
		for range s.entries {
			answers = append(answers, answer{shard: s.lane.shard, sequence: "1"})
		}
	}
	out := b.c.landed(b.now, cl, answers, nil)
	b.c.ended(cl)
	return out
}

// settle keeps the promises of a plan, and tells which.
func (b *bench) settle(pl plan) (out []outcome) {
	for _, s := range pl.settled {
		out = append(out, s.outcomes...)
		s.lane.busy = false
	}
	return out
}

// text is the data of a call's records.
func text(cl *call) string {
	var out []string
	for _, e := range cl.entries {
		for _, r := range e.contents() {
			out = append(out, string(r.Data))
		}
	}
	return strings.Join(out, " ")
}

func TestChildWaitsForAParentInFlight(t *testing.T) {
	b := newBench(t, nil, ranges("p", 4)...)
	b.put(0, "first")
	cl := b.one()
	// The split of p0 becomes known while its call is in flight.
	b.c.mapped(b.now, append(ranges("c", 2, 4)[:2], ranges("p", 4)[1]))
	b.put(0, "second")
	b.none()
	b.answer(cl, "", errReset)
	b.now = b.now.Add(time.Second)
	cl = b.one() // not joined: they have another history
	if text(cl) != "first second" || len(cl.entries) != 2 || cl.entries[0].attempts != 2 {
		t.Errorf("sent %q in %d entries", text(cl), len(cl.entries))
	}
}

func TestGrandchildWaitsForItsAncestors(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Ordered = true }, ranges("p")...)
	b.put(0, "1")
	cl := b.one()
	b.c.mapped(b.now, ranges("c", 4))
	b.put(0, "2")
	b.none()
	b.c.mapped(b.now, ranges("g", 2, 4))
	b.put(0, "3")
	b.none()
	b.answer(cl, "", errReset)
	var got []string
	for range 3 {
		b.now = b.now.Add(time.Second)
		cl = b.one()
		got = append(got, text(cl))
		b.answer(cl, cl.shares[0].lane.shard, nil)
		if b.c.active[0].isEmpty() {
			break
		}
	}
	if s := strings.Join(got, " "); s != "1 2 3" {
		t.Errorf("sent %q", s)
	}
}

func TestListingOlderThanAnAnswerIsNotBelieved(t *testing.T) {
	b := newBench(t, nil, ranges("p")...)
	b.put(0, "1")
	out := b.answer(b.one(), "c0", nil)
	if len(out) != 1 || out[0].err != nil || out[0].at.shard != "c0" {
		t.Fatalf("a lone record: %+v", out)
	}
	b.put(0, "2")
	for i := range 5 {
		pl := b.next()
		if len(pl.calls) > 0 || !pl.list {
			t.Fatalf("%d: %d calls, list %v; want a listing", i, len(pl.calls), pl.list)
		}
		b.c.mapped(b.now, ranges("p")) // still the old one
		if pl := b.next(); len(pl.calls) > 0 || pl.list || !pl.wake.After(b.now) {
			t.Fatalf("%d: after an old listing: %d calls, list %v, wake %v", i, len(pl.calls), pl.list, pl.wake.Sub(b.now))
		} else {
			b.now = pl.wake
		}
	}
	b.next()
	b.c.mapped(b.now, ranges("c", 4))
	if cl := b.one(); text(cl) != "2" || cl.shares[0].lane.shard != "c0" {
		t.Errorf("sent %q to %s", text(cl), cl.shares[0].lane.shard)
	}
}

func TestListingThatAnswersABurstIsNotRepeated(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Ordered = true }, ranges("p", 4)...)
	b.put(0, "1")
	first := b.one()
	b.put(4, "2")
	second := b.one()
	b.answer(first, "c0", nil)
	if !b.next().list {
		t.Fatal("no listing")
	}
	b.answer(second, "c2", nil) // while the listing is on its way
	b.c.mapped(b.now, ranges("c", 2, 4, 6))
	if b.next().list {
		t.Error("the shards are listed again, though all is known")
	}
}

func TestThrottledLaneLosesShareOfItsLimit(t *testing.T) {
	b := newBench(t, func(c *Config) { c.RateLimit = 1 }, ranges("p", 4)...)
	b.put(0, "1")
	cl := b.one()
	b.c.landed(b.now, cl, []answer{{code: "ProvisionedThroughputExceededException"}}, nil)
	if got := b.c.routes[0].pace.share; got != paceDown {
		t.Errorf("share %v, want %v", got, paceDown)
	}
	if got := b.c.routes[1].pace.share; got != 1 {
		t.Errorf("the other shard's share is %v", got)
	}
}

func TestOversizeEntryIsNotKeptOut(t *testing.T) {
	b := newBench(t, func(c *Config) { c.CallBytes, c.AggregateBytes, c.Calls = 100, -1, 1 }, ranges("p", 2, 4, 6)...)
	b.put(2, strings.Repeat("x", 200))
	for range 3 {
		for _, i := range []uint64{0, 4, 6} { // the others always have something
			b.put(i, "y")
		}
		cl := b.one()
		if text(cl)[0] == 'x' {
			return
		}
		b.answer(cl, "p0", nil)
	}
	t.Error("a call of its own never came")
}

func TestFailedEntryRemembersWhetherItMayBeWritten(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer answer
		err    error
		want   bool
	}{
		{"throttled", answer{code: "ProvisionedThroughputExceededException"}, nil, false},
		{"internal failure", answer{code: "InternalFailure"}, nil, true},
		{"answer lost", answer{}, errReset, true},
	} {
		b := newBench(t, nil, ranges("p")...)
		b.put(0, "1")
		cl := b.one()
		b.c.landed(b.now, cl, []answer{c.answer}, c.err)
		b.c.ended(cl)
		out := b.c.failAll(ErrClosed)
		if len(out) != 1 || out[0].err.MaybeSent != c.want || out[0].err.Attempts != 1 {
			t.Errorf("%s: %+v", c.name, out)
		}
	}
}

func TestEntryGivenUpTellsWhatTheLastCallSaid(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Ordered = true }, ranges("p", 4)...)
	throttle := []answer{{code: "ProvisionedThroughputExceededException", message: "slow"}}
	b.put(0, "1")
	cl := b.one()
	b.c.landed(b.now, cl, throttle, nil)
	b.c.ended(cl)
	b.now = b.now.Add(time.Minute)
	b.answer(b.one(), "", fmt.Errorf("put records: %w", context.Canceled)) // cut off by Close
	b.put(4, "2")
	b.answer(b.one(), "", &types.ResourceNotFoundException{})
	b.put(4, "3")
	codes := map[string]string{"1": throttle[0].code, "2": "ResourceNotFoundException", "3": ""}
	for _, o := range b.c.failAll(ErrClosed) {
		name := string(o.entry.contents()[0].Data)
		if !errors.Is(o.err, ErrClosed) || o.err.Code != codes[name] || !strings.Contains(o.err.Error(), o.err.Code) {
			t.Errorf("%s: code %q, want %q: %v", name, o.err.Code, codes[name], o.err)
		}
		delete(codes, name)
	}
	if len(codes) > 0 {
		t.Errorf("not given up: %v", codes)
	}
}

func TestMemoryOfEmptyEntriesIsBounded(t *testing.T) {
	b := newBench(t, nil, ranges("p")...)
	var held []*entry
	hold := func(n, size, limit int) {
		r := Record{Key: "k", Data: make([]byte, size)}
		for range n {
			e := b.c.fresh()
			for e.tryAdd(&r, hashkey.Key{}, pending{}, limit) && limit > 0 {
			}
			e.seal(false)
			held = append(held, e)
		}
	}
	for range 3 { // some are used again
		hold(3, 100<<10, 1<<20) // large aggregates
		hold(10, 1, 10<<10)     // of many records
		hold(800, 10<<10, 0)    // lone records
		for _, e := range held {
			b.c.recycle(e)
		}
		held = nil
		size := 0
		for _, e := range b.c.spare {
			size += cap(e.records)*int(unsafe.Sizeof(pending{})) + e.build.Memory() + cap(e.buf)
		}
		if size > maxSpareSize || size < maxSpareSize/2 || b.c.spareSize < size {
			t.Errorf("%d entries keep %d bytes, counted as %d", len(b.c.spare), size, b.c.spareSize)
		}
	}
}

func TestRefusedEntriesAreSentAloneOnlyIfInvalid(t *testing.T) {
	b := newBench(t, nil, ranges("p", 4)...)
	b.put(0, "1")
	b.put(4, "2")
	cl := b.one()
	if out := b.answer(cl, "", invalid); len(out) != 0 {
		t.Fatalf("%d entries failed with the call", len(out))
	}
	pl := b.next()
	if len(pl.calls) != 2 || len(pl.calls[0].entries) != 1 {
		t.Fatalf("%d calls", len(pl.calls))
	}
	if out := b.answer(pl.calls[0], "", invalid); len(out) != 1 || out[0].err.Attempts != 2 {
		t.Errorf("alone: %+v", out)
	}
}
