package localstream

import (
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

func (c *checker) addTagsToStream(in *kinesis.AddTagsToStreamInput) {
	c.tags(in.Tags, true)
	c.stream(in.StreamName, in.StreamARN, in.StreamId)
}

func (c *call) addTagsToStream(ctx context.Context, in *kinesis.AddTagsToStreamInput) error {
	st, _, err := c.find(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return err
	}
	return c.tag(ctx, resource{stream: st, name: st.key}, in.Tags)
}

func (c *checker) removeTagsFromStream(in *kinesis.RemoveTagsFromStreamInput) {
	c.tagKeys(in.TagKeys)
	c.stream(in.StreamName, in.StreamARN, in.StreamId)
}

func (c *call) removeTagsFromStream(ctx context.Context, in *kinesis.RemoveTagsFromStreamInput) error {
	st, _, err := c.find(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return err
	}
	return c.untag(ctx, resource{stream: st, name: st.key}, in.TagKeys)
}

func (c *checker) listTagsForStream(in *kinesis.ListTagsForStreamInput) {
	c.number("limit", in.Limit, false, 1, maxTags)
	if in.ExclusiveStartTagKey != nil {
		c.text("exclusiveStartTagKey", *in.ExclusiveStartTagKey, "", nil, 1, maxTagKey)
	}
	c.stream(in.StreamName, in.StreamARN, in.StreamId)
}

// listTagsForStream lists tags by key, after the one that the request names,
// which need not be there.
func (c *call) listTagsForStream(ctx context.Context, in *kinesis.ListTagsForStreamInput) (*kinesis.ListTagsForStreamOutput, error) {
	_, v, err := c.find(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	tags, more := page(listTags(v.Tags, aws.ToString(in.ExclusiveStartTagKey)), in.Limit, maxTags)
	return &kinesis.ListTagsForStreamOutput{Tags: tags, HasMoreTags: aws.Bool(more)}, nil
}

func (c *checker) tagResource(in *kinesis.TagResourceInput) {
	c.tags(in.Tags, true)
	c.taggable(in.ResourceARN, in.StreamId)
}

func (c *call) tagResource(ctx context.Context, in *kinesis.TagResourceInput) error {
	r, _, err := c.resource(ctx, *in.ResourceARN)
	if err != nil {
		return err
	}
	return c.tag(ctx, r, in.Tags)
}

func (c *checker) untagResource(in *kinesis.UntagResourceInput) {
	c.tagKeys(in.TagKeys)
	c.taggable(in.ResourceARN, in.StreamId)
}

func (c *call) untagResource(ctx context.Context, in *kinesis.UntagResourceInput) error {
	r, _, err := c.resource(ctx, *in.ResourceARN)
	if err != nil {
		return err
	}
	return c.untag(ctx, r, in.TagKeys)
}

func (c *checker) listTagsForResource(in *kinesis.ListTagsForResourceInput) {
	c.taggable(in.ResourceARN, in.StreamId)
}

func (c *call) listTagsForResource(ctx context.Context, in *kinesis.ListTagsForResourceInput) (*kinesis.ListTagsForResourceOutput, error) {
	_, attached, err := c.resource(ctx, *in.ResourceARN)
	if err != nil {
		return nil, err
	}
	return &kinesis.ListTagsForResourceOutput{Tags: listTags(attached.Tags, "")}, nil
}

// tag adds tags to a resource. The value of a tag that it has is replaced.
func (c *call) tag(ctx context.Context, r resource, tags map[string]string) error {
	return c.attach(ctx, r, func(a *state.Attachments) (err error) {
		a.Tags, err = addTags(r.name, a.Tags, tags)
		return err
	})
}

func (c *call) untag(ctx context.Context, r resource, keys []string) error {
	return c.attach(ctx, r, func(a *state.Attachments) (err error) {
		a.Tags, err = removeTags(r.name, a.Tags, keys)
		return err
	})
}

// listTags gives tags in the form of the API, by key, after one.
func listTags(tags map[string]string, after string) []types.Tag {
	list := []types.Tag{}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		if key > after {
			list = append(list, types.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
		}
	}
	return list
}
