package history

import (
	"crypto/sha256"
	"fmt"
)

// mostExamples bounds the examples in a verdict.
const mostExamples = 10

// Verdict is the judgement of a history.
type Verdict struct {
	// Sent counts the acknowledged records.
	Sent int
	// Handled counts the acknowledged records that a handler finished.
	Handled int
	// Lost counts the acknowledged records that no handler finished.
	Lost int
	// Duplicates counts the deliveries after a record's first, and those of
	// Repeated. At-least-once allows them.
	Duplicates int
	// Repeated counts records delivered under an id that was not acknowledged,
	// while the same record was put under another: its producer sent it twice,
	// as it must when a shard is split under an aggregate, or was told of an
	// error although the record was written.
	Repeated int
	// OrderViolations counts first deliveries of a key after a later put of
	// the same key was delivered.
	OrderViolations int
	// Altered counts deliveries whose key or bytes are not those put, or not
	// those of an earlier delivery.
	Altered int
	// Unknown counts records delivered that nobody put.
	Unknown int
	// Examples describes the first few of each that should not be.
	Examples []string
}

// OK reports that nothing was lost, reordered, altered or invented.
func (v Verdict) OK() bool {
	return v.Lost == 0 && v.OrderViolations == 0 && v.Altered == 0 && v.Unknown == 0
}

// content is what a record is, apart from its place.
type content struct {
	key string
	sum [sha256.Size]byte
}

// Check judges the history. It may be called again when more has happened.
func (h *History) Check() Verdict {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := Verdict{Sent: h.acked, Duplicates: h.repeats}
	h.checkPuts(&v)
	h.checkDeliveries(&v)
	return v
}

func (v *Verdict) example(format string, args ...any) {
	if len(v.Examples) < mostExamples {
		v.Examples = append(v.Examples, fmt.Sprintf(format, args...))
	}
}

// checkPuts finds what was lost. The caller holds mu.
func (h *History) checkPuts(v *Verdict) {
	for n, p := range h.puts {
		if !p.acked {
			continue
		}
		d := h.byID[p.id]
		first := h.ackedAs[p.id]
		switch {
		case first != n:
			v.Lost++
			v.example("lost: puts %d and %d were both acknowledged as %s:%d", first, n, p.id.Sequence, p.id.Subsequence)
		case d == nil || !d.handled:
			v.Lost++
			v.example("lost: put %d, key %q, acknowledged as %s:%d, was never handled", n, p.key, p.id.Sequence, p.id.Subsequence)
		default:
			v.Handled++
		}
	}
}

// checkDeliveries finds what was altered, invented or out of order. The caller
// holds mu.
func (h *History) checkDeliveries(v *Verdict) {
	puts := h.byContent()
	latest := make(map[string]int) // key: the latest put delivered
	seen := make(map[int]bool)     // puts delivered, under whatever id
	for _, d := range h.first {
		v.Altered += d.altered
		if d.altered > 0 {
			v.example("altered: %s:%d was delivered with other bytes or another key later", d.id.Sequence, d.id.Subsequence)
		}
		n, acked := h.ackedAs[d.id]
		if !acked {
			same := puts[content{d.key, d.sum}]
			if len(same) == 0 {
				v.Unknown++
				v.example("unknown: %s:%d, key %q, was delivered and never put", d.id.Sequence, d.id.Subsequence, d.key)
				continue
			}
			v.Repeated++
			v.Duplicates++
			if len(same) > 1 {
				continue // which of them it is cannot be told
			}
			n = same[0]
		}
		p := h.puts[n]
		if d.key != p.key || d.sum != p.sum {
			v.Altered++
			v.example("altered: put %d, key %q, arrived at %s with key %q", n, p.key, d.worker, d.key)
		}
		if seen[n] {
			continue
		}
		seen[n] = true
		if last, some := latest[p.key]; some && n < last {
			v.OrderViolations++
			v.example("order: key %q: put %d was delivered to %s after put %d", p.key, n, d.worker, last)
			continue
		}
		latest[p.key] = n
	}
}

// byContent finds puts by what they are. The caller holds mu.
func (h *History) byContent() map[content][]int {
	out := make(map[content][]int, len(h.puts))
	for n, p := range h.puts {
		c := content{p.key, p.sum}
		out[c] = append(out[c], n)
	}
	return out
}
