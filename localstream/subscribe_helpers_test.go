package localstream

import (
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
)

// follower is a subscription as its client has it.
type follower struct {
	*harness
	stream *kinesis.SubscribeToShardEventStream
}

var (
	fromHorizon = types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon}
	fromLatest  = types.StartingPosition{Type: types.ShardIteratorTypeLatest}
)

func fromAfter(number string) types.StartingPosition {
	return types.StartingPosition{Type: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: &number}
}

// trySubscribe subscribes, with the SDK's JSON by a client of its own: streams of
// one client share a decoder, which the race detector minds.
func (h *harness) trySubscribe(arn, shard string, at types.StartingPosition) (*follower, error) {
	h.Helper()
	client := h.client
	if _, shared := client.Options().Protocol.(*awsjson.Protocol); shared {
		client = kinesis.New(client.Options())
	}
	out, err := client.SubscribeToShard(h.Context(), &kinesis.SubscribeToShardInput{ConsumerARN: &arn, ShardId: &shard, StartingPosition: &at})
	if err != nil {
		return nil, err
	}
	h.Cleanup(func() { out.GetStream().Close() })
	return &follower{h, out.GetStream()}, nil
}

func (h *harness) subscribe(arn, shard string, at types.StartingPosition) *follower {
	h.Helper()
	f, err := h.trySubscribe(arn, shard, at)
	h.must(err)
	return f
}

// next gives the next event.
func (f *follower) next() types.SubscribeToShardEvent {
	f.Helper()
	event, ok := <-f.stream.Events()
	if !ok {
		f.Fatalf("the stream has ended: %v", f.stream.Err())
	}
	return event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value
}

// want reads events until there is one with records, and checks their data.
func (f *follower) want(data ...string) types.SubscribeToShardEvent {
	f.Helper()
	for {
		if e := f.next(); len(e.Records) > 0 {
			equal(f, "records", dataOf(e.Records), data)
			return e
		}
	}
}

// ends reads to the end of the stream, and gives the data of the records that
// still came and the error.
func (f *follower) ends() ([]string, error) {
	data := []string{}
	for event := range f.stream.Events() {
		data = append(data, dataOf(event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value.Records)...)
	}
	return data, f.stream.Err()
}

// wantEnd reads to the end of the stream, which has to be a good one, or to be
// an error of this type.
func (f *follower) wantEnd(kind, message string) {
	f.Helper()
	data, err := f.ends()
	equal(f, "records before the end", data, "[]")
	if kind == "" {
		f.must(err)
		return
	}
	f.wantError(err, kind, message)
}
