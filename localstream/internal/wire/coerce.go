package wire

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// SerializationError is a body that could not be read as the input of its
// operation. An empty Message means that it is not even JSON. The texts are
// those of AWS, slips included.
type SerializationError struct{ Message string }

// Error gives the message.
func (e *SerializationError) Error() string {
	if e.Message == "" {
		return "request body cannot be parsed"
	}
	return e.Message
}

// The targets of a conversion, as AWS names them in its texts.
const (
	toString    = "an String"
	toBoolean   = "an Boolean"
	toInteger   = "an Integer"
	toLong      = "an Long"
	toBlob      = "a Blob"
	toTimestamp = "milliseconds since epoch"
	toList      = "list"
	toMap       = "map"
	toStructure = "structure"
)

// mismatch is the error of a value, whose first byte is c, in the place of
// something else.
func mismatch(c byte, target string) error {
	var class string
	switch c {
	case '[':
		return &SerializationError{"Start of list found where not expected"}
	case '{':
		return &SerializationError{"Start of structure or map found where not expected."}
	case '"':
		class = "java.lang.String"
	case 't', 'f':
		class = "java.lang.Boolean"
	default:
		if c != '-' && (c < '0' || c > '9') {
			return errSyntax
		}
		class = "com.amazon.coral.value.json.numbers.TruncatingBigNumber"
	}
	switch target {
	case toList:
		return &SerializationError{"Expected list or null"}
	case toMap:
		return &SerializationError{"Expected map or null"}
	case toStructure:
		return &SerializationError{"Expected null"}
	}
	return &SerializationError{"class " + class + " can not be converted to " + target}
}

// text reads a string member.
func (s *scanner) text() (string, error) {
	if c := s.peek(); c != '"' {
		return "", mismatch(c, toString)
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
		switch v := strings.ToUpper(echo(b)); v {
		case "TRUE", "1", "YES":
			return true, nil
		case "FALSE", "0", "NO":
			return false, nil
		default:
			return false, &SerializationError{"'" + v + "' can not be converted to an Boolean"}
		}
	default:
		return false, mismatch(c, toBoolean)
	}
}

// integer reads an integer member: fractions are rounded down, values out of
// range are clamped.
func (s *scanner) integer(target string, least, most int64) (int64, error) {
	if c := s.peek(); c != '-' && (c < '0' || c > '9') {
		return 0, mismatch(c, target)
	}
	b, err := s.number()
	if err != nil {
		return 0, err
	}
	if n, err := strconv.ParseInt(string(b), 10, 64); err == nil {
		return min(max(n, least), most), nil
	}
	f, _ := strconv.ParseFloat(string(b), 64) // out of range gives ±Inf, which is clamped
	switch f = math.Floor(f); {
	case f <= float64(least):
		return least, nil
	case f >= float64(most):
		return most, nil
	}
	return int64(f), nil
}

// maxTimestamp is the greatest time that a request may name, the year 9999, in
// seconds.
const maxTimestamp = 253402300799

// timestamp reads a time member: seconds, with decimals.
func (s *scanner) timestamp() (time.Time, error) {
	if c := s.peek(); c != '-' && (c < '0' || c > '9') {
		return time.Time{}, mismatch(c, toTimestamp)
	}
	b, err := s.number()
	if err != nil {
		return time.Time{}, err
	}
	f, _ := strconv.ParseFloat(string(b), 64)
	f = min(max(f, -maxTimestamp), maxTimestamp)
	return time.UnixMilli(int64(math.Round(f * 1000))).UTC(), nil
}

// blob reads a base64 member and appends the bytes to dst. The value is the
// part that was added.
func (s *scanner) blob(dst []byte) (all, value []byte, err error) {
	if c := s.peek(); c != '"' {
		return dst, nil, mismatch(c, toBlob)
	}
	raw, escaped, err := s.rawStr()
	if err != nil {
		return dst, nil, err
	}
	if escaped {
		if raw, err = unescape(raw); err != nil {
			return dst, nil, err
		}
	}
	at := len(dst)
	if len(raw)%4 != 0 || escaped && bytes.ContainsAny(raw, "\r\n") {
		return dst, nil, badBlob(raw)
	}
	if all, err = base64.StdEncoding.Strict().AppendDecode(dst, raw); err != nil {
		return dst, nil, badBlob(raw)
	}
	if len(all) == at {
		return all, []byte{}, nil // empty is not the same as missing
	}
	return all, all[at:len(all):len(all)], nil
}

// badBlob says what is wrong with a base64 text.
func badBlob(raw []byte) error {
	reason := "Invalid last non-pad Base64 character dectected"
	if len(raw)%4 != 0 {
		reason = fmt.Sprintf("Base64 encoded length is expected a multiple of 4 bytes but found: %d", len(raw))
	} else {
		for i, c := range raw {
			alphabet := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == '/'
			padding := c == '=' && (i == len(raw)-1 || i == len(raw)-2 && raw[i+1] == '=')
			if !alphabet && !padding {
				reason = fmt.Sprintf("Invalid Base64 character: '%c'", c)
				break
			}
		}
	}
	return &SerializationError{fmt.Sprintf("'%s' can not be converted to a Blob: %s", echo(raw), reason)}
}

// maxEcho bounds how much of a wrong value is repeated in the message.
const maxEcho = 2048

// echo gives a wrong value for a message.
func echo(v []byte) string {
	if len(v) > maxEcho {
		return string(v[:maxEcho]) + "..."
	}
	return string(v)
}
