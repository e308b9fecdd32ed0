package wal

import (
	"bytes"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/shardrun/shardrun/internal/vfs"
)

// span is where a buffer that was taken is in the memory of a page.
func span(b []byte, from, to int) []byte { return b[from:to:to] }

func TestAPageHoldsNoBlockForAFewOfItsBytes(t *testing.T) {
	m := pageMemory{log: new(Log)}
	block := m.take(1000, 1<<20)
	copy(block[100:], "first")
	copy(block[900:], "second")
	recs := []Record{{Data: span(block, 100, 105)}, {Data: span(block, 900, 906)}}
	m.settle(recs, block)
	if string(recs[0].Data) != "first" || string(recs[1].Data) != "second" {
		t.Errorf("the records became %q and %q", recs[0].Data, recs[1].Data)
	}
	if next := m.take(1000, 1<<20); &next[0] != &block[:12][11] {
		t.Error("11 of 1000 bytes were wanted, and others cannot have the rest")
	}

	block = m.take(1000, 1<<20)
	recs = []Record{{Data: span(block, 100, 800)}}
	m.settle(recs, block)
	if &recs[0].Data[0] != &block[100] {
		t.Error("a block was copied of which most is wanted")
	}

	large := m.take(chunkBytes+1, 0)
	if want := chunkBytes*1 + chunkBytes + 1; m.bytes() != want {
		t.Errorf("%d bytes are counted, %d are there", m.bytes(), want)
	}
	recs = []Record{{Data: span(large, 5, 10)}}
	m.settle(recs, large)
	if m.bytes() != chunkBytes+5 || cap(recs[0].Data) > 8 {
		t.Errorf("%d bytes are held for 5", m.bytes()-chunkBytes)
	}
}

func TestAPageOfAFewRecordsHoldsNoChunk(t *testing.T) {
	l, err := Open(Config{FS: vfs.NewMemory(), Dir: "d"})
	if err != nil {
		t.Fatal(err)
	}
	l.OpenShard(0, 0)
	for i := range 200 {
		if err := l.Append([]Record{{Key: "k", Data: bytes.Repeat([]byte{byte(i)}, 1000)}}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(p Page, from, records int) {
		t.Helper()
		if len(p.Records) != records {
			t.Fatalf("%d records, not %d", len(p.Records), records)
		}
		for i, r := range p.Records {
			if !bytes.Equal(r.Data, bytes.Repeat([]byte{byte(from + i)}, 1000)) {
				t.Fatalf("record %d holds %v", from+i, r.Data)
			}
		}
	}
	few, err := l.Read(0, 190, 0, 1000, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if got := few.Memory(); got > smallBytes {
		t.Errorf("a page of 10 records holds %d bytes", got)
	}
	large, err := l.Read(0, 0, 0, 10, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if got := large.Memory(); got != 10_000 {
		t.Errorf("a page of the first 10 of many records holds %d bytes", got)
	}
	many, err := l.Read(0, 0, 0, 1000, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if got := many.Memory(); got != chunkBytes {
		t.Errorf("a page of 200 records holds %d bytes", got)
	}
	check(few, 190, 10)
	check(large, 0, 10)
	check(many, 0, 200)
	copied, shared := large.Records[3].Data, many.Records[1].Data
	large.Free()
	many.Free()
	if !bytes.Equal(copied, bytes.Repeat([]byte{3}, 1000)) {
		t.Error("what shares no memory with other pages was written over")
	}
	if spoilFreed && !bytes.Equal(shared, make([]byte, 1000)) {
		t.Error("what was freed looks as if it were not")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestPagesThatAreFreedMakeNoGarbage(t *testing.T) {
	if spoilFreed {
		t.Skip("the pools of the race detector forget at random")
	}
	l, err := Open(Config{FS: vfs.NewMemory(), Dir: "d"})
	if err != nil {
		t.Fatal(err)
	}
	l.OpenShard(0, 0)
	for range 8 {
		if err := l.Append([]Record{{Key: "k", Data: make([]byte, 1<<20-1)}, {Key: "k", Data: make([]byte, 60<<10)}}); err != nil {
			t.Fatal(err)
		}
	}
	for range 8 * 100 {
		if err := l.Append([]Record{{Key: "k", Data: make([]byte, 10<<10)}}); err != nil {
			t.Fatal(err)
		}
	}
	read := func() {
		p, err := l.Read(0, 16, 0, 10_000, 8<<20)
		if err != nil || p.Memory() < 7<<20 {
			t.Fatalf("a page of %d bytes, %v", p.Memory(), err)
		}
		p.Free()
	}
	// Collections empty the pools, and other processors have their own. No other
	// test of this package runs at the same time.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	read()
	const pages = 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range pages {
		read()
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / pages; got > 32<<10 { // some for each frame, of a page of 8 MiB with a list of 180 KiB
		t.Errorf("%d bytes of garbage for a page", got)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAPageOfAFewRecordsHoldsNoLongList(t *testing.T) {
	l, err := Open(Config{FS: vfs.NewMemory(), Dir: "d"})
	if err != nil {
		t.Fatal(err)
	}
	l.OpenShard(0, 0)
	if err := l.Append([]Record{{Key: "a", Data: []byte("first")}, {Key: "b", Data: []byte("second")}}); err != nil {
		t.Fatal(err)
	}
	for range 100 { // the pools of the race detector forget at random
		l.freeRecords(make([]Record, 10_000))
	}
	p, err := l.Read(0, 0, 0, 1000, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if cap(p.Records) > 16 {
		t.Errorf("a page of 2 records holds a list for %d", cap(p.Records))
	}
	if len(p.Records) != 2 || p.Records[0].Key != "a" || string(p.Records[1].Data) != "second" {
		t.Errorf("the records became %v", p.Records)
	}
	p.Free()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
