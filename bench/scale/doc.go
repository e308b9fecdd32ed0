// Package scale has the benchmarks of how cost grows with the number of shards
// and of workers: processor time for a record, calls to Redis, memory, and the
// time until a new worker has its share. All workers are in one process, and
// the stream is made up, so that nothing else is measured.
package scale
