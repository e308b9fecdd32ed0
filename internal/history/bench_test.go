package history

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// long is a good run of so many records: four events each, and the truth. Every
// tenth record is delivered twice.
func long(records int) *History {
	h := New()
	s := Stream{Name: "orders", Shards: []Shard{{
		ID: "a", StartHashKey: "0", EndHashKey: hashkey.Max.String(), StartSequence: "1",
	}}}
	lease := prefix + "a"
	call := h.Began(StoreCall{Actor: "w", Op: OpAcquire, Items: []Item{{Lease: lease, Token: "w#1"}}})
	h.Answered(call, []Result{{Token: "w#1", Epoch: 1, Stored: true}}, nil)
	for i := range records {
		key, data := fmt.Sprintf("key-%d", i%1000), fmt.Appendf(nil, "data-%d", i)
		id := ID{Sequence: fmt.Sprintf("49590338271490256608559692538361571095921575989136%06d", i)}
		s.Shards[0].Records = append(s.Shards[0].Records, Raw{Sequence: id.Sequence, Key: key, Data: data, Arrival: time.UnixMilli(int64(i))})
		n := h.Put(Put{Producer: "p", Key: key, Data: data, Ordered: true})
		h.Acked(n, "a", id)
		d := Delivery{Worker: "w", Lease: lease, Epoch: 1, ID: id, Key: key, Data: data}
		h.Delivered(d)
		if i%10 == 0 {
			h.Delivered(d)
		}
		h.Handled("w", lease, 1, id)
	}
	save := h.Began(StoreCall{Actor: "w", Op: OpSave, Items: []Item{{Lease: lease, Token: "w#1", Position: checkpoint.Start()}}})
	h.Answered(save, []Result{{Stored: true}}, nil)
	h.Stream(s)
	return h
}

// A million events are judged in less than 3 s, and kept in about 400 bytes a
// record.
func BenchmarkCheck(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	h := long(250_000)
	runtime.GC()
	runtime.ReadMemStats(&after)
	partial := Without(H1, H2, H3, H4, H5, H6, H8, H10, H11)
	for b.Loop() {
		if v := h.Check(Options{Partial: partial}); !v.OK() {
			b.Fatal(v)
		}
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/250_000, "B/record")
}

func BenchmarkTell(b *testing.B) {
	h := New()
	data := make([]byte, 200)
	b.ReportAllocs()
	for b.Loop() {
		h.Handled("w", "a", 1, ID{Sequence: "1"})
		h.Delivered(Delivery{Worker: "w", Lease: "a", Epoch: 1, ID: ID{Sequence: "1"}, Key: "k", Data: data})
	}
}
