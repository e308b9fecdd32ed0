package main

import (
	"net"
	"strings"
	"testing"
)

func TestServeShowsTheAddressThatWasAskedFor(t *testing.T) {
	for _, c := range [][3]string{ // asked, got, want
		{"0.0.0.0:4580", "[::]:4580", "0.0.0.0:4580"},
		{"0.0.0.0:0", "[::]:31234", "0.0.0.0:31234"},
		{"localhost:http", "127.0.0.1:80", "localhost:80"},
		{"[::1]:0", "[::1]:31234", "[::1]:31234"},
		{":4580", "[::]:4580", "[::]:4580"},
	} {
		if got := shownAddress(c[0], c[1]); got != c[2] {
			t.Errorf("asked for %s, listening on %s: shows %s, want %s", c[0], c[1], got, c[2])
		}
	}
	first, _ := serving(t, "--durability", "memory", "--listen", "0.0.0.0:0", "--insecure-no-auth")
	if !strings.HasPrefix(first, "listening on http://0.0.0.0:") {
		t.Errorf("first line %q", first)
	}
}

func TestServeSaysWhatToDoAboutAPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, flag := range []string{"--listen", "--redis-listen"} {
		args := []string{"serve", "--durability", "memory", "--listen", "127.0.0.1:0", flag, l.Addr().String()}
		if _, errOut, code := cli(t, "", args...); code != exitUsage || !strings.Contains(errOut, "use another port, or "+flag+" 127.0.0.1:0") {
			t.Errorf("%s: exit %d: %s", flag, code, errOut)
		}
	}
}
