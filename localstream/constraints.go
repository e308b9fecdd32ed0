package localstream

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// checker gathers the violations of the service model in a request: what AWS
// refuses with ValidationException before it looks at any stream. The texts
// and the order of the constraints of one member are those of AWS.
type checker struct{ failed []string }

// maxViolations is how many violations AWS lists at most.
const maxViolations = 10

// maxEcho bounds how much of a wrong value is repeated in the message.
const maxEcho = 2048

func (c *checker) fail(path, value, constraint string) {
	if len(c.failed) < maxViolations {
		c.failed = append(c.failed, "Value "+value+" at '"+path+"' failed to satisfy constraint: Member must "+constraint)
	}
}

// err is the error of all violations, nil if there are none.
func (c *checker) err() error {
	switch n := len(c.failed); n {
	case 0:
		return nil
	case 1:
		return invalid("1 validation error detected: %s", c.failed[0])
	default:
		return invalid("%d validation errors detected: %s", n, strings.Join(c.failed, "; "))
	}
}

func quoted(v string) string {
	if len(v) > maxEcho {
		v = strings.ToValidUTF8(v[:maxEcho], "") + "..." // a letter may have been cut
	}
	return "'" + v + "'"
}

func (c *checker) null(path string) { c.fail(path, "null", "not be null") }

// text checks a string that is present. A nil matches means no pattern; a most
// of 0 means no lengths.
func (c *checker) text(path, v, pattern string, matches func(string) bool, least, most int) {
	if matches != nil && !matches(v) {
		c.fail(path, quoted(v), "satisfy regular expression pattern: "+pattern)
	}
	if most == 0 {
		return
	}
	if n := utf8.RuneCountInString(v); n < least {
		c.fail(path, quoted(v), "have length greater than or equal to "+strconv.Itoa(least))
	} else if n > most {
		c.fail(path, quoted(v), "have length less than or equal to "+strconv.Itoa(most))
	}
}

// name checks a stream name or a shard id.
func (c *checker) name(path string, v *string, required bool) {
	if v != nil {
		c.text(path, *v, "[a-zA-Z0-9_.-]+", isName, 1, 128)
	} else if required {
		c.null(path)
	}
}

// stream checks the members that name the stream. One of them has to be there,
// though the model does not say so.
func (c *checker) stream(name, arn, id *string) {
	c.name("streamName", name, arn == nil)
	if arn != nil {
		c.text("streamARN", *arn, `arn:aws.*:kinesis:.*:\d{12}:stream/\S+`, isStreamARN, 1, 2048)
	}
	c.streamID(id)
}

// consumerName checks the name of a consumer, which has to be there.
func (c *checker) consumerName(v *string) { c.name("consumerName", v, true) }

// consumerARN checks the ARN of a consumer, which has to be there.
func (c *checker) consumerARN(v *string) {
	if v == nil {
		c.null("consumerARN")
		return
	}
	c.text("consumerARN", *v, `^(arn):aws.*:kinesis:.*:\d{12}:.*stream\/[a-zA-Z0-9_.-]+\/consumer\/[a-zA-Z0-9_.-]+:[0-9]+`, isConsumerARN, 1, 2048)
}

// streamID checks the member that is reserved for future use.
func (c *checker) streamID(id *string) {
	if id != nil {
		c.text("streamId", *id, "[a-z0-9]{20}-[a-z0-9]{3}", isStreamID, 1, 24)
	}
}

func (c *checker) hashKey(path string, v *string, required bool) {
	if v != nil {
		c.text(path, *v, `0|([1-9]\d{0,38})`, decimal(39), 0, 0)
	} else if required {
		c.null(path)
	}
}

func (c *checker) sequence(path string, v *string) {
	if v != nil {
		c.text(path, *v, `0|([1-9]\d{0,128})`, decimal(129), 0, 0)
	}
}

// number checks an integer. A most of 0 means that it has no upper bound.
func (c *checker) number(path string, v *int32, required bool, least, most int32) {
	switch {
	case v == nil && required:
		c.null(path)
	case v == nil:
	case *v < least:
		c.fail(path, quoted(strconv.Itoa(int(*v))), "have value greater than or equal to "+strconv.Itoa(int(least)))
	case most > 0 && *v > most:
		c.fail(path, quoted(strconv.Itoa(int(*v))), "have value less than or equal to "+strconv.Itoa(int(most)))
	}
}

