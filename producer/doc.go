// Package producer writes records to a Kinesis data stream: many small user
// records to one Kinesis record in the format of the Kinesis Producer Library
// (KPL), many Kinesis records to one PutRecords call, retried until each user
// record has a sequence number or a reason why not.
//
//	p, err := producer.New(producer.Config{Client: client, Stream: "orders"})
//	…
//	err = p.Put(ctx, producer.Record{Key: order.Customer, Data: body})
//	…
//	err = p.Close(ctx) // sends what is left
//
// # The life of a record
//
// Put waits until the buffer has room. The record's hash key predicts its
// shard, and the record joins that shard's open aggregate. An aggregate is sent
// when it is full or has waited for its linger time, which is nothing while the
// shard is idle and grows under load. The shard's rate allowing, it leaves in a
// PutRecords call together with those of other shards. What the call refused
// goes back to the head of its shard's queue and is sent again after a pause.
// Then the record's Done is called, once.
//
// # Order
//
// With [Config.Ordered], records of one partition key, put by one goroutine,
// reach the stream in the order of the Puts whatever fails: each shard has one
// aggregate on its way at a time, and after a split or merge the child shards
// wait until nothing of their parents is left. Their Dones are called in that
// order too. A repeat (see below) may follow, never a record that was not there
// before its predecessors.
//
// Without it, one call at a time carries a shard's records, in the order of the
// Puts, and those that share an aggregate are written together. But a call may
// carry several aggregates of a shard, and AWS promises no order among the
// entries of one PutRecords call. What it refuses of them is written, and its
// Done called, after what it took.
//
// # What a retry can do
//
// Kinesis has no idempotent write. When a call's answer is lost, sending again
// may write the records twice; not sending again may lose them. The producer
// sends again, until [Config.RecordTTL]. An error of a record that may have
// been written all the same says so: errors.Is(err, ErrMaybeSent).
//
// The aggregate is the unit of truth: consumers drop the members whose hash key
// lies outside the shard that they read. When a reshard makes an aggregate land
// in a shard that does not take all of its members, all of them are sent again.
//
// # A stream that is created again
//
// A stream that was deleted and created again has shards of the same ids, which
// may have other ranges of hash keys. When a call finds the stream missing, or
// nobody at the endpoint, the producer lists the shards anew before it sends
// anything else. It cannot know when no call was made, or none failed so, while
// the stream was away: then an aggregate made for the old ranges may be written
// with members that its shard does not take, and consumers leave those out. So
// Close the producers of a stream before creating it again with other shards.
//
// # Tests
//
// Producers run in a testing/synctest bubble, with a localstream server in the
// same process (its Client): retries and lingering take no time there.
package producer
