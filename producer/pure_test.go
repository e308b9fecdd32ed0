package producer

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/hashkey"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestNextLinger(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name                               string
		current, longest, waited, last, to time.Duration
	}{
		{"first signs of load", 0, 160 * ms, 5 * ms, 3 * ms, 10 * ms},
		{"more load", 10 * ms, 160 * ms, 10 * ms, 9 * ms, 20 * ms},
		{"never above the longest", 100 * ms, 160 * ms, 100 * ms, 99 * ms, 160 * ms},
		{"waited for nothing", 160 * ms, 160 * ms, 160 * ms, 0, 80 * ms},
		{"all came at once", 160 * ms, 160 * ms, 160 * ms, 80 * ms, 80 * ms},
		{"idle again", 10 * ms, 160 * ms, 10 * ms, 0, 0},
		{"idle", 0, 160 * ms, 0, 0, 0},
		{"switched off", 0, -1, 5 * ms, 4 * ms, 0},
	} {
		if got := nextLinger(c.current, c.longest, c.waited, c.last); got != c.to {
			t.Errorf("%s: %v, want %v", c.name, got, c.to)
		}
	}
}

func TestPaceSpendsASecondsWorthAndThenTheRate(t *testing.T) {
	p := newPace(1, epoch)
	for i := range 1000 {
		if d := p.delay(epoch, 100); d != 0 {
			t.Fatalf("record %d has to wait %v", i, d)
		}
		p.spend(100)
	}
	d := p.delay(epoch, 100)
	if d < time.Millisecond || d > time.Millisecond+2*time.Microsecond {
		t.Errorf("record 1001 waits %v, want 1 ms", d)
	}
	if d := p.delay(epoch.Add(d), 100); d != 0 {
		t.Errorf("and then %v more", d)
	}
}

func TestPaceCountsBytes(t *testing.T) {
	p := newPace(2, epoch)
	p.spend(2 << 20)
	if d := p.delay(epoch, 1<<20); d < 500*time.Millisecond || d > 501*time.Millisecond {
		t.Errorf("1 MiB at 2 MiB/s waits %v", d)
	}
	// A record larger than the bucket goes when the bucket is full.
	p = newPace(1, epoch)
	if d := p.delay(epoch, 10<<20); d != 0 {
		t.Errorf("10 MiB wait %v", d)
	}
	p.spend(10 << 20)
	if d := p.delay(epoch, 1); d < 9*time.Second || d > 9001*time.Millisecond {
		t.Errorf("after 10 MiB a byte waits %v", d)
	}
}

func TestPaceGoesDownFastAndUpSlowly(t *testing.T) {
	p := newPace(1, epoch)
	for range 100 {
		p.throttled(epoch)
	}
	if p.share != paceFloor {
		t.Errorf("share %v after many throttles, want the floor", p.share)
	}
	if p.records > paceFloor*shardRecordsPerSecond {
		t.Errorf("%v tokens are left from before", p.records)
	}
	p.advance(epoch.Add(10 * time.Second))
	if want := paceFloor + 10*paceUp; math.Abs(p.share-want) > 1e-9 {
		t.Errorf("share %v after 10 s, want %v", p.share, want)
	}
	p.advance(epoch.Add(time.Hour))
	if p.share != 1 {
		t.Errorf("share %v after an hour", p.share)
	}
	p.advance(epoch) // a clock that steps back changes nothing
	if p.share != 1 || p.at != epoch.Add(time.Hour) {
		t.Error("going back in time changed something")
	}
}

func TestPaceOffNeverWaits(t *testing.T) {
	p := newPace(-1, epoch)
	for range 100_000 {
		p.spend(1 << 20)
	}
	if d := p.delay(epoch, 1<<20); d != 0 {
		t.Errorf("waits %v", d)
	}
}

func TestRoomServesInTurn(t *testing.T) {
	r := room{maxRecords: 3, maxBytes: 100}
	wait := func(size int) *waiter {
		w := &waiter{record: Record{Data: make([]byte, size)}}
		r.wait(w)
		return w
	}
	if !r.take(60) || r.take(41) {
		t.Fatal("bytes are not bounded")
	}
	big, small := wait(50), wait(10)
	if r.take(1) {
		t.Error("a Put that came later went ahead of those who wait")
	}
	if w := r.next(); w != nil {
		t.Error("room was found where none is")
	}
	r.release(1, 60)
	if r.next() != big || r.next() != small || r.next() != nil {
		t.Error("not in turn")
	}
	if r.records != 2 || r.bytes != 60 {
		t.Errorf("%d records, %d bytes", r.records, r.bytes)
	}
	if !r.take(40) || r.take(0) {
		t.Error("records are not bounded")
	}
	a, b := wait(90), wait(1)
	r.leave(a)
	r.release(1, 40)
	if r.next() != b {
		t.Error("who left is still waited for")
	}
}