// enum checks a member that takes one of a few values; empty is absent.
func enum[T ~string](c *checker, path string, v T, required bool, values []T) {
	switch {
	case v == "" && required:
		c.null(path)
	case v != "" && !slices.Contains(values, v):
		set := make([]string, len(values))
		for i, known := range values {
			set[i] = string(known)
		}
		c.fail(path, quoted(string(v)), "satisfy enum value set: ["+strings.Join(set, ", ")+"]")
	}
}

// noKey is the violation of a record without a partition key in a stream whose
// records need one.
func (c *checker) noKey(index int) {
	prefix := ""
	if index > 0 {
		prefix = recordPath(index)
	}
	c.null(prefix + "partitionKey")
}

// record checks the members of a record that is put. index is its place in the
// request from 1, or 0 for a request of one record.
func (c *checker) record(index int, data []byte, key, hashKey *string) {
	if data != nil && len(data) <= maxDataBytes && key != nil && *key != "" && len(*key) <= 256 && hashKey == nil {
		return // nearly all records
	}
	prefix := ""
	if index > 0 {
		prefix = recordPath(index)
	}
	if data == nil {
		c.null(prefix + "data")
	} else {
		c.data(prefix+"data", data, maxDataBytes)
	}
	if key != nil { // whether there has to be one is up to the stream
		c.text(prefix+"partitionKey", *key, "", nil, 1, 256)
	}
	c.hashKey(prefix+"explicitHashKey", hashKey, false)
}

// recordPath is what stands in front of the members of a record in a list.
func recordPath(index int) string { return "records." + strconv.Itoa(index) + ".member." }

// maxDataBytes is what the model allows; a stream allows less by default.
const maxDataBytes = 10 << 20

// data checks the size of a record's data.
func (c *checker) data(path string, data []byte, most int) {
	if n := len(data); n > most {
		c.fail(path, fmt.Sprintf("'java.nio.HeapByteBuffer[pos=0 lim=%d cap=%d]'", n, n), "have length less than or equal to "+strconv.Itoa(most))
	}
}

// records checks the length of a list of records, and each of them.
func (c *checker) records(in *kinesis.PutRecordsInput) {
	switch n := len(in.Records); {
	case in.Records == nil:
		c.null("records")
	case n == 0:
		c.fail("records", "'[]'", "have length greater than or equal to 1")
	case n > maxRecordsPerPut:
		c.fail("records", "'[...]'", "have length less than or equal to "+strconv.Itoa(maxRecordsPerPut))
	}
	for i := range in.Records {
		if r := &in.Records[i]; len(c.failed) < maxViolations {
			c.record(i+1, r.Data, r.PartitionKey, r.ExplicitHashKey)
		}
	}
}

// failMap is fail for the lengths of keys or values of a map, which AWS shows
// as Java does.
func (c *checker) failMap(path string, m map[string]string, what string, most, least int) {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if b.Len() > maxEcho {
			break
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString(key + "=" + m[key])
	}
	if len(c.failed) < maxViolations {
		c.failed = append(c.failed, fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: Map %s must satisfy constraint: "+
			"[Member must have length less than or equal to %d, Member must have length greater than or equal to %d]",
			quoted("{"+b.String()+"}"), path, what, most, least))
	}
}

func isName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '.', c == '-':
		default:
			return false
		}
	}
	return s != ""
}

func isStreamARN(s string) bool {
	_, ok := state.ParseARN(s)
	return ok && !strings.ContainsAny(s, " \t\n\v\f\r")
}

func isConsumerARN(s string) bool {
	key, name, _, ok := state.ParseConsumerARN(s)
	return ok && isName(key.Name) && isName(name)
}

func isStreamID(s string) bool {
	if len(s) != 24 || s[20] != '-' {
		return false
	}
	return strings.Trim(s[:20]+s[21:], "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// decimal matches a number without leading zeros, of at most digits digits.
func decimal(digits int) func(string) bool {
	return func(s string) bool {
		if s == "" || len(s) > digits || s[0] == '0' && len(s) > 1 {
			return false
		}
		return strings.Trim(s, "0123456789") == ""
	}
}
