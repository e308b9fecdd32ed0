package localstream

import (
	"context"
	"reflect"

	"github.com/aws/smithy-go"

	"github.com/shardrun/shardrun/localstream/internal/state"
	"github.com/shardrun/shardrun/localstream/internal/wal"
	"github.com/shardrun/shardrun/localstream/internal/wire"
)

// operations is the Kinesis API: every operation, how far it is emulated, and
// the functions that check and run it. README.md has the same list in words.
func operations() []*operation {
	return []*operation{
		emulated("CreateStream", full, (*checker).createStream, none((*call).createStream)).atMost(5),
		emulated("DeleteStream", full, (*checker).deleteStream, none((*call).deleteStream)).atMost(5),
		emulated("DescribeStream", full, (*checker).describeStream, shape((*call).describeStream)).atMost(10),
		emulated("DescribeStreamSummary", full, (*checker).describeStreamSummary, shape((*call).describeStreamSummary)).atMost(20),
		emulated("ListStreams", full, (*checker).listStreams, shape((*call).listStreams)).atMost(5),
		emulated("ListShards", full, (*checker).listShards, shape((*call).listShards)),

		emulated("PutRecord", full, (*checker).putRecord, answer((*call).putRecord)).upTo(recordBodyBytes),
		emulated("PutRecords", full, (*checker).putRecords, answer((*call).putRecords)).upTo(recordsBodyBytes),
		emulated("GetShardIterator", full, (*checker).getShardIterator, shape((*call).getShardIterator)),
		emulated("GetRecords", full, (*checker).getRecords, inPieces((*call).getRecords)),

		emulated("SplitShard", full, (*checker).splitShard, none((*call).splitShard)).atMost(5),
		emulated("MergeShards", full, (*checker).mergeShards, none((*call).mergeShards)).atMost(5),
		emulated("UpdateShardCount", full, (*checker).updateShardCount, shape((*call).updateShardCount)).atMost(10),

		emulated("IncreaseStreamRetentionPeriod", full, (*checker).increaseRetention, none((*call).increaseRetention)).atMost(5),
		emulated("DecreaseStreamRetentionPeriod", full, (*checker).decreaseRetention, none((*call).decreaseRetention)).atMost(5),

		emulated("AddTagsToStream", full, (*checker).addTagsToStream, none((*call).addTagsToStream)).atMost(5),
		emulated("RemoveTagsFromStream", full, (*checker).removeTagsFromStream, none((*call).removeTagsFromStream)).atMost(5),
		emulated("ListTagsForStream", full, (*checker).listTagsForStream, shape((*call).listTagsForStream)).atMost(5),
		emulated("TagResource", full, (*checker).tagResource, none((*call).tagResource)),
		emulated("UntagResource", full, (*checker).untagResource, none((*call).untagResource)),
		emulated("ListTagsForResource", full, (*checker).listTagsForResource, shape((*call).listTagsForResource)),

		emulated("RegisterStreamConsumer", full, (*checker).registerStreamConsumer, shape((*call).registerStreamConsumer)).atMost(5),
		emulated("DeregisterStreamConsumer", full, (*checker).deregisterStreamConsumer, none((*call).deregisterStreamConsumer)),
		emulated("DescribeStreamConsumer", full, (*checker).describeStreamConsumer, shape((*call).describeStreamConsumer)),
		emulated("ListStreamConsumers", full, (*checker).listStreamConsumers, shape((*call).listStreamConsumers)),
		emulated("SubscribeToShard", full, (*checker).subscribeToShard, streamed((*call).subscribeToShard)),

		emulated("StartStreamEncryption", full, (*checker).startStreamEncryption, none((*call).startStreamEncryption)).atMost(5),
		emulated("StopStreamEncryption", full, (*checker).stopStreamEncryption, none((*call).stopStreamEncryption)).atMost(5),
		emulated("EnableEnhancedMonitoring", full, (*checker).enableEnhancedMonitoring, shape((*call).enableEnhancedMonitoring)),
		emulated("DisableEnhancedMonitoring", full, (*checker).disableEnhancedMonitoring, shape((*call).disableEnhancedMonitoring)),
		emulated("UpdateStreamMode", full, (*checker).updateStreamMode, none((*call).updateStreamMode)),
		emulated("UpdateMaxRecordSize", full, (*checker).updateMaxRecordSize, none((*call).updateMaxRecordSize)),
		emulated("UpdateStreamWarmThroughput", full, (*checker).updateStreamWarmThroughput, shape((*call).updateStreamWarmThroughput)).atMost(5),
		emulated("UpdateStreamRecordDistributionStrategy", full, (*checker).updateDistribution, none((*call).updateDistribution)),

		emulated("DescribeLimits", full, (*checker).describeLimits, shape((*call).describeLimits)).atMost(1),
		emulated("DescribeAccountSettings", full, (*checker).describeAccountSettings, shape((*call).describeAccountSettings)).atMost(5),
		emulated("UpdateAccountSettings", full, (*checker).updateAccountSettings, shape((*call).updateAccountSettings)).atMost(5),
		emulated("PutResourcePolicy", full, (*checker).putResourcePolicy, none((*call).putResourcePolicy)),
		emulated("GetResourcePolicy", full, (*checker).getResourcePolicy, shape((*call).getResourcePolicy)),
		emulated("DeleteResourcePolicy", full, (*checker).deleteResourcePolicy, none((*call).deleteResourcePolicy)),

		emulated("CreateChannel", partial, (*checker).createChannel, shape((*call).createChannel)).atMost(5),
		emulated("UpdateChannel", full, (*checker).updateChannel, shape((*call).updateChannel)).atMost(5),
		emulated("DeleteChannel", full, (*checker).deleteChannel, none((*call).deleteChannel)).atMost(5),
		emulated("DescribeChannel", full, (*checker).describeChannel, shape((*call).describeChannel)).atMost(5),
		emulated("ListChannels", full, (*checker).listChannels, shape((*call).listChannels)).atMost(5),
	}
}

