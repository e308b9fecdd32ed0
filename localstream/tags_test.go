package localstream

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

const (
	testARN    = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
	badTagText = "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % @."
)

// tags lists the tags of "s" as KEY=VALUE.
func (h *harness) tags(change ...func(*kinesis.ListTagsForStreamInput)) (tags []string, more bool) {
	h.Helper()
	in := &kinesis.ListTagsForStreamInput{StreamName: aws.String("s")}
	for _, f := range change {
		f(in)
	}
	out, err := h.client.ListTagsForStream(h.Context(), in)
	h.must(err)
	return tagTexts(out.Tags), *out.HasMoreTags
}

func tagTexts(tags []types.Tag) []string {
	out := []string{}
	for _, tag := range tags {
		out = append(out, *tag.Key+"="+*tag.Value)
	}
	return out
}

// What is added by one pair of operations is seen and removed by the other.
func TestTagsByStreamAndByResource(t *testing.T) {
	h := start(t, 1)
	_, err := h.client.AddTagsToStream(t.Context(), &kinesis.AddTagsToStreamInput{StreamName: aws.String("s"), Tags: map[string]string{"a": "1", "ü0 _.": "", "/=+-@:": "x"}})
	h.must(err)
	_, err = h.client.TagResource(t.Context(), &kinesis.TagResourceInput{ResourceARN: aws.String(testARN), Tags: map[string]string{"a": "2", "b": "3"}})
	h.must(err)
	want := []string{"/=+-@:=x", "a=2", "b=3", "ü0 _.="}
	got, more := h.tags()
	equal(t, "tags of the stream", fmt.Sprint(got, more), fmt.Sprint(want, false))
	out, err := h.client.ListTagsForResource(t.Context(), &kinesis.ListTagsForResourceInput{ResourceARN: aws.String(testARN)})
	h.must(err)
	equal(t, "tags of the resource", tagTexts(out.Tags), want)
	_, err = h.client.UntagResource(t.Context(), &kinesis.UntagResourceInput{ResourceARN: aws.String(testARN), TagKeys: []string{"a", "never", "ü0 _."}})
	h.must(err)
	_, err = h.client.RemoveTagsFromStream(t.Context(), &kinesis.RemoveTagsFromStreamInput{StreamARN: aws.String(testARN), TagKeys: []string{"b", "a"}})
	h.must(err)
	got, _ = h.tags()
	equal(t, "what is left", got, "[/=+-@:=x]")
}

func TestTagsAreListedInPages(t *testing.T) {
	h := start(t, 0)
	tags := map[string]string{}
	for i := range maxTags {
		tags[fmt.Sprintf("k%02d", i)] = "v"
	}
	_, err := h.client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("s"), Tags: tags})
	h.must(err)
	all, more := h.tags()
	equal(t, "all at once", fmt.Sprint(len(all), more), "50 false")
	var got []string
	pages := 0
	for after := (*string)(nil); ; pages++ {
		list, more := h.tags(func(in *kinesis.ListTagsForStreamInput) { in.Limit, in.ExclusiveStartTagKey = aws.Int32(20), after })
		got = append(got, list...)
		if !more {
			break
		}
		key, _, _ := strings.Cut(list[len(list)-1], "=")
		after = &key
	}
	equal(t, "in pages", got, all)
	equal(t, "pages before the last", pages, 2)
	list, _ := h.tags(func(in *kinesis.ListTagsForStreamInput) { in.ExclusiveStartTagKey = aws.String("k48x") })
	equal(t, "after a key that is not there", list, "[k49=v]")
}

// The fiftieth tag is taken and the fifty-first refused, however they come; a
// new value for a tag that is there is always taken.
func TestAtMostFiftyTags(t *testing.T) {
	h := start(t, 1)
	tag := func(keys ...string) (kind, message string) {
		t.Helper()
		in := []string{}
		for _, k := range keys {
			in = append(in, `"`+k+`":"v"`)
		}
		body := `{"ResourceARN":"` + testARN + `","Tags":{` + strings.Join(in, ",") + `}}`
		if status, _ := h.raw("TagResource", body); status == 200 {
			return "", ""
		}
		return h.refused("TagResource", body)
	}
	for i := range maxTags {
		kind, message := tag(fmt.Sprint("k", i))
		equal(t, "tag", kind+message, "")
	}
	kind, message := tag("k0", "k49")
	equal(t, "tags that are there", kind+message, "")
	kind, message = tag("k0", "one")
	equal(t, "one more", kind+": "+message, "InvalidArgumentException: Failed to add tags to stream s under account 000000000000 "+
		"because a given stream cannot have more than 50 tags associated with it.")
	got, _ := h.tags()
	equal(t, "tags", len(got), maxTags)
}

