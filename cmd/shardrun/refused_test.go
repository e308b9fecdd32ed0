package main

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/redistest"
	"github.com/shardrun/shardrun/lease"
	leaseredis "github.com/shardrun/shardrun/lease/redis"
)

func TestARedisThatRefusesIsNotCalledAway(t *testing.T) {
	secret, open := redistest.Start(t, "--requirepass", "secret").Addr, redistest.Server(t)
	secure := redistest.NewAuthority(t).StartTLS().Addr
	for address, want := range map[string]string{
		secret:                     "refuses: Redis wants a password",
		"redis://:guess@" + secret: "refuses: Redis does not take the user name or its password",
		"redis://" + open + "/77":  "refuses: Redis has no database of that number",
		"redis://" + secure:        "does it speak TLS (rediss://)?",
	} {
		_, errOut, code := cli(t, "", "leases", "billing", "--redis", address)
		if code != exitFail || !strings.Contains(errOut, want) || strings.Contains(errOut, "guess") {
			t.Errorf("%s: exit %d: %s", address, code, errOut)
		}
		if strings.Contains(want, "refuses") && strings.Contains(errOut, "no Redis answers") {
			t.Errorf("%s answers: %s", address, errOut)
		}
	}
}

func TestAWatchNamesTheRedisThatIsAway(t *testing.T) {
	server := redistest.Start(t)
	store, err := leaseredis.New(leaseredis.Config{Addr: server.Addr})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }() // the test is over
	const stream = "000000000000:us-east-1:orders:1"
	v, err := store.Beat(t.Context(), "billing", lease.Beat{
		NewIncarnation: "i", Number: 1, TTL: time.Minute, Session: lease.Session{ID: "s", Name: "w", State: lease.StateUp},
	})
	if err != nil {
		t.Fatal(err)
	}
	scope := checkpoint.Scope{Group: "billing", Incarnation: v.Incarnation}
	if err := store.Create(t.Context(), scope, lease.Create{Session: "s", Stream: stream, Rows: []lease.Row{{Name: lease.Name(stream, "x")}}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	out, shown := io.Pipe()
	errs, failed := io.Pipe()
	ended := make(chan int, 1) // room for the one exit code
	go func() {
		ended <- run(ctx, []string{"leases", "billing", "--watch", "--json", "--redis", server.Addr}, nil, shown, failed)
	}()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(line, err)
	}
	server.Kill()
	line, err := bufio.NewReader(errs).ReadString('\n')
	if err != nil || !strings.Contains(line, "Redis gives no answer") || strings.Contains(line, "endpoint") || strings.Contains(line, "shardrun serve)") {
		t.Errorf("%v: %s", err, line)
	}
	cancel()
	_, _ = out.Close(), errs.Close() // nothing more is read
	if code := <-ended; code != exitOK {
		t.Errorf("exit %d", code)
	}
}
