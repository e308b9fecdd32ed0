// Package harness runs benchmarks side by side: the contestants of a row do
// the same work in turns (A B C, A B C, …), each run is checked for other load
// on the machine, and the median of the runs is what the table shows.
//
// A [Row] says what is measured and what counts as met; a [Contestant] sets up
// one way of doing it, and its [Bench] does it once per call of Run. [Run]
// does all rows, one after the other. Servers, workers and libraries that must
// not share a process run as children ([Env.Start]), so that their processor
// time and memory can be told from those of the client.
package harness
