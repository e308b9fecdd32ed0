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

// listedConsumers is how many consumers ListStreamConsumers gives, by default
// and at most.
const listedConsumers = 100

func (c *checker) listStreamConsumers(in *kinesis.ListStreamConsumersInput) {
	c.streamARN(in.StreamARN, in.StreamId)
	c.nextToken(in.NextToken)
	c.number("maxResults", in.MaxResults, false, 1, 10000)
}

// consumersToken is where a list of consumers goes on.
type consumersToken struct {
	Stream state.Key
	ID     string // of the stream
	After  string // the name of the last one that was listed
}

func (c *call) listStreamConsumers(ctx context.Context, in *kinesis.ListStreamConsumersInput) (*kinesis.ListStreamConsumersOutput, error) {
	now := time.Now()
	st, v, err := c.find(ctx, nil, in.StreamARN)
	if err != nil {
		return nil, err
	}
	if err := c.admitFor(st.key, streamConsumerLists); err != nil {
		return nil, err
	}
	if at := in.StreamCreationTimestamp; at != nil && at.Unix() != v.createdAt().Unix() {
		return nil, noStream(st.key)
	}
	if v.Status == state.Creating {
		return nil, notActive(v)
	}
	at := consumersToken{Stream: st.key, ID: st.id}
	if in.NextToken != nil {
		if in.StreamCreationTimestamp != nil {
			return nil, invalidArgument("NextToken and StreamCreationTimestamp cannot be provided together.")
		}
		payload, err := c.server.openToken(kindConsumers, *in.NextToken, now)
		if err != nil {
			return nil, err
		}
		var token consumersToken
		if err := json.Unmarshal(payload, &token); err != nil || token.Stream != at.Stream {
			return nil, invalidArgument("NextToken is invalid.")
		}
		if token.ID != at.ID { // the stream was deleted, and created anew
			return nil, noStream(st.key)
		}
		at = token
	}
	var left []state.Consumer
	for _, consumer := range v.Consumers {
		if consumer.Name > at.After {
			left = append(left, consumer)
		}
	}
	listed, more := page(left, in.MaxResults, listedConsumers)
	out := &kinesis.ListStreamConsumersOutput{Consumers: make([]types.Consumer, len(listed))}
	for i, consumer := range listed {
		out.Consumers[i] = v.describeConsumer(consumer)
	}
	if more {
		at.After = listed[len(listed)-1].Name
		payload, err := json.Marshal(at)
		if err != nil {
			return nil, internalFailure(err)
		}
		out.NextToken = aws.String(c.server.sealer.seal(kindConsumers, payload, now))
	}
	return out, nil
}
