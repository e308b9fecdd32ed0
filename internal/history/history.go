package history

import (
	"crypto/sha256"
	"sync"
)

// ID is where a record is in its stream. Sequence numbers are unique in a
// stream, so no shard is needed.
type ID struct {
	Sequence    string
	Subsequence uint64
}

// put is a record that a producer was given.
type put struct {
	key   string
	sum   [sha256.Size]byte
	id    ID
	acked bool
	err   error
}

// delivery is what became of one record on the consuming side.
type delivery struct {
	id      ID
	key     string
	sum     [sha256.Size]byte
	worker  string
	handled bool
	altered int // deliveries that differ from the first
}

// History is the record of one run. All methods may be called concurrently.
// It keeps about 300 bytes a record.
type History struct {
	mu sync.Mutex // guards all below

	puts  []put
	acked int
	fails int

	first   []*delivery // in the order of first delivery
	byID    map[ID]*delivery
	ackedAs map[ID]int // the put
	handled int        // acknowledged records that were handled
	repeats int
}

// New is an empty history.
func New() *History {
	return &History{byID: make(map[ID]*delivery), ackedAs: make(map[ID]int)}
}

// Put notes that a record is about to be given to the producer, and returns
// its number. For each key, the order of the calls is the put order.
func (h *History) Put(key string, data []byte) int {
	sum := sha256.Sum256(data)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.puts = append(h.puts, put{key: key, sum: sum})
	return len(h.puts) - 1
}

// Acked notes that the stream acknowledged put n as id.
func (h *History) Acked(n int, id ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.puts[n].id, h.puts[n].acked = id, true
	h.acked++
	if _, taken := h.ackedAs[id]; taken {
		return // two records cannot be in one place: Check counts this one as lost
	}
	h.ackedAs[id] = n
	if d := h.byID[id]; d != nil && d.handled {
		h.handled++
	}
}

// Failed notes that put n ended with an error: it may or may not be in the stream.
func (h *History) Failed(n int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.puts[n].err = err
	h.fails++
}

// Delivered notes that a worker's handler was given a record.
func (h *History) Delivered(worker string, id ID, key string, data []byte) {
	sum := sha256.Sum256(data)
	h.mu.Lock()
	defer h.mu.Unlock()
	if d := h.byID[id]; d != nil {
		h.repeats++
		if d.key != key || d.sum != sum {
			d.altered++
		}
		return
	}
	d := &delivery{id: id, key: key, sum: sum, worker: worker}
	h.byID[id] = d
	h.first = append(h.first, d)
}

// Handled notes that the handler returned without an error for a record.
func (h *History) Handled(id ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.byID[id]
	if d == nil || d.handled {
		return
	}
	d.handled = true
	if _, acked := h.ackedAs[id]; acked {
		h.handled++
	}
}

// IsAcked reports whether the stream acknowledged a record under this id. A
// record that a producer sent twice has one id that was acknowledged and one
// that was not.
func (h *History) IsAcked(id ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, acked := h.ackedAs[id]
	return acked
}

// Counts are the running totals of a history.
type Counts struct {
	// Put, Acked and Failed count records given to the producer.
	Put, Acked, Failed int
	// Handled counts acknowledged records that were handled, Repeats the
	// deliveries after a record's first.
	Handled, Repeats int
}

// Counts returns the totals so far.
func (h *History) Counts() Counts {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Counts{Put: len(h.puts), Acked: h.acked, Failed: h.fails, Handled: h.handled, Repeats: h.repeats}
}

// FirstFailure is the error of the first put that ended with one, nil for none.
func (h *History) FirstFailure() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.puts {
		if p.err != nil {
			return p.err
		}
	}
	return nil
}
