package wire

import (
	"fmt"
	"math"
	"strings"
)

// SerializationError is a body that could not be read as the input of its
// operation. An empty Message means that it is not even of its encoding. The texts are
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

// found is what stands in the place of something else.
type found uint8

const (
	nothing found = iota // that is of the encoding
	aList
	anObject
	aString
	aBoolean
	aNumber
	aBlob // in CBOR only
)

// classes are the names that AWS has for what it found.
var classes = [...]string{
	aString:  "java.lang.String",
	aBoolean: "java.lang.Boolean",
	aNumber:  "com.amazon.coral.value.json.numbers.TruncatingBigNumber",
	aBlob:    "java.nio.HeapByteBuffer",
}

// mismatch is the error of a value in the place of something else.
func mismatch(f found, target string) error {
	switch f {
	case nothing:
		return errSyntax
	case aList:
		return &SerializationError{"Start of list found where not expected"}
	case anObject:
		return &SerializationError{"Start of structure or map found where not expected."}
	}
	switch target {
	case toList:
		return &SerializationError{"Expected list or null"}
	case toMap:
		return &SerializationError{"Expected map or null"}
	case toStructure:
		return &SerializationError{"Expected null"}
	}
	return &SerializationError{"class " + classes[f] + " can not be converted to " + target}
}

// spelled is the boolean that a string stands for. AWS takes some.
func spelled(b []byte) (bool, error) {
	switch v := strings.ToUpper(echo(b)); v {
	case "TRUE", "1", "YES":
		return true, nil
	case "FALSE", "0", "NO":
		return false, nil
	default:
		return false, &SerializationError{"'" + v + "' can not be converted to an Boolean"}
	}
}

// clamp is a number without a fraction within bounds. What is not a number is 0,
// as in Java.
func clamp(f float64, least, most int64) int64 {
	switch {
	case math.IsNaN(f):
		return min(max(0, least), most)
	case f <= float64(least):
		return least
	case f >= float64(most):
		return most
	}
	return int64(f)
}

// maxTimestamp is the greatest time that a request may name, the year 9999, in
// seconds.
const maxTimestamp = 253402300799

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
		return strings.ToValidUTF8(string(v[:maxEcho]), "") + "..." // a letter may have been cut
	}
	return string(v)
}
