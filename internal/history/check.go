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
	// Repeated counts records delivered under an id that was not acknowledged
	// while the same record was acknowledged under another: its producer sent
	// it twice, as it must when a shard is split under an aggregate.
	Repeated int
	// OrderViolations counts first deliveries of a key after a later put of
	// the same key was delivered.
	OrderViolations int
	// Altered counts deliveries whose key or bytes are not those put.
	Altered int
	// Unknown counts records delivered that no acknowledged put explains: a
	// put that ended with an error was written all the same.
	Unknown int
	// Examples describes the first few of each that should not be.
	Examples []string
}

// OK reports that nothing was lost, reordered or altered.
func (v Verdict) OK() bool { return v.Lost == 0 && v.OrderViolations == 0 && v.Altered == 0 }

// Check judges the history. It may be called again when more has happened.
func (h *History) Check() Verdict {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := Verdict{Sent: h.acked, Duplicates: h.repeats}
	example := func(format string, args ...any) {
		if len(v.Examples) < mostExamples {
			v.Examples = append(v.Examples, fmt.Sprintf(format, args...))
		}
	}

	type content struct {
		key string
		sum [sha256.Size]byte
	}
	contents := make(map[content]bool, len(h.puts))
	for n, p := range h.puts {
		if !p.acked {
			continue
		}
		contents[content{p.key, p.sum}] = true
		if d := h.byID[p.id]; d != nil && d.handled {
			v.Handled++
			continue
		}
		v.Lost++
		example("lost: put %d, key %q, acknowledged as %s:%d, was never handled", n, p.key, p.id.Sequence, p.id.Subsequence)
	}

	latest := make(map[string]int) // key: the latest put delivered
	for _, d := range h.first {
		n, known := h.ackedAs[d.id]
		switch {
		case known:
		case contents[content{d.key, d.sum}]:
			v.Repeated++
			v.Duplicates++
			continue
		default:
			v.Unknown++
			continue
		}
		p := h.puts[n]
		if d.key != p.key || d.sum != p.sum {
			v.Altered++
			example("altered: put %d, key %q, arrived at %s with key %q", n, p.key, d.worker, d.key)
		}
		if last, seen := latest[p.key]; seen && n < last {
			v.OrderViolations++
			example("order: key %q: put %d was delivered to %s after put %d", p.key, n, d.worker, last)
			continue
		}
		latest[p.key] = n
	}
	return v
}