// What AWS says of tags that it does not take.
func TestTagErrors(t *testing.T) {
	h := start(t, 1)
	const violation = "1 validation error detected: "
	long := strings.Repeat("ü", 129)
	keys := func(n int) string { return "'[" + strings.TrimSuffix(strings.Repeat("k, ", n), ", ") + "]'" }
	add := func(tags string) string { return `{"StreamName":"s","Tags":` + tags + `}` }
	remove := func(keys string) string { return `{"StreamName":"s","TagKeys":` + keys + `}` }
	for _, tt := range []struct{ operation, body, kind, message string }{
		{"AddTagsToStream", `{}`, typeValidation, "2 validation errors detected: Value null at 'tags' failed to satisfy constraint: Member must not be null; " + nullStream},
		{"AddTagsToStream", `{"StreamName":"s","Tags":{}}`, typeValidation, violation + "Value '{}' at 'tags' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"AddTagsToStream", add(`{"` + long + `":"v"}`), typeValidation, violation + "Value '{" + long + "=v}' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: " +
			"[Member must have length less than or equal to 128, Member must have length greater than or equal to 1]"},
		{"AddTagsToStream", add(`{"a;b":""}`), typeInvalidArgument, badTagText},
		{"AddTagsToStream", add(`{"a\tb":""}`), typeInvalidArgument, badTagText},
		{"AddTagsToStream", add(`{"a":"b\n"}`), typeInvalidArgument, badTagText},
		{"AddTagsToStream", add(`{"a":"b,"}`), typeInvalidArgument, badTagText},
		{"AddTagsToStream", add(`{"a%":""}`), typeInvalidArgument, "Failed to add tags to stream s under account 000000000000 because some tags contained illegal characters. " +
			"The allowed characters are Unicode letters, white-spaces, '_',',','/','=','+','-','@'."},
		{"AddTagsToStream", add(`{"AWS:x":""}`), typeInvalidArgument, "Failed to add tags to stream s under account 000000000000 because the prefix aws: of tag keys is reserved."},
		{"AddTagsToStream", `{"StreamName":"none","Tags":{";":""}}`, typeNotFound, "Stream none under account 000000000000 not found."},
		{"RemoveTagsFromStream", `{}`, typeValidation, "2 validation errors detected: Value null at 'tagKeys' failed to satisfy constraint: Member must not be null; " + nullStream},
		{"RemoveTagsFromStream", remove(`[]`), typeValidation, violation + "Value '[]' at 'tagKeys' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"RemoveTagsFromStream", remove(`["a","` + long + `","b"]`), typeValidation, violation + "Value '[a, " + long + ", b]' at 'tagKeys' failed to satisfy constraint: " +
			"Member must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1]"},
		{"RemoveTagsFromStream", remove(`[` + strings.Repeat(`"k",`, 50) + `"k"]`), typeValidation, violation + "Value " + keys(51) + " at 'tagKeys' failed to satisfy constraint: " +
			"Member must have length less than or equal to 50"},
		{"RemoveTagsFromStream", remove(`["a%b"]`), typeInvalidArgument, "Failed to remove tags from stream s under account 000000000000 because some tags contained illegal characters. " +
			"The allowed characters are Unicode letters, white-spaces, '_',',','/','=','+','-','@'."},
		{"RemoveTagsFromStream", remove(`["a;b"]`), typeInvalidArgument, badTagText},
		{"ListTagsForStream", `{"Limit":51,"ExclusiveStartTagKey":"","StreamName":"s"}`, typeValidation, "2 validation errors detected: " +
			"Value '51' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 50; " +
			"Value '' at 'exclusiveStartTagKey' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"TagResource", `{"Tags":{"a":""}}`, typeValidation, violation + "Value null at 'resourceARN' failed to satisfy constraint: Member must not be null"},
		{"UntagResource", `{"TagKeys":["a"],"ResourceARN":"s"}`, typeValidation, violation + "Value 's' at 'resourceARN' failed to satisfy constraint: " +
			`Member must satisfy regular expression pattern: arn:aws.*:kinesis:.*:\d{12}:.*(stream|channel)/\S+`},
		{"ListTagsForResource", `{"ResourceARN":"` + testARN + `x"}`, typeNotFound, "Stream sx under account 000000000000 not found."},
		{"ListTagsForResource", `{"ResourceARN":"` + testARN + `/other/x"}`, typeNotFound, "Resource " + testARN + "/other/x not found."},
		{"ListTagsForResource", `{"ResourceARN":"` + testARN + `/consumer/c:1"}`, typeNotFound, "Resource " + testARN + "/consumer/c:1 not found."},
	} {
		kind, message := h.refused(tt.operation, tt.body)
		if kind != tt.kind || message != tt.message {
			t.Errorf("%s %s\ngot  %s: %s\nwant %s: %s", tt.operation, tt.body, kind, message, tt.kind, tt.message)
		}
	}
	got, _ := h.tags()
	equal(t, "tags after so many errors", len(got), 0)
}

// Tags of a stream that is being made or deleted can be read, not changed.
func TestTagsOfAStreamThatIsNotThereToStay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 0, Config{CreateDelay: time.Second, UpdateDelay: time.Second, DeleteDelay: time.Second})
		_, err := h.client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("s"), ShardCount: aws.Int32(1), Tags: map[string]string{"a": "1"}})
		h.must(err)
		got, _ := h.tags()
		equal(t, "tags while CREATING", got, "[a=1]")
		add := func() error {
			_, err := h.client.AddTagsToStream(t.Context(), &kinesis.AddTagsToStreamInput{StreamName: aws.String("s"), Tags: map[string]string{"b": "2"}})
			return err
		}
		h.wantError(add(), typeInUse, "Stream s under account 000000000000 not ACTIVE, instead in state CREATING")
		pass(time.Second)
		h.split("0", "100")
		h.must(add()) // while UPDATING
		pass(time.Second)
		_, err = h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("s")})
		h.must(err)
		h.wantError(add(), typeInUse, "Stream s under account 000000000000 not ACTIVE, instead in state DELETING")
	})
}
