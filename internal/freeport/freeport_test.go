package freeport_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/shardrun/shardrun/internal/freeport"
)

func TestPortsAreFreeAndGivenOnce(t *testing.T) {
	seen := map[int]bool{}
	for range 100 {
		port, err := freeport.Find(10_000)
		if err != nil {
			t.Fatal(err)
		}
		if seen[port] || port < 10_000 || port >= 30_000 {
			t.Fatalf("port %d, after %v", port, seen)
		}
		seen[port] = true
		for _, p := range []int{port, port + 10_000} {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
			if err != nil {
				t.Fatal(err)
			}
			_ = l.Close() // it was free
		}
	}
}
