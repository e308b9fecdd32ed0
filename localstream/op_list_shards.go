package localstream

import (
	"context"
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// listedShards is how many shards ListShards gives, by default and at most.
const listedShards = 1000

func (c *checker) listShards(in *kinesis.ListShardsInput) {
	c.number("maxResults", in.MaxResults, false, 1, 10000)
	c.name("exclusiveStartShardId", in.ExclusiveStartShardId, false)
	if in.StreamName != nil {
		c.name("streamName", in.StreamName, true)
	}
	if in.StreamARN != nil {
		c.stream(in.StreamName, in.StreamARN, nil)
	}
	c.streamID(in.StreamId)
	c.nextToken(in.NextToken)
	if f := in.ShardFilter; f != nil {
		enum(c, "shardFilter.type", f.Type, true, types.ShardFilterType("").Values())
		c.name("shardFilter.shardId", f.ShardId, false)
	}
}

// shardsToken is where a list of shards goes on.
type shardsToken struct {
	Stream state.Key
	ID     string // of the stream
	Filter state.Filter
	After  uint32
}

func (c *call) listShards(ctx context.Context, in *kinesis.ListShardsInput) (*kinesis.ListShardsOutput, error) {
	now := time.Now()
	at, v, err := c.startOfList(ctx, in, now)
	if err != nil {
		return nil, err
	}
	if err := c.admitFor(v.Key, streamLists); err != nil {
		return nil, err
	}
	if v.Status == state.Creating {
		return nil, notActive(v)
	}
	var left []state.Shard
	for _, sh := range v.List(at.Filter, now) {
		if at.ID == "" || sh.Number > at.After {
			left = append(left, sh)
		}
	}
	shards, more := page(left, in.MaxResults, listedShards)
	out := &kinesis.ListShardsOutput{Shards: describe(shards)}
	if more {
		at.ID, at.After = v.ID, shards[len(shards)-1].Number
		payload, err := json.Marshal(at)
		if err != nil {
			return nil, internalFailure(err)
		}
		out.NextToken = aws.String(c.server.sealer.seal(kindShards, payload, now))
	}
	return out, nil
}

// startOfList says which shards a request is about: it names a stream and a
// filter, or it goes on after a token.
func (c *call) startOfList(ctx context.Context, in *kinesis.ListShardsInput, now time.Time) (shardsToken, *view, error) {
	var at shardsToken
	if in.NextToken == nil {
		if in.StreamName == nil && in.StreamARN == nil {
			return at, nil, invalidArgument("Either NextToken or StreamName should be provided.")
		}
		st, v, err := c.find(ctx, in.StreamName, in.StreamARN)
		if err != nil {
			return at, nil, err
		}
		if in.StreamCreationTimestamp != nil && in.StreamCreationTimestamp.Unix() != v.createdAt().Unix() {
			return at, nil, noStream(st.key)
		}
		at.Stream = st.key
		at.Filter, err = shardFilter(v, in)
		return at, v, err
	}
	for _, other := range []struct {
		name  string
		given bool
	}{
		{"StreamName", in.StreamName != nil},
		{"StreamARN", in.StreamARN != nil},
		{"StreamCreationTimestamp", in.StreamCreationTimestamp != nil},
		{"ExclusiveStartShardId", in.ExclusiveStartShardId != nil},
		{"ShardFilter", in.ShardFilter != nil},
	} {
		if other.given {
			return at, nil, invalidArgument("NextToken and %s cannot be provided together.", other.name)
		}
	}
	payload, err := c.server.openToken(kindShards, *in.NextToken, now)
	if err != nil {
		return at, nil, err
	}
	if err := json.Unmarshal(payload, &at); err != nil {
		return at, nil, invalidArgument("NextToken is invalid.")
	}
	if err := c.fault(ctx, at.Stream, anyShard); err != nil {
		return at, nil, err
	}
	_, v, err := c.server.lookup(at.Stream)
	if err == nil && v.ID != at.ID {
		err = noStream(at.Stream)
	}
	return at, v, err
}

// shardFilter is the filter that a request asks for.
func shardFilter(v *view, in *kinesis.ListShardsInput) (state.Filter, error) {
	f := in.ShardFilter
	switch {
	case f == nil && in.ExclusiveStartShardId != nil:
		return afterShard(v.Key, *in.ExclusiveStartShardId)
	case f == nil:
		return state.Filter{}, nil
	case in.ExclusiveStartShardId != nil:
		return state.Filter{}, invalidArgument("ExclusiveStartShardId and ShardFilter cannot be provided together.")
	}
	out := state.Filter{Kind: state.FilterKind(f.Type)}
	switch out.Kind {
	case state.AfterShardID:
		if f.ShardId == nil {
			return out, invalidArgument("ShardId must be provided for the ShardFilter type %s.", f.Type)
		}
		return afterShard(v.Key, *f.ShardId)
	case state.AtTimestamp, state.FromTimestamp:
		if f.Timestamp == nil {
			return out, invalidArgument("Timestamp must be provided for the ShardFilter type %s.", f.Type)
		}
		out.At = f.Timestamp.UnixMilli()
	}
	return out, nil
}

// notActive is the error for a stream that has to be ACTIVE and is not.
func notActive(v *view) error {
	return inUse("Stream %s under account %s not ACTIVE, instead in state %s", v.Name, v.Account, v.Status)
}