func TestFlushesWaitForTheirOwn(t *testing.T) {
	var f flushes
	if f.mark() != nil {
		t.Error("a mark over nothing")
	}
	a, b := f.add(), f.add()
	first := f.mark()
	if f.mark() != first {
		t.Error("two marks of one moment differ")
	}
	c := f.add()
	second := f.mark()
	if n := f.leftUpTo(first); n != 2 {
		t.Errorf("%d left before the first mark", n)
	}
	if n := f.leftUpTo(second); n != 3 {
		t.Errorf("%d left before the second mark", n)
	}
	if free := f.settle(c, nil); len(free) != 0 {
		t.Error("a later record ended an earlier flush")
	}
	if free := f.settle(a, nil); len(free) != 0 {
		t.Error("ended with one left")
	}
	if free := f.settle(b, nil); !slices.Equal(free, []chan struct{}{first, second}) {
		t.Errorf("%d flushes ended, want both", len(free))
	}
	if f.left != 0 || f.mark() != nil {
		t.Error("something is left")
	}
	f.settle(f.add(), nil)
	if len(f.batches) != 0 {
		t.Errorf("%d batches are kept", len(f.batches))
	}
}

// ranges are shards "s0", "s1", … that tile the keys, cut at eighths.
func ranges(prefix string, cuts ...uint64) (out []shardRange) {
	cuts = append(append([]uint64{0}, cuts...), 8)
	for i := range len(cuts) - 1 {
		r := hashkey.Range{Start: hashkey.Key{Hi: cuts[i] << 61}, End: hashkey.Max}
		if cuts[i+1] < 8 {
			r.End = hashkey.Key{Hi: cuts[i+1] << 61}.Prev()
		}
		out = append(out, shardRange{fmt.Sprint(prefix, i), r})
	}
	return out
}

func lanesOf(listing []shardRange) (r routes) {
	for _, s := range listing {
		r = append(r, &lane{shard: s.id, keys: s.keys})
	}
	return r
}

func names(lanes []*lane) string {
	var out []string
	for _, l := range lanes {
		out = append(out, l.shard)
	}
	return strings.Join(out, " ")
}

func TestRoutesFindTheLaneOfEachKey(t *testing.T) {
	r := lanesOf(ranges("s", 1, 2, 5))
	rnd := rand.New(rand.NewPCG(1, 2))
	keys := []hashkey.Key{{}, hashkey.Max, r[1].keys.Start, r[1].keys.End, r[3].keys.Start}
	for range 1000 {
		keys = append(keys, randomKey(rnd))
	}
	for _, k := range keys {
		if l := r.find(k); !l.keys.Contains(k) {
			t.Fatalf("key %v found in %v", k, l.keys)
		}
	}
	if got := names(r.over(hashkey.Range{Start: r[0].keys.End, End: r[2].keys.Start})); got != "s0 s1 s2" {
		t.Errorf("over three: %s", got)
	}
	if got := names(r.over(hashkey.Full)); got != "s0 s1 s2 s3" {
		t.Errorf("over all: %s", got)
	}
	if r.byShard("s2") != r[2] || r.byShard("x") != nil {
		t.Error("byShard")
	}
}

func TestHeirsWaitForTheLanesBefore(t *testing.T) {
	old := lanesOf(ranges("a", 2, 4, 6)) // a0 [0,2) a1 [2,4) a2 [4,6) a3 [6,8)
	listing := ranges("b", 1, 2, 6)      // b0 [0,1) b1 [1,2): a split; b2 [2,6): a merge; a3 stays
	listing[3].id = "a3"
	next, retired := old.succeed(listing, func(s shardRange) *lane { return &lane{shard: s.id, keys: s.keys} })
	if got := names(next); got != "b0 b1 b2 a3" || next[3] != old[3] {
		t.Errorf("next: %s", got)
	}
	if got := names(retired); got != "a0 a1 a2" {
		t.Errorf("retired: %s", got)
	}
	for i, want := range []string{"a0", "a0", "a1 a2", ""} {
		if got := names(next[i].before); got != want {
			t.Errorf("%s waits for %q, want %q", next[i].shard, got, want)
		}
	}
	for i, want := range []string{"b0 b1", "b2", "b2", ""} {
		if got := names(old[i].after); got != want {
			t.Errorf("%s hands over to %q, want %q", old[i].shard, got, want)
		}
	}
	// The merged lane goes on when both parents have handed over.
	packer := func() *repack { return &repack{fresh: func() *entry { return new(entry) }} }
	old[1].moveOn(packer)
	if next[2].maySend() {
		t.Error("b2 may send while a2 still has records")
	}
	old[2].moveOn(packer)
	if !next[2].maySend() {
		t.Error("b2 may not send")
	}
}

