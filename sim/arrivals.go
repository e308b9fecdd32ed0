package sim

import (
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/shardrun/shardrun/internal/history"
)

// arrivals are the times at which records were put, by the answers to puts. In the
// end the log says when they arrived.
type arrivals struct {
	mu   sync.Mutex      // guards puts
	puts map[string]span // by sequence number
}

// span is the time that a call took.
type span struct{ from, to time.Time }

// sequenceNumber finds the numbers in an answer, in JSON or in CBOR, where the head
// of a text has one byte, or two from 24 bytes on.
var sequenceNumber = regexp.MustCompile(`(?s)SequenceNumber(?:":"|[\x60-\x77]|x.)(\d+)`)

// answered notes the time of a call of the server, by the records in its answer
// when it put some.
func (a *arrivals) answered(op, body string, took span) {
	if !strings.HasPrefix(op, "Put") {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range sequenceNumber.FindAllStringSubmatch(body, -1) {
		a.puts[m[1]] = took
	}
}

// judge fails the run for the first record of a shard that is said to have arrived
// when nobody put it.
func (w *world) judge(s history.Shard) {
	w.arrivals.mu.Lock()
	defer w.arrivals.mu.Unlock()
	for _, r := range s.Records {
		put, known := w.arrivals.puts[r.Sequence]
		if !known {
			continue // its answer was lost
		}
		if at := r.Arrival.UnixMilli(); at < put.from.UnixMilli() || at > put.to.UnixMilli() {
			w.fail("%s of %s is said to have arrived at %v, and was put from %v to %v", r.Sequence, s.ID, r.Arrival.UTC(), put.from.UTC(), put.to.UTC())
			return
		}
		w.reach("arrival judged")
	}
}
