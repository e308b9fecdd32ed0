package wal_test

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// TestWritersReadersAndTrimTogether is for the race detector, and checks that
// each reader sees each record once and in order.
func TestWritersReadersAndTrimTogether(t *testing.T) {
	for _, d := range []wal.Durability{wal.Sync, wal.Async} {
		l := openLog(t, vfs.NewMemory(), d)
		m := &model{shards: 3}
		m.opened(l, 0)
		var writers, readers sync.WaitGroup
		for w := range uint64(4) {
			writers.Go(func() {
				rng := rand.New(rand.NewPCG(w, 1))
				for range 150 {
					if err := m.append(l, rng); err != nil {
						t.Error(err)
					}
				}
			})
		}
		writers.Go(func() {
			for range 20 {
				if err := l.Trim(1); err != nil { // nothing is that old
					t.Error(err)
				}
			}
		})
		for id := range uint32(3) {
			readers.Go(func() {
				got := follow(t, l, id)
				want, _ := m.of(id)
				if len(got) != len(want) {
					t.Errorf("shard %d: %d records of %d", id, len(got), len(want))
					return
				}
				for i := range got {
					if !sameRecord(got[i], want[i]) {
						t.Errorf("shard %d: record %d is not the one appended", id, got[i].Seq)
					}
				}
			})
		}
		writers.Wait()
		for id := range uint32(3) {
			if err := l.Seal(id); err != nil {
				t.Error(err)
			}
		}
		readers.Wait()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// follow reads a shard to its end, waiting where there is nothing yet.
func follow(t *testing.T, l *wal.Log, id uint32) (got []wal.Record) {
	for next := uint64(0); ; {
		changed := l.Changed(id)
		p, err := l.Read(id, next, 0, 10, 2000)
		if err != nil {
			t.Error(err)
			return got
		}
		got, next = append(got, p.Records...), p.Next
		switch {
		case p.End:
			return got
		case p.Behind == 0:
			<-changed
		}
	}
}

// TestReadersOfTrimmedSegmentsGoOn trims while a reader is at work.
func TestReadersOfTrimmedSegmentsGoOn(t *testing.T) {
	l := openLog(t, vfs.NewMemory(), wal.Memory)
	l.OpenShard(0, 0)
	var work sync.WaitGroup
	work.Go(func() {
		for range 400 {
			recs := []wal.Record{{Key: "k", Data: make([]byte, 500)}}
			if err := l.Append(recs); err != nil {
				t.Error(err)
			}
			if err := l.Trim(recs[0].Arrival); err != nil {
				t.Error(err)
			}
		}
		if err := l.Seal(0); err != nil {
			t.Error(err)
		}
	})
	last := uint64(0)
	for _, r := range follow(t, l, 0) {
		if r.Seq < last {
			t.Errorf("record %d after %d", r.Seq, last)
		}
		last = r.Seq
	}
	work.Wait()
}
