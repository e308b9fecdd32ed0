package wal_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// model remembers every append made to a log, to tell after a crash whether
// what is found is right.
type model struct {
	shards int

	// mu guards everything below.
	mu      sync.Mutex
	calls   []*modelCall
	trimmed int64 // all that arrived before may be gone
}

// modelCall is one append.
type modelCall struct {
	recs  []wal.Record // with the numbers that the log gave them
	acked bool
}

// append appends random records and remembers them.
func (m *model) append(l *wal.Log, rng *rand.Rand) error {
	c := &modelCall{recs: randomRecords(rng, m.shards)}
	m.mu.Lock()
	m.calls = append(m.calls, c)
	m.mu.Unlock()

	recs := slices.Clone(c.recs) // the log writes to them, and an append that failed keeps what it set
	err := l.Append(recs)
	m.mu.Lock()
	defer m.mu.Unlock()
	c.recs, c.acked = recs, err == nil
	if err != nil && l.Err() == nil { // the log goes on, so nothing of it may be found
		m.calls = slices.DeleteFunc(m.calls, func(other *modelCall) bool { return other == c })
	}
	return err
}

func randomRecords(rng *rand.Rand, shards int) []wal.Record {
	recs := make([]wal.Record, 1+rng.IntN(8))
	for i := range recs {
		size := rng.IntN(300)
		if rng.IntN(20) == 0 {
			size = rng.IntN(9000)
		}
		recs[i] = wal.Record{
			Shard: uint32(rng.IntN(shards)),
			Key:   fmt.Sprintf("key-%d", rng.IntN(1000)),
			Data:  randomBytes(rng, size),
		}
		if rng.IntN(3) == 0 {
			recs[i].HashKey = fmt.Sprint(rng.Uint64())
		}
	}
	return recs
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// opened opens all shards of a log.
func (m *model) opened(l *wal.Log, floor uint64) *wal.Log {
	for s := range m.shards {
		l.OpenShard(uint32(s), floor)
	}
	return l
}

// oracle says what may be found.
type oracle struct {
	mayLoseAcked bool // Async and a power failure
}

// check compares what a log holds with what was appended: of each shard all
// that was acknowledged, then possibly some of the rest, without a gap and
// unaltered, and calls whole.
func (m *model) check(l *wal.Log, o oracle) error {
	found := map[uint32]map[uint64]wal.Record{}
	for id := range uint32(m.shards) {
		recs, err := readAll(l, id)
		if err != nil {
			return err
		}
		if err := m.checkShard(l, id, recs, o); err != nil {
			return fmt.Errorf("shard %d: %w", id, err)
		}
		found[id] = map[uint64]wal.Record{}
		for _, r := range recs {
			found[id][r.Seq] = r
		}
	}
	for i, c := range m.calls {
		n := 0
		for _, r := range c.recs {
			if got, ok := found[r.Shard][r.Seq]; ok && r.Arrival != 0 && sameRecord(got, r) {
				n++
			}
		}
		if n != 0 && n != len(c.recs) {
			return fmt.Errorf("append %d: %d of its %d records are there", i, n, len(c.recs))
		}
	}
	return nil
}

// checkShard compares the records of one shard.
func (m *model) checkShard(l *wal.Log, id uint32, found []wal.Record, o oracle) error {
	want, acked := m.of(id)
	oldest := 0 // the first that must be there
	for oldest < len(want) && want[oldest].Arrival < m.trimmed {
		oldest++
	}
	first := oldest
	if len(found) > 0 { // trimming takes whole segments, so more may be there
		first = slices.IndexFunc(want, func(r wal.Record) bool { return r.Seq == found[0].Seq })
		if first < 0 {
			return fmt.Errorf("record %d was never appended", found[0].Seq)
		}
	}
	if first > oldest {
		return fmt.Errorf("begins at record %d, and should at %d", want[first].Seq, want[oldest].Seq)
	}
	if n := first + len(found); n > len(want) || n < acked && !o.mayLoseAcked && acked > oldest {
		return fmt.Errorf("has %d records from the %dth on; %d were appended and %d acknowledged", len(found), first, len(want), acked)
	}
	for i, r := range found {
		if !sameRecord(r, want[first+i]) {
			return fmt.Errorf("record %d is not what was appended as %d", r.Seq, want[first+i].Seq)
		}
	}
	if next, _ := l.Tip(id); !o.mayLoseAcked && acked > oldest && next <= want[acked-1].Seq {
		return fmt.Errorf("next number is %d, and %d was given out", next, want[acked-1].Seq)
	}
	return nil
}

// of returns the records of a shard in order, and how many of them were
// acknowledged, which are the first.
func (m *model) of(id uint32) (recs []wal.Record, acked int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var unacked []wal.Record
	for _, c := range m.calls {
		for _, r := range c.recs {
			switch {
			case r.Shard != id || r.Arrival == 0: // refused before it got a number
			case c.acked:
				recs = append(recs, r)
			default:
				unacked = append(unacked, r)
			}
		}
	}
	bySeq := func(a, b wal.Record) int { return int(int64(a.Seq - b.Seq)) }
	slices.SortFunc(recs, bySeq)
	slices.SortFunc(unacked, bySeq)
	return append(recs, unacked...), len(recs)
}

// settle keeps the calls that are in the log after a recovery, and drops all
// others: they were not acknowledged, lost or trimmed, and are gone for good.
// What was kept may not go any more but by trimming.
func (m *model) settle(l *wal.Log) error {
	found := map[[2]uint64]wal.Record{}
	for id := range uint32(m.shards) {
		recs, err := readAll(l, id)
		if err != nil {
			return err
		}
		for _, r := range recs {
			found[[2]uint64{uint64(id), r.Seq}] = r
		}
	}
	m.calls = slices.DeleteFunc(m.calls, func(c *modelCall) bool {
		r := c.recs[0]
		got, ok := found[[2]uint64{uint64(r.Shard), r.Seq}]
		c.acked = true
		return !ok || r.Arrival == 0 || !sameRecord(got, r)
	})
	return nil
}

func sameRecord(a, b wal.Record) bool {
	return a.Shard == b.Shard && a.Seq == b.Seq && a.Arrival == b.Arrival &&
		a.Key == b.Key && a.HashKey == b.HashKey && bytes.Equal(a.Data, b.Data)
}

// readAll reads a shard from its oldest record to its tip, in small pages.
func readAll(l *wal.Log, id uint32) ([]wal.Record, error) {
	var all []wal.Record
	for next := uint64(0); ; {
		p, err := l.Read(id, next, 0, 7, 3000)
		if err != nil {
			return nil, err
		}
		if len(p.Records) == 0 && p.Behind != 0 {
			return nil, fmt.Errorf("an empty page is %d ms behind", p.Behind)
		}
		for _, r := range p.Records {
			if r.Seq < next || len(all) > 0 && (r.Seq <= all[len(all)-1].Seq || r.Arrival < all[len(all)-1].Arrival) {
				return nil, fmt.Errorf("record %d of %d comes after a later one", r.Seq, r.Arrival)
			}
			all = append(all, r)
			next = r.Seq + 1
		}
		next = p.Next
		if p.Behind == 0 {
			return all, nil
		}
	}
}

// openLog opens a log in dir "stream" and closes it when the test ends.
func openLog(t *testing.T, fsys vfs.FS, d wal.Durability) *wal.Log {
	t.Helper()
	l, err := wal.Open(wal.Config{FS: fsys, Dir: "stream", Durability: d, SegmentBytes: 4 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) // its error is the test's only where the test asks
	return l
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }

func isCrash(err error) bool { return errors.Is(err, vfs.ErrCrashed) }
