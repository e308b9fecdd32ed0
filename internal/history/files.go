package history

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// write writes an event to the recorder's file.
func (h *History) write(l *line) {
	if h.out == nil {
		return
	}
	text, err := json.Marshal(l)
	if err == nil {
		if l.Begin != nil {
			text = append([]byte{'\n'}, text...) // behind a line that a killed process did not finish
		}
		_, err = h.out.Write(append(text, '\n'))
	}
	if err != nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.err = cmp.Or(h.err, fmt.Errorf("write event: %w", err))
	}
}

// ReadHistories reads what recorders wrote and merges it by time. The clocks of
// their processes must be one machine's. A file may hold the histories of
// several processes that ran one after the other. The last line of a process
// may be cut off, as a killed one leaves it; damage elsewhere is an error.
func ReadHistories(files ...io.Reader) (*History, error) {
	h := New()
	sources := make([]*source, len(files))
	for i, f := range files {
		sources[i] = newSource(f)
	}
	for {
		var next *source
		for _, s := range sources {
			l, err := s.peek()
			if err != nil {
				return nil, err
			}
			if l != nil && (next == nil || l.At < next.head[0].At) {
				next = s
			}
		}
		if next == nil {
			return h, nil
		}
		if err := h.replay(next, next.pop()); err != nil {
			return nil, err
		}
	}
}

// replay takes in an event of another process.
func (h *History) replay(s *source, l *line) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := true
	switch {
	case l.Begin != nil:
		return nil
	case l.Put != nil:
		s.puts[l.Put.No] = h.puts
		l.Put.No = h.puts
		h.puts++
	case l.Call != nil:
		s.calls[l.Call.No] = h.calls
		l.Call.No = h.calls
		h.calls++
	case l.End != nil:
		l.End.No, known = s.puts[l.End.No], has(s.puts, l.End.No)
	case l.Answer != nil:
		l.Answer.Call, known = s.calls[l.Answer.Call], has(s.calls, l.Answer.Call)
	}
	if !known {
		return fmt.Errorf("event %d of a process: the end of a put or call whose beginning is missing", l.N)
	}
	h.n++
	h.last = max(h.last, l.At)
	l.N, l.At = h.n, h.last
	h.take(l)
	return nil
}

func has(m map[int]int, k int) bool {
	_, ok := m[k]
	return ok
}

// source reads one file. Lines are written concurrently, so they may stand a
// little out of order; their numbers put them right.
type source struct {
	r     *bufio.Reader
	no    int // of the line read last
	begun bool
	ended bool
	next  int64   // number of the event that comes next
	head  []*line // in order, ready to be taken
	late  []*line // read before their turn, by number
	begin *line   // of the next process, read already

	puts, calls map[int]int // this process' numbers to those of the merged history
}

func newSource(r io.Reader) *source { return &source{r: bufio.NewReaderSize(r, 1<<16)} }

// peek is the next event, nil at the end of the file.
func (s *source) peek() (*line, error) {
	for len(s.head) == 0 {
		if s.begin != nil { // the process before has been taken
			s.head, s.begin = append(s.head, s.begin), nil
			s.puts, s.calls, s.next = map[int]int{}, map[int]int{}, 2
			break
		}
		if s.ended {
			return nil, nil
		}
		l, err := s.readLine()
		if err != nil {
			return nil, err
		}
		switch {
		case l == nil || l.Begin != nil:
			// What a killed process numbered and did not write is missing.
			s.head, s.late = append(s.head, s.late...), nil
			s.begin, s.ended, s.begun = l, l == nil, true
		case !s.begun:
			return nil, fmt.Errorf("line %d: not the beginning of a history", s.no)
		default:
			s.release(l)
		}
	}
	return s.head[0], nil
}

// release adds l to late and moves the events whose turn it is to head.
func (s *source) release(l *line) {
	i, _ := slices.BinarySearchFunc(s.late, l.N, func(l *line, n int64) int { return cmp.Compare(l.N, n) })
	s.late = slices.Insert(s.late, i, l)
	for len(s.late) > 0 && s.late[0].N == s.next {
		s.head, s.late = append(s.head, s.late[0]), s.late[1:]
		s.next++
	}
}

func (s *source) pop() *line {
	l := s.head[0]
	s.head = s.head[1:]
	return l
}

// readLine reads one line, nil at the end of the file.
func (s *source) readLine() (*line, error) {
	for {
		text, err := s.r.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("line %d: %w", s.no+1, err)
		}
		last := err != nil
		s.no++
		text = bytes.TrimSpace(text)
		if len(text) == 0 {
			if last {
				return nil, nil
			}
			continue
		}
		l := new(line)
		if err := json.Unmarshal(text, l); err == nil {
			return l, nil
		} else if !last && !s.cutOff() {
			return nil, fmt.Errorf("line %d: %w", s.no, err)
		}
		if last {
			return nil, nil
		}
	}
}

// cutOff reports whether the line just read is the last of its process: an
// empty line and the beginning of another process come next, or nothing.
func (s *source) cutOff() bool {
	begin := []byte(`{"n":1,`)
	ahead, _ := s.r.Peek(len(begin) + 1) // less at the end of the file
	ahead = bytes.TrimPrefix(ahead, []byte{'\n'})
	return bytes.HasPrefix(ahead, begin) || bytes.HasPrefix(begin, ahead)
}
