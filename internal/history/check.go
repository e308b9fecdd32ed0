package history

import "fmt"

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
	// Duplicates counts the deliveries after a record's first. At-least-once
	// allows them.
	Duplicates int
	// OrderViolations counts first deliveries of a key after a later put of
	// the same key was delivered.
	OrderViolations int
	// Altered counts deliveries whose key or bytes are not those put.
	Altered int
	// Unknown counts deliveries that no acknowledged put explains: a put that
	// ended with an error and was written all the same, or a repeat by the
	// producer.
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

	order := make(map[ID]int, len(h.puts))
	for n, p := range h.puts {
		if !p.acked {
			continue
		}
		order[p.id] = n
		if d := h.byID[p.id]; d != nil && d.handled {
			v.Handled++
			continue
		}
		v.Lost++
		example("lost: put %d, key %q, acknowledged as %s:%d, was never handled", n, p.key, p.id.Sequence, p.id.Subsequence)
	}

	latest := make(map[string]int) // key: the latest put delivered
	for _, d := range h.first {
		n, known := order[d.id]
		if !known {
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
