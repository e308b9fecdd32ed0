package localstream

import (
	"cmp"
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// listedStreams is how many streams ListStreams gives, by default and at most.
const listedStreams = 100

// maxTokenLength is the greatest next token that the model allows.
const maxTokenLength = 1048576

func (c *checker) nextToken(v *string) {
	if v != nil {
		c.text("nextToken", *v, "", nil, 1, maxTokenLength)
	}
}

func (c *checker) listStreams(in *kinesis.ListStreamsInput) {
	c.number("limit", in.Limit, false, 1, 10000)
	c.name("exclusiveStartStreamName", in.ExclusiveStartStreamName, false)
	c.nextToken(in.NextToken)
}

func (c *call) listStreams(ctx context.Context, in *kinesis.ListStreamsInput) (*kinesis.ListStreamsOutput, error) {
	if err := c.fault(ctx, state.Key{Scope: c.scope}, anyShard); err != nil {
		return nil, err
	}
	now := time.Now()
	after := aws.ToString(in.ExclusiveStartStreamName)
	if in.NextToken != nil {
		name, err := c.server.openToken(kindStreams, *in.NextToken, now)
		if err != nil {
			return nil, err
		}
		after = cmp.Or(after, string(name))
	}
	var later []*stream
	for _, st := range (*c.server.catalog.Load()).list(c.scope) {
		if st.key.Name > after {
			later = append(later, st)
		}
	}
	listed, more := page(later, in.Limit, listedStreams)
	out := &kinesis.ListStreamsOutput{HasMoreStreams: aws.Bool(more), StreamNames: []string{}, StreamSummaries: []types.StreamSummary{}}
	for _, st := range listed {
		v := st.view.Load()
		out.StreamNames = append(out.StreamNames, v.Name)
		out.StreamSummaries = append(out.StreamSummaries, types.StreamSummary{
			StreamARN: aws.String(v.ARN()), StreamName: aws.String(v.Name), StreamStatus: types.StreamStatus(v.Status),
			StreamCreationTimestamp: aws.Time(v.createdAt()), StreamModeDetails: v.mode(),
		})
	}
	if more {
		last := listed[len(listed)-1].key.Name
		out.NextToken = aws.String(c.server.sealer.seal(kindStreams, []byte(last), now))
	}
	return out, nil
}

// openToken reads a next token of a list operation.
func (s *Server) openToken(kind tokenKind, text string, now time.Time) ([]byte, error) {
	payload, made, err := s.sealer.open(kind, text)
	if err != nil {
		return nil, invalidArgument("NextToken is invalid.")
	}
	if now.Sub(made) >= tokenLife {
		return nil, clientError(typeExpiredToken, "NextToken expired. The token was created at time %s while right now it is %s "+
			"which is further in the future than the tolerated delay of %d milliseconds.",
			made.UTC().Format(javaTime), now.UTC().Format(javaTime), tokenLife.Milliseconds())
	}
	return payload, nil
}
