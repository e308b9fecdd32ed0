package history

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
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

// Put notes that a record is about to be given to the producer, and returns the
// number of the put.
func (h *History) Put(p Put) int {
	return h.add(line{Put: &putLine{
		Producer: p.Producer, Key: p.Key, HashKey: p.HashKey, Sum: sumOf(p.Data), Ordered: p.Ordered,
	}})
}

// Acked notes that put n was acknowledged as id in a shard.
func (h *History) Acked(n int, shard string, id ID) {
	h.add(line{End: &endLine{No: n, Acked: true, Shard: shard, ID: id}})
}

// Failed notes that put n ended with an error; maybe says that the record may be
// in the stream nevertheless.
func (h *History) Failed(n int, err error, maybe bool) {
	text := "failed"
	if err != nil {
		text = err.Error()
	}
	h.add(line{End: &endLine{No: n, Err: text, Maybe: maybe}})
}

// Delivered notes that a worker's handler was given a record.
func (h *History) Delivered(d Delivery) {
	h.add(line{Delivered: &deliveryLine{
		Worker: d.Worker, Lease: d.Lease, Epoch: d.Epoch, ID: d.ID, Key: d.Key, HashKey: d.HashKey, Sum: sumOf(d.Data),
	}})
}

// Handled notes that a record of a tenure is done: the handler finished it
// without an error, or it was given up by policy. It must be told before its
// position can be saved.
func (h *History) Handled(worker, lease string, epoch uint64, id ID) {
	h.add(line{Handled: &handledLine{Worker: worker, Lease: lease, Epoch: epoch, ID: id}})
}

// Began notes that a call of the store is about to be made, and returns the
// number of the call. The history keeps c.Items.
func (h *History) Began(c StoreCall) int { return h.add(line{Call: &callLine{StoreCall: c}}) }

// Answered notes the answer to a call: one result an item, from the first, as
// far as they are known, and the error of the whole call. An item without a
// result may have been done, also later. The history keeps results.
func (h *History) Answered(call int, results []Result, err error) {
	l := &answerLine{Call: call, Results: results}
	if err != nil {
		l.Err = err.Error()
	}
	h.add(line{Answer: l})
}

// Started notes that an actor, a worker or a producer, lives. Actors that are
// never told of count as living.
func (h *History) Started(actor string) { h.add(line{Actor: &actorLine{actor, "started"}}) }

// Stopped notes that an actor ended in peace.
func (h *History) Stopped(actor string) { h.add(line{Actor: &actorLine{actor, "stopped"}}) }

// Crashed notes that an actor died. What it put and has not been told the end
// of, it never will.
func (h *History) Crashed(actor string) { h.add(line{Actor: &actorLine{actor, "crashed"}}) }

// Held notes that an actor is about to be stopped where it is (SIGSTOP, a long
// pause of its process), and does not know it.
func (h *History) Held(actor string) { h.add(line{Actor: &actorLine{actor, "held"}}) }

// Resumed notes that an actor that was held goes on. Of each of its leases it
// may still deliver the batch that it was about to.
func (h *History) Resumed(actor string) { h.add(line{Actor: &actorLine{actor, "resumed"}}) }

// Superseded notes that another worker is about to start under the name of an
// actor that still runs. The store takes the leases of the former away at once,
// which it need not see before its lease time is over.
func (h *History) Superseded(actor string) { h.add(line{Actor: &actorLine{actor, "superseded"}}) }

// StoreLost notes that the store is about to lose what it has, or has just lost
// it: what says how much, in a word. What it had answered before since it still
// has; the zero time means that it lost everything. What was stored and lost does
// not bind what is stored after.
func (h *History) StoreLost(what string, since time.Time) {
	l := &lostLine{What: what}
	if !since.IsZero() {
		l.Since = since.UnixNano()
	}
	h.add(line{Lost: l})
}

// Healed notes that no fault is active from here on, and no reshard under way.
func (h *History) Healed() { h.add(line{Healed: true}) }

// Owners notes the whole lease table at this instant, once the first leases of
// the stream are complete.
func (h *History) Owners(table []Owner) {
	table = slices.Clone(table)
	h.add(line{Owners: &table})
}

// Note notes anything for the timeline: a fault, a pause, a reshard.
func (h *History) Note(actor, format string, args ...any) {
	h.add(line{Note: &noteLine{Actor: actor, Text: fmt.Sprintf(format, args...)}})
}

// Logged notes a line that an actor logged, for the timeline. Unlike a note it is
// no part of the Digest.
func (h *History) Logged(actor, text string) {
	h.add(line{Note: &noteLine{Actor: actor, Text: text, Log: true}})
}

// Stream notes the truth, as a clean client read it when the run was over and
// nothing was put any more. The last call counts; a history is of one stream.
func (h *History) Stream(s Stream) { h.add(line{Stream: unpack(s)}) }

// Read notes what an auditor read.
func (h *History) Read(r Read) { h.add(line{Read: &r}) }
