package main

import (
	"errors"
	"net"
	"syscall"
)

// shownAddress is an address to listen on as it was asked for, with the port
// that it has; the system writes 0.0.0.0 as [::].
func shownAddress(asked, got string) string {
	host, _, err := net.SplitHostPort(asked)
	if err != nil || host == "" {
		return got
	}
	_, port, err := net.SplitHostPort(got)
	if err != nil {
		return got
	}
	return net.JoinHostPort(host, port)
}

// askedListener is a listener whose address is the one that was asked for, so
// that the log has the same one as standard output.
type askedListener struct {
	net.Listener
	addr net.Addr
}

// Addr is what the log shows.
func (l askedListener) Addr() net.Addr { return l.addr }

// asAsked gives a listener the address that was asked for: the system writes
// 0.0.0.0 as [::].
func asAsked(l net.Listener, asked string) net.Listener {
	tcp, ok := l.Addr().(*net.TCPAddr)
	host, _, err := net.SplitHostPort(asked)
	if ip := net.ParseIP(host); ok && err == nil && ip != nil && ip.IsUnspecified() {
		return askedListener{l, &net.TCPAddr{IP: ip, Port: tcp.Port}}
	}
	return l
}

// listenError is why the address of a flag cannot be listened on.
func listenError(flag string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return usagef("%[1]s: %[2]w: use another port, or %[1]s 127.0.0.1:0 for one that is free", flag, err)
	}
	return usagef("%s: %w", flag, err)
}
