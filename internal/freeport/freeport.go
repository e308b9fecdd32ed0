// Package freeport finds ports for the servers that tests, benchmarks and runs of
// processes start.
//
// A port that the system chooses is of those that it gives to connections, too: one of
// them may take it before the server does. These are below.
package freeport

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

const first, last = 10_000, 30_000

// given are the ports that this process was told of, so that servers that start
// together do not choose the same.
var given sync.Map

// Find is a TCP port of the loopback interface, between 10,000 and 30,000, on which
// nobody listens, nor on those that are so much above it as also says. It is given out
// once in a process; it may be called concurrently.
func Find(also ...int) (int, error) {
	for range 1000 {
		port := first + rand.IntN(last-first)
		if _, taken := given.LoadOrStore(port, true); !taken && free(port, also) {
			return port, nil
		}
	}
	return 0, errors.New("no free port between 10000 and 30000")
}

func free(port int, also []int) bool {
	for _, above := range append([]int{0}, also...) {
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+above)))
		if err != nil {
			return false
		}
		if l.Close() != nil {
			return false
		}
	}
	return true
}
