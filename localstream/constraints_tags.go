package localstream

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// What the model and the service say of tags and of the resources that have
// them.
const (
	maxTagMap      = 200 // in a request by the model; a resource has fewer
	maxTagKeys     = 50  // in a request that removes them
	maxTagKey      = 128 // characters
	maxTagValue    = 256 // characters
	maxTags        = 50  // of a resource
	maxARN         = 2048
	reservedPrefix = "aws:"
)

// tags checks the tags of a request.
func (c *checker) tags(tags map[string]string, required bool) {
	switch n := len(tags); {
	case tags == nil && required:
		c.null("tags")
	case n == 0 && required:
		c.fail("tags", "'{}'", "have length greater than or equal to 1")
	case n > maxTagMap:
		c.fail("tags", "'{...}'", "have length less than or equal to "+strconv.Itoa(maxTagMap))
	}
	badKey, badValue := false, false
	for key, value := range tags {
		n := utf8.RuneCountInString(key)
		badKey = badKey || n < 1 || n > maxTagKey
		badValue = badValue || utf8.RuneCountInString(value) > maxTagValue
	}
	if badKey {
		c.failMap("tags", tags, "keys", maxTagKey, 1)
	}
	if badValue {
		c.failMap("tags", tags, "value", maxTagValue, 0)
	}
}

// tagKeys checks the keys of tags that are to be removed.
func (c *checker) tagKeys(keys []string) {
	switch n := len(keys); {
	case keys == nil:
		c.null("tagKeys")
	case n == 0:
		c.fail("tagKeys", "'[]'", "have length greater than or equal to 1")
	case n > maxTagKeys:
		c.fail("tagKeys", quotedList(keys), "have length less than or equal to "+strconv.Itoa(maxTagKeys))
	}
	bad := func(key string) bool { return key == "" || utf8.RuneCountInString(key) > maxTagKey }
	if slices.ContainsFunc(keys, bad) {
		c.fail("tagKeys", quotedList(keys), fmt.Sprintf("satisfy constraint: "+
			"[Member must have length less than or equal to %d, Member must have length greater than or equal to 1]", maxTagKey))
	}
}

// quotedList shows a list as Java does, as far as a message repeats a value.
func quotedList[T ~string](list []T) string {
	var b strings.Builder
	for i, v := range list {
		if b.Len() > maxEcho {
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(v))
	}
	return quoted("[" + b.String() + "]")
}

// resource checks the ARN of a stream or a consumer.
func (c *checker) resource(arn, streamID *string) {
	if arn == nil {
		c.null("resourceARN")
	} else {
		c.text("resourceARN", *arn, `arn:aws.*:kinesis:.*:\d{12}:.*stream/\S+`, isStreamARN, 1, maxARN)
	}
	c.streamID(streamID)
}

// taggable checks the ARN of a stream, a consumer or a channel.
func (c *checker) taggable(arn, streamID *string) {
	c.required("resourceARN", arn, `arn:aws.*:kinesis:.*:\d{12}:.*(stream|channel)/\S+`,
		func(s string) bool { return isStreamARN(s) || isChannelARN(s) }, 1, maxARN)
	c.streamID(streamID)
}

// checkTagTexts refuses tags whose texts AWS does not take. Verb says what was
// to be done with them: "add tags to" or "remove tags from".
func checkTagTexts(key state.Key, verb string, texts []string) error {
	percent := false
	for _, text := range texts {
		if strings.ContainsFunc(text, badInTag) {
			return invalidArgument("Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - %% @.")
		}
		percent = percent || strings.Contains(text, "%")
	}
	if percent {
		return invalidArgument("Failed to %s stream %s under account %s because some tags contained illegal characters. "+
			"The allowed characters are Unicode letters, white-spaces, '_',',','/','=','+','-','@'.", verb, key.Name, key.Account)
	}
	return nil
}

// badInTag reports whether a tag cannot have a character. White space is spaces
// only, as AWS has it; the percent sign has a message of its own. The colon is
// in the documentation, though not in the message.
func badInTag(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.Zs, r) && !strings.ContainsRune("_.:/=+-@%", r)
}

// addTags gives the tags of a resource after some were added, in the words of
// AWS if it cannot have them. The old tags stay as they are.
func addTags(key state.Key, old, added map[string]string) (map[string]string, error) {
	merged := make(map[string]string, len(old)+len(added))
	maps.Copy(merged, old)
	maps.Copy(merged, added)
	texts := make([]string, 0, 2*len(added))
	for k, v := range added {
		texts = append(texts, k, v)
	}
	if err := checkTagTexts(key, "add tags to", texts); err != nil {
		return nil, err
	}
	for k := range added {
		if len(k) >= len(reservedPrefix) && strings.EqualFold(k[:len(reservedPrefix)], reservedPrefix) {
			return nil, invalidArgument("Failed to add tags to stream %s under account %s because the prefix %s of tag keys is reserved.",
				key.Name, key.Account, reservedPrefix)
		}
	}
	if len(merged) > maxTags {
		return nil, invalidArgument("Failed to add tags to stream %s under account %s because a given stream cannot have more than %d tags associated with it.",
			key.Name, key.Account, maxTags)
	}
	return merged, nil
}

// removeTags gives the tags of a resource without some. Keys that it does not
// have do not matter.
func removeTags(key state.Key, old map[string]string, keys []string) (map[string]string, error) {
	if err := checkTagTexts(key, "remove tags from", keys); err != nil {
		return nil, err
	}
	left := maps.Clone(old)
	maps.DeleteFunc(left, func(k, _ string) bool { return slices.Contains(keys, k) })
	return left, nil
}
