package rediskeys_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/internal/rediskeys"
	"github.com/shardrun/shardrun/internal/redistest"
)

// Dialers of go-redis go on after the call that wanted the connection, in a TLS
// handshake for example. They must not keep the places of a pool while a server
// that was away is back.
func TestDialsThatHangKeepNobodyWaiting(t *testing.T) {
	t.Parallel()
	addr := redistest.Server(t)
	hung, dials := make(chan struct{}), atomic.Int32{}
	defer close(hung)
	client := redis.NewClient(&redis.Options{Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
		if dials.Add(1) <= 8 { // as many as there are connections for beats
			<-hung
			return nil, net.ErrClosed
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}})
	defer func() { _ = client.Close() }() // it never dialed
	db, err := rediskeys.Open(rediskeys.Options{Client: client, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // the test is over
	beat := func(within time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		_, err := db.Run(ctx, rediskeys.Beat, group, "", "inc", "a", "a", 1, 0, 0, 1, 0, "{}", 0, 1000, 200)
		return err
	}
	for range 8 {
		if err := beat(50 * time.Millisecond); err == nil {
			t.Error("a beat without a connection")
		}
	}
	back := time.Now()
	for { // the first may hear of a dial that was given up
		err := beat(500 * time.Millisecond)
		if err == nil {
			break
		}
		if time.Since(back) > 2*time.Second {
			t.Fatalf("the server is there again: %v", err)
		}
	}
}

// By itself a pool that has failed to dial as often as it has connections dials
// once a second only, which is an age for leases of half a second.
func TestAServerIsFoundAtOnceWhenItIsBack(t *testing.T) {
	t.Parallel()
	p := redistest.Start(t)
	db, err := rediskeys.Open(rediskeys.Options{Addr: p.Addr})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // the test is over
	join(t, db, "a", 1)
	for range 3 {
		p.Kill()
		for range 100 {
			if _, err := db.Run(t.Context(), rediskeys.Beat, group, "", "inc", "a", "a", 1, 0, 0, 1, 0, "{}", 0, 1000, 200); err == nil {
				t.Fatal("a server that was killed answers")
			} else if !strings.Contains(err.Error(), p.Addr) && !errors.Is(err, io.EOF) {
				t.Fatalf("the error does not say which server: %v", err)
			}
		}
		p.Restart()
		start := time.Now()
		for {
			_, err := db.Run(t.Context(), rediskeys.Beat, group, "", "inc", "a", "a", 1, 0, 0, 1, 0, "{}", 0, 1000, 200)
			if err == nil {
				break
			}
			time.Sleep(time.Millisecond) // between two tries
		}
		if took := time.Since(start); took > 300*time.Millisecond {
			t.Errorf("found after %v", took)
		}
	}
}

// A client of a Sentinel set finds the primary with a dialer; a former primary
// that is cut off from the sentinels may go on to answer.
func TestAWorkerTalksToOnePrimary(t *testing.T) {
	t.Parallel()
	former, next := redistest.Start(t), redistest.Start(t)
	s := redistest.StartSentinelsOf(t, former)
	client := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: redistest.MasterName, SentinelAddrs: s.Addrs})
	defer func() { _ = client.Close() }() // the test is over
	db, err := rediskeys.Open(rediskeys.Options{Client: client})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // the test is over
	join(t, db, "a", 1)
	run(t, db, "OK", rediskeys.View, 0, 1, "") // other connections than a beat's
	s.Point(next)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	subscribed := make(chan struct{}, 1)
	go func() {
		_ = db.Watch(ctx, group, func() { // until the test is over
			select {
			case subscribed <- struct{}{}:
			default:
			}
		})
	}()
	<-subscribed // it asked where the primary is now
	for name, s := range map[string]rediskeys.Script{"beat": rediskeys.Beat, "view": rediskeys.View} {
		args := []any{0, 1, ""}
		if s == rediskeys.Beat {
			args = []any{"inc", "b", "b", 1, 0, 0, 1, 0, `{"name":"b"}`, 0, 1000, 200}
		}
		if _, err := db.Run(t.Context(), s, group, "", args...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if keys := next.Do("EXISTS", "{"+group+"}:m").Val(); keys != int64(1) {
		t.Error("beats go to the former primary")
	}
}

func TestAClientOfTheWrongKindIsTold(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, false)
	other := c.Primaries[(c.Owner("{"+group+"}:m")+1)%3]
	db, err := rediskeys.Open(rediskeys.Options{Addr: other.Addr})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // the test is over
	_, err = db.Run(t.Context(), rediskeys.View, group, "", 0, 1, "")
	if err == nil || !strings.Contains(err.Error(), "use a *redis.ClusterClient") {
		t.Errorf("error %v", err)
	}
}

// lossy is a connection over which no answer of a script comes, once answers are
// lost.
type lossy struct {
	net.Conn
	lose    *atomic.Bool
	scripts *atomic.Int32 // that were sent since
	lost    atomic.Bool
}

func (c *lossy) Write(b []byte) (int, error) {
	if c.lose.Load() && strings.Contains(strings.ToLower(string(b)), "evalsha") {
		c.lost.Store(true)
		c.scripts.Add(1)
	}
	return c.Conn.Write(b)
}

func (c *lossy) Read(b []byte) (int, error) {
	if c.lost.Load() {
		return 0, os.ErrDeadlineExceeded
	}
	return c.Conn.Read(b)
}

// By itself a client of a cluster sends what is not answered up to four times.
func TestACallOfAClusterIsSentOnce(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, false)
	lose, scripts := atomic.Bool{}, atomic.Int32{}
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: c.Addrs(),
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			return &lossy{Conn: conn, lose: &lose, scripts: &scripts}, err
		},
	})
	defer func() { _ = client.Close() }() // the test is over
	db, err := rediskeys.Open(rediskeys.Options{Client: client})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // the test is over
	if _, err := db.Run(t.Context(), rediskeys.View, group, "", 0, 1, ""); err != nil {
		t.Fatal(err)
	}
	lose.Store(true)
	if _, err := db.Run(t.Context(), rediskeys.View, group, "", 0, 1, ""); err == nil {
		t.Error("a lost answer came")
	}
	if n := scripts.Load(); n != 1 {
		t.Errorf("sent %d times", n)
	}
}
