package wire

import (
	"bytes"
	"errors"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a request. The API needs six levels.
const maxDepth = 64

// errSyntax is any way in which a body is not of its encoding.
var errSyntax = errors.New("not of the encoding")

// scanner reads a JSON text piece by piece. Its methods leave it in front of
// the next piece, or fail with errSyntax.
type scanner struct {
	buf   []byte
	pos   int
	depth int
	begun [maxDepth + 1]bool // the object or list of a depth has had an element

	blobs *[]byte // memory of the decoded blobs
	roomy bool    // which is large enough for all of them
}

// peek skips white space and gives the next byte, 0 at the end of the text.
func (s *scanner) peek() byte {
	for s.pos < len(s.buf) {
		switch c := s.buf[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// open enters an object or a list, whose bracket is next.
func (s *scanner) open() error {
	s.pos++
	s.depth++
	if s.depth > maxDepth {
		return errSyntax
	}
	s.begun[s.depth] = false
	return nil
}

// more reports whether the object or list has another element, and enters or
// leaves accordingly.
func (s *scanner) more(end byte) (bool, error) {
	first := !s.begun[s.depth]
	s.begun[s.depth] = true
	switch c := s.peek(); {
	case c == end:
		s.pos++
		s.depth--
		return false, nil
	case first:
		return true, nil
	case c == ',':
		s.pos++
		if s.peek() == end {
			return false, errSyntax
		}
		return true, nil
	}
	return false, errSyntax
}

// key reads the name of a member and the colon after it.
func (s *scanner) key() ([]byte, error) {
	name, err := s.str()
	if err != nil {
		return nil, err
	}
	if s.peek() != ':' {
		return nil, errSyntax
	}
	s.pos++
	return name, nil
}

// str reads a string. The result points into the text unless the string has
// escapes.
func (s *scanner) str() ([]byte, error) {
	raw, escaped, err := s.rawStr()
	if err != nil {
		return nil, err
	}
	if escaped {
		if raw, err = unescape(raw); err != nil {
			return nil, err
		}
	}
	if !utf8.Valid(raw) {
		return nil, errSyntax
	}
	return raw, nil
}

// rawStr reads a string as it is written, without its quotes.
func (s *scanner) rawStr() (raw []byte, escaped bool, err error) {
	if s.peek() != '"' {
		return nil, false, errSyntax
	}
	start := s.pos + 1
	for at := start; ; {
		i := bytes.IndexByte(s.buf[at:], '"')
		if i < 0 {
			return nil, false, errSyntax
		}
		at += i
		slashes := 0
		for s.buf[at-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			raw = s.buf[start:at]
			s.pos = at + 1
			return raw, slashes > 0 || bytes.IndexByte(raw, '\\') >= 0, nil
		}
		at++
	}
}

// unescape replaces the escapes of a JSON string.
func unescape(raw []byte) ([]byte, error) {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c != '\\' {
			out = append(out, c)
			continue
		}
		i++
		switch raw[i] { // a string never ends in an odd number of backslashes
		case '"', '\\', '/':
			out = append(out, raw[i])
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, ok := hex4(raw[i+1:])
			if !ok {
				return nil, errSyntax
			}
			i += 4
			if utf16.IsSurrogate(r) {
				low, ok := rune(0), false
				if i+2 < len(raw) && raw[i+1] == '\\' && raw[i+2] == 'u' {
					low, ok = hex4(raw[i+3:])
				}
				if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
					i += 6
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			return nil, errSyntax
		}
	}
	return out, nil
}

// hex4 reads four hexadecimal digits.
func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// number reads a number as it is written.
func (s *scanner) number() ([]byte, error) {
	s.peek()
	start := s.pos
	digits := func() bool {
		from := s.pos
		for s.pos < len(s.buf) && '0' <= s.buf[s.pos] && s.buf[s.pos] <= '9' {
			s.pos++
		}
		return s.pos > from
	}
	accept := func(set string) bool {
		if s.pos < len(s.buf) && bytes.IndexByte([]byte(set), s.buf[s.pos]) >= 0 {
			s.pos++
			return true
		}
		return false
	}
	accept("-")
	zero := s.pos < len(s.buf) && s.buf[s.pos] == '0'
	whole := s.pos
	if !digits() || zero && s.pos > whole+1 {
		return nil, errSyntax
	}
	if accept(".") && !digits() {
		return nil, errSyntax
	}
	if accept("eE") {
		accept("+-")
		if !digits() {
			return nil, errSyntax
		}
	}
	return s.buf[start:s.pos], nil
}

// literal reads true, false or null.
func (s *scanner) literal(word string) error {
	if s.peek(); !bytes.HasPrefix(s.buf[s.pos:], []byte(word)) {
		return errSyntax
	}
	s.pos += len(word)
	return nil
}

// null reads a null if there is one.
func (s *scanner) null() bool { return s.peek() == 'n' && s.literal("null") == nil }

// skip reads any value and forgets it.
func (s *scanner) skip() error {
	switch c := s.peek(); c {
	case '{', '[':
		if err := s.open(); err != nil {
			return err
		}
		for {
			ok, err := s.more(c + 2) // ']' and '}' follow two after '[' and '{'
			if !ok || err != nil {
				return err
			}
			if c == '{' {
				if _, err := s.key(); err != nil {
					return err
				}
			}
			if err := s.skip(); err != nil {
				return err
			}
		}
	case '"':
		_, err := s.str()
		return err
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	}
	_, err := s.number()
	return err
}

// end checks that nothing but white space is left.
func (s *scanner) end() error {
	if s.peek(); s.pos != len(s.buf) {
		return errSyntax
	}
	return nil
}
