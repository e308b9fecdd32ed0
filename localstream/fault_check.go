package localstream

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// shardOperations are the operations that are about one shard.
var shardOperations = []string{"PutRecord", "PutRecords", "GetShardIterator", "GetRecords", "SubscribeToShard", eventOperation}

// accountOperations are the operations that are about no stream.
var accountOperations = []string{"ListStreams", "ListChannels", "DescribeLimits", "DescribeAccountSettings", "UpdateAccountSettings"}

// validate refuses a fault that could never happen, or not as it says, and
// writes the id of its shard as requests have it.
func (f *Fault) validate() error {
	_, known := operationsByName()[f.Operation]
	records := f.Operation == "" || f.Operation == "PutRecord" || f.Operation == "PutRecords"
	number, isShard := state.ParseShardID(f.Shard)
	switch {
	case f.Operation != "" && !known && f.Operation != eventOperation:
		return fmt.Errorf("operation %q: want an operation of Kinesis, such as PutRecords, or %s", f.Operation, eventOperation)
	case f.Stream != "" && (!isName(f.Stream) || len(f.Stream) > 128):
		return fmt.Errorf("stream %q: want the name of a stream, not an ARN", f.Stream)
	case f.Stream != "" && slices.Contains(accountOperations, f.Operation):
		return fmt.Errorf("%s is not about one stream: leave out the stream", f.Operation)
	case f.Shard != "" && f.Shard != EveryShard && !isShard:
		return fmt.Errorf("shard %q: want an id like %s, or %s for each", f.Shard, state.ShardID(0), EveryShard)
	case f.Shard != "" && f.Operation != "" && !slices.Contains(shardOperations, f.Operation):
		return fmt.Errorf("%s is not about one shard: want a shard with %s only", f.Operation, strings.Join(shardOperations, ", "))
	case int(f.Action) >= len(actionNames):
		return fmt.Errorf("kind %v: want %s", f.Action, strings.Join(actionNames[:], ", "))
	case f.Action == Delay && f.Delay <= 0:
		return fmt.Errorf("delay %v: kind delay wants a time above 0", f.Delay)
	case f.Action != Delay && f.Delay != 0:
		return fmt.Errorf("delay %v with kind %v: want kind delay", f.Delay, f.Action)
	case (f.Type != "" || f.Message != "") && f.Action != Fail:
		return fmt.Errorf("type %q and message %q with kind %v: want kind error (Fail)", f.Type, f.Message, f.Action)
	case f.Shard != "" && records && (f.Action == Drop || f.Action == Delay || f.Action == LoseReply):
		return errors.New("records of a shard can be refused (kinds throttle, error, expire) only: leave out the shard, or want another operation than PutRecord and PutRecords")
	}
	if f.Shard != "" && f.Shard != EveryShard {
		f.Shard = state.ShardID(number)
	}
	return nil
}