// support is how far an operation is emulated.
type support string

const (
	full    support = "full"
	partial support = "partial" // README.md says what is missing
)

// The greatest bodies of requests, in bytes. A body that carries records has
// their greatest size in base64, and room for keys, escapes and white space.
const (
	defaultBodyBytes = 1 << 20
	recordBodyBytes  = 15 << 20
	recordsBodyBytes = 16 << 20
	// unsignedBodyBytes is the limit for requests that are not even signed in
	// form.
	unsignedBodyBytes = 64 << 10
)

// operation is one entry of the API.
type operation struct {
	name    string
	support support
	maxBody int64
	// perSecond is how many calls an account may make where the rates of AWS
	// apply; 0 is any number.
	perSecond float64
	input     reflect.Type // the input struct of the SDK
	check     func(c *checker, in any)
	run       func(ctx context.Context, c *call, in any) (output, error)
}

// call is one request on its way through an operation.
type call struct {
	server   *Server
	op       *operation
	encoding wire.Encoding // of the request, and of its answer
	scope    state.Scope   // of the caller
	share    *share        // of the bytes in flight
	memory   *buffers      // of the request
	page     wal.Page      // that the answer gives, and that is freed once it is sent
	stream   string        // the name of the one that the request is about, for the log
	err      error         // what became of the request
	// loseReply is set by a fault: what was done stays, but no answer is sent.
	loseReply bool
}

// output is an answer: an output struct of the SDK, one of the wire package's
// own, which may be one for pieces, a stream of events, or nothing at all, which
// is an empty body.
type output struct {
	shape  smithy.Serializable
	answer wire.Answer
	pieces wire.Pieces
	events eventSource
}

func operationsByName() map[string]*operation {
	byName := map[string]*operation{}
	for _, op := range operations() {
		byName[op.name] = op
	}
	return byName
}

// runner is an operation as the table wants it.
type runner[I any] func(*call, context.Context, *I) (output, error)

// shape makes a runner of an operation that answers with an SDK struct.
func shape[I any, O smithy.Serializable](f func(*call, context.Context, *I) (O, error)) runner[I] {
	return func(c *call, ctx context.Context, in *I) (output, error) {
		out, err := f(c, ctx, in)
		return output{shape: out}, err
	}
}

// answer makes a runner of an operation whose answer encodes itself.
func answer[I any, O wire.Answer](f func(*call, context.Context, *I) (O, error)) runner[I] {
	return func(c *call, ctx context.Context, in *I) (output, error) {
		out, err := f(c, ctx, in)
		return output{answer: out}, err
	}
}

// inPieces makes a runner of an operation whose answer is sent in pieces.
func inPieces[I any, O wire.Pieces](f func(*call, context.Context, *I) (O, error)) runner[I] {
	return func(c *call, ctx context.Context, in *I) (output, error) {
		out, err := f(c, ctx, in)
		return output{pieces: out}, err
	}
}

// streamed makes a runner of an operation that answers with a stream of events.
func streamed[I any, O eventSource](f func(*call, context.Context, *I) (O, error)) runner[I] {
	return func(c *call, ctx context.Context, in *I) (output, error) {
		out, err := f(c, ctx, in)
		return output{events: out}, err
	}
}

// none makes a runner of an operation that answers with an empty body.
func none[I any](f func(*call, context.Context, *I) error) runner[I] {
	return func(c *call, ctx context.Context, in *I) (output, error) { return output{}, f(c, ctx, in) }
}

func emulated[I any](name string, s support, check func(*checker, *I), run runner[I]) *operation {
	return &operation{
		name: name, support: s, maxBody: defaultBodyBytes, input: reflect.TypeFor[I](),
		check: func(c *checker, in any) { check(c, in.(*I)) },
		run: func(ctx context.Context, c *call, in any) (output, error) {
			if err := c.admit(); err != nil {
				return output{}, err
			}
			return run(c, ctx, in.(*I))
		},
	}
}

// atMost says how many calls a second AWS allows an account.
func (op *operation) atMost(perSecond float64) *operation {
	op.perSecond = perSecond
	return op
}

func (op *operation) upTo(bytes int64) *operation {
	op.maxBody = bytes
	return op
}
