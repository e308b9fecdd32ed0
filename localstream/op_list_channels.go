package localstream

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// listedChannels is how many channels ListChannels gives, by default and at
// most.
const listedChannels = 100

func (c *checker) listChannels(in *kinesis.ListChannelsInput) {
	c.number("maxResults", in.MaxResults, false, 1, 10000)
	c.nextToken(in.NextToken)
	if listOf(c, "streamFilter", in.StreamFilter, false) {
		for i := range in.StreamFilter {
			c.sourceARN(element("streamFilter", i)+"streamARN", in.StreamFilter[i].StreamARN)
		}
	}
}

// listChannels lists by name. A token goes on behind a name, whatever the
// filter is.
func (c *call) listChannels(ctx context.Context, in *kinesis.ListChannelsInput) (*kinesis.ListChannelsOutput, error) {
	if err := c.fault(ctx, state.Key{Scope: c.scope}, anyShard); err != nil {
		return nil, err
	}
	now := time.Now()
	after := ""
	if in.NextToken != nil {
		name, err := c.server.openToken(kindChannels, *in.NextToken, now)
		if err != nil {
			return nil, err
		}
		after = string(name)
	}
	var later []*channel
	for _, ch := range c.server.channels.Load().list(c.scope) {
		if ch.Name > after && ofStreams(ch, in.StreamFilter) {
			later = append(later, ch)
		}
	}
	listed, more := page(later, in.MaxResults, listedChannels)
	out := &kinesis.ListChannelsOutput{ChannelSummaries: []types.ChannelSummary{}}
	for _, ch := range listed {
		out.ChannelSummaries = append(out.ChannelSummaries, summarize(ch))
	}
	if more {
		out.NextToken = aws.String(c.server.sealer.seal(kindChannels, []byte(listed[len(listed)-1].Name), now))
	}
	return out, nil
}

// ofStreams reports whether a channel is of one of the streams. No streams are no
// filter.
func ofStreams(ch *channel, filter []types.StreamFilter) bool {
	stream, created := afterPartition(ch.stream.key.ARN()), ch.stream.view.Load().createdAt().Unix()
	return len(filter) == 0 || slices.ContainsFunc(filter, func(f types.StreamFilter) bool {
		return afterPartition(*f.StreamARN) == stream && (f.StreamCreationTimestamp == nil || f.StreamCreationTimestamp.Unix() == created)
	})
}

// afterPartition is what an ARN names, whatever the partition of AWS.
func afterPartition(arn string) string {
	_, name, _ := strings.Cut(strings.TrimPrefix(arn, "arn:"), ":")
	return name
}

// summarize gives a channel in the form of the list.
func summarize(ch *channel) types.ChannelSummary {
	kind := types.ChannelDestinationTypeS3
	if ch.S3 == nil {
		kind = types.ChannelDestinationTypeS3Tables
	}
	return types.ChannelSummary{
		ChannelARN:               aws.String(ch.ARN()),
		ChannelCreationTimestamp: aws.Time(ch.createdAt()),
		ChannelDestinationType:   kind,
		ChannelId:                aws.String(ch.ID),
		ChannelName:              aws.String(ch.Name),
		ChannelStatus:            types.ChannelStatus(ch.Status),
		ChannelStatusReason:      present(ch.Reason),
		Streams: []types.ChannelStreamIdentifier{{
			StreamARN: aws.String(ch.stream.key.ARN()), StreamCreationTimestamp: aws.Time(ch.stream.view.Load().createdAt()),
		}},
	}
}
