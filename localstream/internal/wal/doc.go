// Package wal is the durable log under a stream.
//
// A [Log] holds the records of all shards of one stream, so that a call which
// writes to many shards costs one write and one sync, and removing the stream
// is removing a directory. Each shard has an index of its own; readers of one
// shard read past the records of others only where these are small.
//
// Appends are committed in groups: what comes while the disk is busy is one
// batch, and one sync, for all that wait. Readers see a record once it is as
// durable as the log's [Durability] says, and not before.
//
// After a crash the log holds exactly the batches that were acknowledged, and
// possibly further whole ones, without a gap. Bytes that had been synced and
// have changed are never taken for the torn end of a log: they are reported as
// [*DamageError], and what they may concern is refused rather than served.
//
// Bytes that are found when a log is opened, and of which nothing says that they
// were synced, are written anew before they are synced and built upon: that they
// can be read does not mean that the disk has them, or will ever get them.
//
// A [Journal] is the small brother for metadata: entries that are read back in
// full when it is opened.
package wal
