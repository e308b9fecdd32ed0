// Package hashkey is the arithmetic of Kinesis hash keys: 128-bit unsigned
// numbers that place a partition key on a shard.
package hashkey
