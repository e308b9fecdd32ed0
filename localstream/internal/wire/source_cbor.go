package wire

import (
	"math"
	"time"
	"unicode/utf8"

	"github.com/shardrun/shardrun/internal/cbor"
)

// cborSource reads a body of CBOR. Where AWS has a text for a value of JSON
// that is out of place, the value of CBOR in the same place gets the same.
type cborSource struct {
	cbor.Reader
	open []cbor.Items // of the objects and lists that are entered
}

// newCBORSource takes strings in pieces too: the SDK for Java writes one of more
// than 3,996 characters so, such as a long policy.
func newCBORSource(body []byte) *cborSource {
	s := &cborSource{Reader: cbor.NewReader(body)}
	s.Chunks = true
	return s
}

// found is what the next item is, for a mismatch.
func (s *cborSource) found() found {
	switch s.Kind() {
	case cbor.Array:
		return aList
	case cbor.Map:
		return anObject
	case cbor.Text:
		return aString
	case cbor.Bytes:
		return aBlob
	case cbor.Bool:
		return aBoolean
	case cbor.Int, cbor.Float:
		return aNumber
	case cbor.Invalid, cbor.Null, cbor.Tag, cbor.Break:
	}
	return nothing
}

func (s *cborSource) null() bool { return s.Null() }

// enter remembers an object or a list that the reader has entered.
func (s *cborSource) enter(n cbor.Items, err error) error {
	if err == nil {
		s.open = append(s.open, n)
	}
	return err
}

func (s *cborSource) object(target string) (bool, error) {
	if s.Null() {
		return false, nil
	}
	if s.Kind() != cbor.Map {
		return false, mismatch(s.found(), target)
	}
	return true, s.enter(s.Map())
}

func (s *cborSource) list() error {
	if s.Kind() != cbor.Array {
		return mismatch(s.found(), toList)
	}
	return s.enter(s.Array())
}

func (s *cborSource) element() (bool, error) {
	last := len(s.open) - 1
	more, err := s.More(&s.open[last])
	if !more && err == nil {
		s.open = s.open[:last]
	}
	return more, err
}

func (s *cborSource) member() ([]byte, bool, error) {
	for {
		more, err := s.element()
		if !more || err != nil {
			return nil, false, err
		}
		name, err := s.str()
		if err != nil {
			return nil, false, err
		}
		if !s.Null() {
			return name, true, nil
		}
	}
}

// str reads a string, which has to be UTF-8.
func (s *cborSource) str() ([]byte, error) {
	b, err := s.Text()
	if err == nil && !utf8.Valid(b) {
		return nil, errSyntax
	}
	return b, err
}

func (s *cborSource) text() (string, error) {
	if s.Kind() != cbor.Text {
		return "", mismatch(s.found(), toString)
	}
	b, err := s.str()
	return string(b), err
}

func (s *cborSource) boolean() (bool, error) {
	switch s.Kind() {
	case cbor.Bool:
		return s.Bool()
	case cbor.Text:
		b, err := s.str()
		if err != nil {
			return false, err
		}
		return spelled(b)
	default:
		return false, mismatch(s.found(), toBoolean)
	}
}

func (s *cborSource) integer(target string, least, most int64) (int64, error) {
	switch s.Kind() {
	case cbor.Int:
		n, err := s.Int()
		return min(max(n, least), most), err
	case cbor.Float:
		f, err := s.Float()
		return clamp(math.Floor(f), least, most), err
	default:
		return 0, mismatch(s.found(), target)
	}
}

// timestamp reads milliseconds since 1970. RFC 8949 has seconds under tag 1,
// but the SDK for Java means milliseconds with the tag and without.
func (s *cborSource) timestamp() (time.Time, error) {
	switch s.Kind() {
	case cbor.Int, cbor.Float, cbor.Tag:
	default:
		return time.Time{}, mismatch(s.found(), toTimestamp)
	}
	ms, err := s.Millis()
	ms = min(max(ms, -maxTimestamp*1000), maxTimestamp*1000)
	return time.UnixMilli(ms).UTC(), err
}

func (s *cborSource) blob() ([]byte, error) {
	if s.Kind() != cbor.Bytes {
		return nil, mismatch(s.found(), toBlob)
	}
	return s.Bytes()
}

// skip is that of the reader, but strings have to be UTF-8 and keys strings.
func (s *cborSource) skip() error {
	switch s.Kind() {
	case cbor.Map:
		_, err := s.object(toStructure)
		for ok := true; ok && err == nil; {
			if _, ok, err = s.member(); ok {
				err = s.skip()
			}
		}
		return err
	case cbor.Array:
		err := s.list()
		for ok := true; ok && err == nil; {
			if ok, err = s.element(); ok {
				err = s.skip()
			}
		}
		return err
	case cbor.Text:
		_, err := s.str()
		return err
	default:
		return s.Skip()
	}
}

func (s *cborSource) end() error { return s.End() }
