package localstream

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/google/uuid"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// The keys of the objects that channels write, by the rules of AWS, and the
// names that they get in the folder that stands for S3.

// The lengths of object keys. What a template becomes has to leave room for
// the suffix that makes each key another one.
const (
	maxKeyLength      = 1024
	maxSuffixLength   = 38
	maxExpandedLength = maxKeyLength - maxSuffixLength
)

// defaultKeyTemplate is what AWS uses when a channel has none.
const defaultKeyTemplate = "kinesis-channel/!{channel-name}/!{channel-id}/!{yyyy}/!{MM}/!{dd}/!{HH}/" +
	"!{channel-name}-!{channel-id}-!{yyyy}-!{MM}-!{dd}-!{HH}-!{mm}!{extension}"

// keyTemplate is an OutputKeyTemplate, taken apart.
type keyTemplate struct {
	parts []keyPart
	// extension is the last part, if it is an extension: either a literal, or
	// "!", which stands for that of the compression.
	extension string
}

// keyPart is one piece of a template: a text, or the name of a variable.
type keyPart struct{ literal, variable string }

// compressionExtension is the extension "!" of a template.
const compressionExtension = "!"

// keyValues is what a template is filled with.
type keyValues struct {
	channel, id, stream string
	compression         string    // in the words of the API
	at                  time.Time // UTC
}

// value is that of a variable. It reports whether there is such a variable;
// extensions are none.
func (v keyValues) value(name string) (string, bool) {
	switch name {
	case "channel-name":
		return v.channel, true
	case "channel-id":
		return v.id, true
	case "stream-name":
		return v.stream, true
	case "yyyy":
		return v.at.Format("2006"), true
	case "yy":
		return v.at.Format("06"), true
	case "MM":
		return v.at.Format("01"), true
	case "dd":
		return v.at.Format("02"), true
	case "HH":
		return v.at.Format("15"), true
	case "mm":
		return v.at.Format("04"), true
	}
	return "", false
}

// extension is that of the compression.
func (v keyValues) extension() string {
	switch types.S3CompressionType(v.compression) {
	case types.S3CompressionTypeGzip:
		return ".gz"
	case types.S3CompressionTypeZstd:
		return ".zst"
	}
	return ""
}

// parseKeyTemplate takes a template apart. Its error says, for people to read,
// which rule is broken.
func parseKeyTemplate(text string) (keyTemplate, error) {
	var t keyTemplate
	if err := checkPath(text); err != nil {
		return t, err
	}
	for rest := text; rest != ""; {
		literal, after, found := strings.Cut(rest, "!{")
		if bad := strings.Trim(literal, literalCharacters); bad != "" {
			return t, fmt.Errorf("%q is not allowed outside of variables: want letters, digits and any of ! - _ ' . * ( ) / =", bad[:1])
		}
		if literal != "" {
			t.parts = append(t.parts, keyPart{literal: literal})
		}
		if !found {
			break
		}
		name, after, closed := strings.Cut(after, "}")
		if !closed {
			return t, errors.New("a variable is not closed")
		}
		_, known := keyValues{}.value(name)
		switch {
		case known:
			t.parts = append(t.parts, keyPart{variable: name})
		case !strings.HasPrefix(name+":", "extension:"):
			return t, fmt.Errorf("!{%s} is not a variable", name)
		case after != "":
			return t, fmt.Errorf("!{%s} is not at the end", name)
		default:
			var err error
			if t.extension, err = parseExtension(name); err != nil {
				return t, err
			}
		}
		rest = after
	}
	return t, nil
}

// literalCharacters are those that a template may have outside of variables.
const literalCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!-_'.*()/="

// parseExtension reads "extension" and "extension:.literal".
func parseExtension(name string) (string, error) {
	literal, given := strings.CutPrefix(name, "extension:")
	if !given {
		return compressionExtension, nil
	}
	if !strings.HasPrefix(literal, ".") || strings.Trim(literal, ".abcdefghijklmnopqrstuvwxyz") != "" {
		return "", fmt.Errorf("the extension %q has to start with a period and contain only lowercase letters and periods", literal)
	}
	return literal, nil
}

// checkPath refuses templates that are no plain paths.
func checkPath(text string) error {
	switch {
	case strings.HasPrefix(text, "/"):
		return errors.New("it starts with a slash")
	case strings.Contains(text, ".."):
		return errors.New("it contains consecutive periods")
	case strings.Contains(text, "//"):
		return errors.New("it contains consecutive slashes")
	}
	for segment := range strings.SplitSeq(text, "/") {
		if segment == "." {
			return errors.New("it contains a path segment that is a period")
		}
	}
	return nil
}

// expand fills the template. The suffix goes in front of the extension.
func (t keyTemplate) expand(v keyValues, suffix string) string {
	var b strings.Builder
	for _, p := range t.parts {
		b.WriteString(p.literal)
		value, _ := v.value(p.variable)
		b.WriteString(value)
	}
	b.WriteString(suffix)
	if t.extension == compressionExtension {
		b.WriteString(v.extension())
	} else {
		b.WriteString(t.extension)
	}
	return b.String()
}

// valuesOf is what the keys of a channel's objects are made of.
func valuesOf(ch *state.Channel, stream string, at time.Time) keyValues {
	return keyValues{channel: ch.Name, id: ch.ID, stream: stream, compression: ch.S3.Compression, at: at.UTC()}
}

// newDelivery names the objects of a delivery at a time. Each has a suffix of
// its own: a template may well make the rest of their keys the same.
func newDelivery(ch *state.Channel, t keyTemplate, stream string, at time.Time) state.Delivery {
	id, lettersID := newObjectID(), newObjectID()
	v := valuesOf(ch, stream, at)
	letters := fmt.Sprintf("%s%s-%s-%s-%s.json", ch.Letters.Prefix, ch.Name, ch.ID, at.UTC().Format("2006-01-02-15-04"), lettersID)
	return state.Delivery{
		ID:      id,
		Object:  folderPath(ch.S3.ARN, t.expand(v, "-"+id)),
		Letters: folderPath(ch.Letters.Bucket, letters),
	}
}

// newObjectID is an id that no object has.
func newObjectID() string {
	return uuid.Must(uuid.NewV7()).String() // fails without randomness, which Go does not go on without
}

// folderPath is the path of an object in the folder that stands for S3: the
// bucket, and the key. Segments of a key that no file can have as its name, or
// that would lead out of the folder, are written with a percent sign, which no
// key of a channel contains.
func folderPath(bucketARN, key string) string {
	segments := strings.Split(key, "/")
	for i, s := range segments {
		switch s {
		case "":
			segments[i] = "%"
		case ".", "..":
			segments[i] = strings.ReplaceAll(s, ".", "%2E")
		}
	}
	return bucketName(bucketARN) + "/" + strings.Join(segments, "/")
}

// bucketName is the name of a bucket, from its ARN.
func bucketName(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }
