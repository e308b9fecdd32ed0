// Package consumer has the benchmarks of reading: how fast a stream is drained,
// and how soon after its start a worker has its first record.
package consumer
