package history

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
	"time"
)

// History collects what happens in a run. All methods may be called
// concurrently. It keeps about 400 bytes a record, with its truth: a sum of the
// data, not the data.
type History struct {
	out io.Writer // of a recorder, which keeps nothing; else nil

	mu          sync.Mutex // guards all below
	n, last     int64      // number and time of the last event
	puts, calls int        // begun in this process
	trace       trace
	live        live
	err         error // the first failure to write
}

// live are the running totals.
type live struct {
	Counts
	firstFailure string
	places       []placeState // by place
}

type placeState struct{ acked, delivered, handled bool }

// New is an empty history, kept in memory.
func New() *History { return &History{} }

// NewRecorder writes each event to w, as one line of JSON and in one call of
// Write before the method that tells it returns: what a killed process told is
// in its file. Writes are made concurrently, which *os.File allows when it was
// opened to append. The recorder keeps nothing in memory, so its Check, Timeline
// and Digest see nothing, and of its Counts only Put, Acked and Failed count;
// [ReadHistories] reads the files of several processes.
func NewRecorder(w io.Writer) *History {
	h := &History{out: w}
	h.add(line{Begin: &beginLine{}})
	return h
}

// add takes an event in. It returns the number of the put or call that the
// event begins.
func (h *History) add(l line) int {
	h.mu.Lock()
	no := h.number(&l)
	h.n++
	h.last = max(h.last, time.Now().UnixNano())
	l.N, l.At = h.n, h.last
	h.take(&l)
	h.mu.Unlock()
	h.write(&l)
	return no
}

// number gives puts and calls their numbers. The caller holds mu.
func (h *History) number(l *line) int {
	switch {
	case l.Put != nil:
		l.Put.No = h.puts
		h.puts++
		return l.Put.No
	case l.Call != nil:
		l.Call.No = h.calls
		h.calls++
		return l.Call.No
	}
	return -1
}

// take counts an event and keeps it, unless this is a recorder. The caller
// holds mu.
func (h *History) take(l *line) {
	c := &h.live.Counts
	switch {
	case l.Put != nil:
		c.Put++
	case l.End != nil && l.End.Acked:
		c.Acked++
	case l.End != nil:
		c.Failed++
		if h.live.firstFailure == "" {
			h.live.firstFailure = l.End.Err
		}
	}
	if h.out != nil {
		return
	}
	place, known := h.trace.apply(l)
	if !known {
		return
	}
	for len(h.live.places) <= int(place) {
		h.live.places = append(h.live.places, placeState{})
	}
	s := &h.live.places[place]
	was := s.acked && s.handled
	switch {
	case l.End != nil:
		s.acked = true
	case l.Handled != nil:
		s.handled = true
	case s.delivered:
		c.Repeats++
	default:
		s.delivered = true
	}
	if !was && s.acked && s.handled {
		c.Handled++
	}
}

// Err is the first failure of a recorder to write, nil for none. The history is
// then incomplete.
func (h *History) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// snapshot is what happened until now. The trace only ever grows, so that what
// the copy shows of it does not change.
func (h *History) snapshot() *trace {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.trace
	return &t
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
	return h.live.Counts
}

// IsAcked reports whether the stream acknowledged a record under this id. A
// record that a producer sent twice has one id that was acknowledged and one
// that was not.
func (h *History) IsAcked(id ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	place, known := h.trace.find(id)
	return known && int(place) < len(h.live.places) && h.live.places[place].acked
}

// FirstFailure is the error of the first put that failed, nil for none.
func (h *History) FirstFailure() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.live.firstFailure == "" {
		return nil
	}
	return failure(h.live.firstFailure)
}

// failure is an error that was told as text.
type failure string

func (f failure) Error() string { return string(f) }

// sum stands for a record's data.
type sum [16]byte

func sumOf(data []byte) sum {
	whole := sha256.Sum256(data)
	return sum(whole[:16])
}

// MarshalText gives the sum in hexadecimal.
func (s sum) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, s[:]), nil }

// UnmarshalText reads what MarshalText gives.
func (s *sum) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(s)) {
		return fmt.Errorf("sum %q is not of %d bytes", text, len(s))
	}
	_, err := hex.Decode(s[:], text)
	return err
}
