package wire

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"time"
)

// found is what the next value is, for a mismatch.
func (s *scanner) found() found {
	switch c := s.peek(); {
	case c == '[':
		return aList
	case c == '{':
		return anObject
	case c == '"':
		return aString
	case c == 't', c == 'f':
		return aBoolean
	case c == '-', '0' <= c && c <= '9':
		return aNumber
	}
	return nothing
}

func (s *scanner) object(target string) (bool, error) {
	if s.null() {
		return false, nil
	}
	if s.peek() != '{' {
		return false, mismatch(s.found(), target)
	}
	return true, s.open()
}

func (s *scanner) member() ([]byte, bool, error) {
	for {
		ok, err := s.more('}')
		if !ok || err != nil {
			return nil, false, err
		}
		name, err := s.key()
		if err != nil {
			return nil, false, err
		}
		if !s.null() {
			return name, true, nil
		}
	}
}

func (s *scanner) list() error {
	if s.peek() != '[' {
		return mismatch(s.found(), toList)
	}
	return s.open()
}

func (s *scanner) element() (bool, error) { return s.more(']') }

// text reads a string member.
func (s *scanner) text() (string, error) {
	if s.peek() != '"' {
		return "", mismatch(s.found(), toString)
	}
	b, err := s.str()
	return string(b), err
}

// boolean reads a boolean member. AWS takes some strings too.
func (s *scanner) boolean() (bool, error) {
	switch c := s.peek(); c {
	case 't':
		return true, s.literal("true")
	case 'f':
		return false, s.literal("false")
	case '"':
		b, err := s.str()
		if err != nil {
			return false, err
		}
		return spelled(b)
	default:
		return false, mismatch(s.found(), toBoolean)
	}
}

// integer reads an integer member: fractions are rounded down, values out of
// range are clamped.
func (s *scanner) integer(target string, least, most int64) (int64, error) {
	if f := s.found(); f != aNumber {
		return 0, mismatch(f, target)
	}
	b, err := s.number()
	if err != nil {
		return 0, err
	}
	if n, err := strconv.ParseInt(string(b), 10, 64); err == nil {
		return min(max(n, least), most), nil
	}
	f, _ := strconv.ParseFloat(string(b), 64) // out of range gives ±Inf, which is clamped
	return clamp(math.Floor(f), least, most), nil
}

// timestamp reads a time member: seconds, with decimals.
func (s *scanner) timestamp() (time.Time, error) {
	if f := s.found(); f != aNumber {
		return time.Time{}, mismatch(f, toTimestamp)
	}
	b, err := s.number()
	if err != nil {
		return time.Time{}, err
	}
	f, _ := strconv.ParseFloat(string(b), 64)
	f = min(max(f, -maxTimestamp), maxTimestamp)
	return time.UnixMilli(int64(math.Round(f * 1000))).UTC(), nil
}

// blob reads a base64 member.
func (s *scanner) blob() ([]byte, error) {
	if s.peek() != '"' {
		return nil, mismatch(s.found(), toBlob)
	}
	raw, escaped, err := s.rawStr()
	if err != nil {
		return nil, err
	}
	if escaped {
		if raw, err = unescape(raw); err != nil {
			return nil, err
		}
	}
	if len(raw)%4 != 0 || escaped && bytes.ContainsAny(raw, "\r\n") {
		return nil, badBlob(raw)
	}
	memory := s.room()
	at := len(memory)
	all, err := appendDecoded(memory, raw)
	if err != nil {
		return nil, badBlob(raw)
	}
	*s.blobs = all
	if len(all) == at {
		return []byte{}, nil // empty is not the same as missing
	}
	return all[at:len(all):len(all)], nil
}

// room is the memory of blobs behind those that were read. At the first it is
// made large enough for every blob that the body can hold, so that it never
// moves while blobs point into it.
func (s *scanner) room() []byte {
	if !s.roomy {
		s.roomy = true
		*s.blobs = slices.Grow((*s.blobs)[:0], len(s.buf)/4*3)
	}
	return *s.blobs
}
