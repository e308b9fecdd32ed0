// Package failover has the benchmarks of hand-over: how long a shard is without
// a worker when one is told to end, is killed, or is stopped, when shards are
// split and merged, and when a worker joins. Records are put all the while, and
// every one of them is looked for at the end.
package failover
