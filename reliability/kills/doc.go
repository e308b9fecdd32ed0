// Package kills kills a real server with SIGKILL while it is written to, starts
// it again, and looks at what it has: each record that was acknowledged, at its
// place and with its bytes, calls whole, and nothing else. It is a test:
//
//	go test ./reliability/kills -kills=1000
//
// A process that is killed leaves what it wrote in the memory of the operating
// system, so this finds out nothing about fsync; the crash tests of the log do.
package kills
