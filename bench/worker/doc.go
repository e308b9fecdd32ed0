// Package worker is one of our workers as the benchmarks of failover run it, in
// a process of its own or beside others in one: it handles records, and tells
// of each thing that it does and when.
//
// All processes of a benchmark are on one machine, so their times are of one
// clock and can be compared.
package worker
