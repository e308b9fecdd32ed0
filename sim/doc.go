// Package sim runs shardrun as a whole inside of a testing/synctest bubble:
// workers, producers, a reader by enhanced fan-out, the leases on Redis (go-redis
// on miniredis) and the Kinesis server on a disk that loses what was not synced,
// with links between them that drop, delay, repeat and cut, and nodes that crash,
// pause and crawl.
// What happened is a history, which internal/history judges.
//
// A run follows from its seed. The seed decides what the run consists of
// ([Plan]: how many workers, which faults and when), and each delay on a link
// is drawn from it and from what is sent, never from the order in which
// goroutines happen to run. No two things arrive at the same nanosecond; where
// two did nevertheless, the run is marked as one that may not repeat.
//
//	go test ./sim -run TestSim -seed=7 -v                  one run, with its timeline
//	go test -C sim -run TestSim -seeds=1000 -timeout=0     many, over as many processes as cores
package sim
