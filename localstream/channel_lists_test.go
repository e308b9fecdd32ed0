package localstream

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/state"
)

func TestListChannels(t *testing.T) {
	h := start(t, 0, Config{ShardLimit: -1})
	var names []string
	for i := range 12 {
		name := fmt.Sprintf("s%02d", i)
		h.onDemand(name)
		h.channel(toS3(func(in *kinesis.CreateChannelInput) {
			in.ChannelName, in.StreamConfigurationList[0].StreamARN = aws.String("c"+name), streamARN(name)
		}))
		names = append(names, "c"+name)
	}
	h.channel(toTables(func(in *kinesis.CreateChannelInput) { in.StreamConfigurationList[0].StreamARN = streamARN("s03") }))
	names = append(names, "t")
	list := func(in *kinesis.ListChannelsInput) (got []string) {
		pages := kinesis.NewListChannelsPaginator(h.client, in)
		for pages.HasMorePages() {
			out, err := pages.NextPage(t.Context())
			h.must(err)
			for _, ch := range out.ChannelSummaries {
				got = append(got, *ch.ChannelName)
			}
		}
		return got
	}
	equal(t, "all", list(&kinesis.ListChannelsInput{}), names)
	equal(t, "by fives", list(&kinesis.ListChannelsInput{MaxResults: aws.Int32(5)}), names)
	created := h.describe("s03").StreamCreationTimestamp
	filter := func(f ...types.StreamFilter) []string {
		return list(&kinesis.ListChannelsInput{StreamFilter: f, MaxResults: aws.Int32(1)})
	}
	equal(t, "of one stream", filter(types.StreamFilter{StreamARN: streamARN("s03")}), "[cs03 t]")
	equal(t, "of two", filter(types.StreamFilter{StreamARN: streamARN("s03"), StreamCreationTimestamp: created}, types.StreamFilter{StreamARN: streamARN("s05")}), "[cs03 cs05 t]")
	equal(t, "of one that was", filter(types.StreamFilter{StreamARN: streamARN("s03"), StreamCreationTimestamp: aws.Time(created.Add(-time.Hour))}), "[]")
	equal(t, "of none", filter(types.StreamFilter{StreamARN: streamARN("x")}), "[]")

	out, err := h.client.ListChannels(t.Context(), &kinesis.ListChannelsInput{StreamFilter: []types.StreamFilter{{StreamARN: streamARN("s03")}}})
	h.must(err)
	one := h.describeChannel(*out.ChannelSummaries[0].ChannelARN)
	equal(t, "summary", asJSON(t, out.ChannelSummaries[0]), asJSON(t, types.ChannelSummary{
		ChannelARN: one.ChannelARN, ChannelId: one.ChannelId, ChannelName: aws.String("cs03"), ChannelStatus: types.ChannelStatusActive,
		ChannelCreationTimestamp: one.ChannelCreationTimestamp, ChannelDestinationType: types.ChannelDestinationTypeS3,
		Streams: []types.ChannelStreamIdentifier{{StreamARN: streamARN("s03"), StreamCreationTimestamp: created}},
	}))
	equal(t, "kind of the other", out.ChannelSummaries[1].ChannelDestinationType, "S3_TABLES")

	elsewhere, err := h.server.Client(noRetry, func(o *kinesis.Options) { o.Region = "eu-west-1" }).ListChannels(t.Context(), &kinesis.ListChannelsInput{})
	h.must(err)
	equal(t, "in another region", len(elsewhere.ChannelSummaries), 0)
	_, err = h.client.ListChannels(t.Context(), &kinesis.ListChannelsInput{NextToken: aws.String("x")})
	h.wantError(err, typeInvalidArgument, "NextToken is invalid.")
}

func TestTheTokenOfAListOfChannelsExpires(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 0)
		h.onDemand("s")
		h.channel(toS3())
		h.channel(toTables())
		out, err := h.client.ListChannels(t.Context(), &kinesis.ListChannelsInput{MaxResults: aws.Int32(1)})
		h.must(err)
		time.Sleep(tokenLife)
		_, err = h.client.ListChannels(t.Context(), &kinesis.ListChannelsInput{NextToken: out.NextToken})
		h.wantError(err, typeExpiredToken, "")
	})
}

func TestAnAccountHasNoMoreChannelsThanAllowed(t *testing.T) {
	h := start(t, 0)
	h.onDemand("s")
	h.must(h.server.change(t.Context(), func(m *metadata) error {
		st := (*h.server.catalog.Load())[testKey("s")]
		for i := range maxChannels {
			id := fmt.Sprint(i)
			ch := &state.Channel{Scope: testKey("s").Scope, ID: id, Name: id, Stream: st.id, Status: state.Failed, Table: &state.Table{}}
			if err := m.saveChannel(id, st, state.ChannelEvent{Created: ch}); err != nil {
				return err
			}
		}
		return nil
	}))
	_, err := h.client.CreateChannel(t.Context(), toS3())
	h.wantError(err, typeLimitExceeded, "Account 000000000000 cannot have more than 100 channels in us-east-1.")
}

// Channels have tags as streams do, but no policies.
func TestTagsOfChannels(t *testing.T) {
	disk := vfs.NewMemory()
	h := open(t, Config{fs: disk})
	h.onDemand("s")
	arn := h.channel(toS3(func(in *kinesis.CreateChannelInput) { in.Tags = map[string]string{"a": "1", "b": "2"} })).ChannelARN
	tags := func() (list []string) {
		out, err := h.client.ListTagsForResource(t.Context(), &kinesis.ListTagsForResourceInput{ResourceARN: arn})
		h.must(err)
		for _, tag := range out.Tags {
			list = append(list, *tag.Key+"="+*tag.Value)
		}
		return list
	}
	equal(t, "tags", tags(), "[a=1 b=2]")
	_, err := h.client.TagResource(t.Context(), &kinesis.TagResourceInput{ResourceARN: arn, Tags: map[string]string{"b": "3", "c": ""}})
	h.must(err)
	_, err = h.client.UntagResource(t.Context(), &kinesis.UntagResourceInput{ResourceARN: arn, TagKeys: []string{"a", "z"}})
	h.must(err)
	equal(t, "changed tags", tags(), "[b=3 c=]")
	h.must(h.server.Close())
	h = open(t, Config{fs: disk})
	equal(t, "after a restart", tags(), "[b=3 c=]")
	equal(t, "tags of the stream", len(mustView(h).Tags), 0)

	_, err = h.client.GetResourcePolicy(t.Context(), &kinesis.GetResourcePolicyInput{ResourceARN: arn})
	h.wantError(err, typeValidation, "")
	h.deleteChannel(arn)
	for name, request := range map[string]func() error{
		"list": func() error {
			_, err := h.client.ListTagsForResource(t.Context(), &kinesis.ListTagsForResourceInput{ResourceARN: arn})
			return err
		},
		"tag": func() error {
			_, err := h.client.TagResource(t.Context(), &kinesis.TagResourceInput{ResourceARN: arn, Tags: map[string]string{"b": "3"}})
			return err
		},
	} {
		if err := request(); err == nil {
			t.Errorf("%s the tags of a channel that is gone: no error", name)
		} else {
			h.wantError(err, typeNotFound, "")
		}
	}
}