func TestListingMustTileTheKeys(t *testing.T) {
	shards := func(listing []shardRange) (out []types.Shard) {
		for _, s := range listing {
			out = append(out, types.Shard{ShardId: &s.id, HashKeyRange: &types.HashKeyRange{
				StartingHashKey: aws.String(s.keys.Start.String()), EndingHashKey: aws.String(s.keys.End.String()),
			}})
		}
		return out
	}
	good := shards(ranges("s", 2, 4))
	closed := good[1]
	closed.ShardId = aws.String("closed")
	closed.SequenceNumberRange = &types.SequenceNumberRange{EndingSequenceNumber: aws.String("9")}
	got, err := tile([]types.Shard{good[2], closed, good[0], good[1]})
	if err != nil || len(got) != 3 || got[0].id != "s0" || got[2].id != "s2" {
		t.Errorf("%v, %v", got, err)
	}
	noRange := types.Shard{ShardId: aws.String("s")}
	badRange := good[0]
	badRange.HashKeyRange = &types.HashKeyRange{StartingHashKey: aws.String("x"), EndingHashKey: aws.String("y")}
	for name, c := range map[string][]types.Shard{
		"no shard is open":       nil,
		"no hash key range":      {noRange},
		"gap or overlap before":  {good[0], good[2]},
		"overlap before s1":      {good[0], good[1], good[1], good[2]},
		"before the last":        good[:2],
		"before s1":              good[1:],
		"not a digit":            {badRange},
		"no shard is open (yet)": {closed},
	} {
		if _, err := tile(c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %q", err, name)
		}
	}
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		answer answer
		want   verdict
	}{
		{answer{shard: "s", sequence: "1"}, ok},
		{answer{shard: "other", sequence: "1"}, misplaced},
		{answer{code: "ProvisionedThroughputExceededException"}, throttled},
		{answer{code: "KMSThrottlingException"}, throttled},
		{answer{code: "InternalFailure"}, again},
		{answer{code: "NeverHeardOf"}, again},
		{answer{code: "ValidationException"}, refused},
		{answer{code: "KMSDisabledException"}, refused},
	} {
		if got := verdictOn(c.answer, "s"); got != c.want {
			t.Errorf("%+v: %v, want %v", c.answer, got, c.want)
		}
	}
}

func TestRepackKeepsOrderLimitsAndHistory(t *testing.T) {
	old := &entry{}
	for i := range 100 {
		k := fmt.Sprint("k", i)
		old.tryAdd(&Record{Key: k, Data: make([]byte, 50)}, hashkey.Of(k), pending{batch: uint64(i)}, 1<<20)
	}
	old.attempts, old.maybeSent, old.err = 3, true, errReset
	r := repack{fresh: func() *entry { return new(entry) }, limit: 1000}
	for i, rec := range old.contents() {
		r.add(old, rec, old.records[i])
	}
	n := 0
	for _, e := range r.out {
		if e.build.Size() > 1000 || e.attempts != 3 || !e.maybeSent || !errors.Is(e.err, errReset) {
			t.Errorf("an entry of %d bytes, %d attempts", e.build.Size(), e.attempts)
		}
		for i, rec := range e.contents() {
			if rec.Key != fmt.Sprint("k", n) || e.records[i].batch != uint64(n) {
				t.Fatalf("record %d is %s of %d", n, rec.Key, e.records[i].batch)
			}
			if h := rec.Hash(); h.Compare(e.low) < 0 || h.Compare(e.high) > 0 {
				t.Fatalf("the hash of %s is outside the entry's", rec.Key)
			}
			n++
		}
	}
	if n != 100 {
		t.Errorf("%d records", n)
	}
	// Records that were sent do not mix with records that were not.
	fresh := &entry{}
	fresh.tryAdd(&Record{Key: "k"}, hashkey.Of("k"), pending{}, 1000)
	before := len(r.out)
	r.add(fresh, fresh.contents()[0], fresh.records[0])
	if len(r.out) != before+1 || r.out[before].attempts != 0 {
		t.Error("a new record was counted as sent before")
	}
}
