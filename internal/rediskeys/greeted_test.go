package rediskeys_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/internal/rediskeys"
)

// echo is a server that answers each call of a script with its last argument, and on its
// first connection the ping, and all that follows, late: when the next command is there.
type echo struct{ conns atomic.Int64 }

// listen serves until the test ends, and returns the address.
func (e *echo) listen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn, e.conns.Add(1) == 1)
		}
	}()
	return l.Addr().String()
}

func serve(conn net.Conn, late bool) {
	defer func() { _ = conn.Close() }()
	r, behind, owed := bufio.NewReader(conn), false, ""
	for {
		args, err := command(r)
		if err != nil {
			return
		}
		answer := "+OK\r\n"
		switch strings.ToLower(args[0]) {
		case "hello":
			answer = "-ERR unknown command 'HELLO'\r\n"
		case "ping":
			answer, behind = "+PONG\r\n", late
		case "evalsha":
			last := args[len(args)-1]
			answer = fmt.Sprintf("*2\r\n$2\r\nOK\r\n$%d\r\n%s\r\n", len(last), last)
		}
		if behind {
			answer, owed = owed, answer
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
	}
}

// command reads one, as a list of strings.
func command(r *bufio.Reader) ([]string, error) {
	count, err := number(r)
	if err != nil {
		return nil, err
	}
	args := make([]string, count)
	for i := range args {
		size, err := number(r)
		if err != nil {
			return nil, err
		}
		b := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, err
		}
		args[i] = string(b[:size])
	}
	return args, nil
}

// number reads the line that says how many follow.
func number(r *bufio.Reader) (int, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(line[1:]))
}

// A new connection is tried with a command. When its answer is late, it is not to be
// taken for the answer to the call that comes next, nor that for the one after it.
func TestALateGreetingMixesUpNoAnswers(t *testing.T) {
	const timeout = 100 * time.Millisecond
	var server echo
	client := redis.NewClient(&redis.Options{Addr: server.listen(t), Protocol: 2})
	defer func() { _ = client.Close() }()
	db, err := rediskeys.Open(rediskeys.Options{Client: client, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for i := range 6 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*timeout)
		sent := fmt.Sprint("call-", i)
		r, err := db.Run(ctx, rediskeys.Load, "g", "", sent)
		cancel()
		switch {
		case err == nil && r.Text(0) != sent:
			t.Errorf("%s got the answer %q", sent, r.Text(0))
		case err != nil && i > 0:
			t.Errorf("%s over a new connection: %v", sent, err)
		case err == nil && i == 0:
			t.Error("the first call has an answer, though its connection has none to the greeting")
		}
	}
}
