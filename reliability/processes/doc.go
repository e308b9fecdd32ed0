//go:build unix

// The processes command runs shardrun as people run it, out of real processes,
// and treats it badly: `shardrun serve`, a redis-server, workers and producers
// are killed (SIGKILL), held (SIGSTOP), ended (SIGTERM) and started again at
// random, while the stream is split, merged and scaled under load; Redis forgets
// what its file does not have, is emptied, or fails over as a Sentinel set, and
// workers are cut from it. Then
// everything is mended, what was put must be handled within a bound, and the
// histories that the processes wrote are put through the checker of package
// history, next to what a clean client reads in the stream.
//
//	go run ./reliability/processes -for 5m -seed 7
//
// What was handled is told by the handlers of the workers, which fail at times,
// and not by the workers.
//
// It tells how far it is every ten seconds, then prints one line that sums up the
// run, one for each violation, and the timeline with -v, and exits with 1 when
// there is a violation. The files of such a run are kept: run.json, which says
// what it was and what came of it, histories, logs of the processes, data of the
// server. -check judges them again.
//
// It needs the signals of Unix.
//
// A seed gives the same plan, not the same run: real processes and a real clock
// do not repeat themselves. What is found here is to be reproduced in the
// simulation.
package main
