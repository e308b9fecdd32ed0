package rediskeys

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Watch calls notify when something is announced, and once when it has
// subscribed, until ctx ends or the connection breaks.
func (db *DB) Watch(ctx context.Context, group string, notify func()) error {
	if err := ValidateGroup(group); err != nil {
		return err
	}
	l, ended := &line{}, make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		l.end()
	})
	lined := context.WithValue(ctx, lineKey{}, l)
	sub, err := db.subscribe(lined, group)
	if err == nil {
		err = db.calls.seen(ctx, receive(lined, sub, notify))
		_ = sub.Close() // the end of the watch either way
	}
	if !stop() {
		<-ended
	}
	return cmp.Or(ctx.Err(), Explain(err, db.calls.client, group, false))
}

// line is the connection of a watch. A read is not ended by its context, but by
// closing the connection; and to close the subscription waits for reads, while it
// connects.
type line struct {
	mu    sync.Mutex // guards all below
	conn  net.Conn
	ended bool
}

// lineKey is the key of the line in the context of a watch.
type lineKey struct{}

// takes takes a new connection, the former one being broken.
func (l *line) takes(conn net.Conn) {
	l.mu.Lock()
	l.conn = conn
	ended := l.ended
	l.mu.Unlock()
	if ended {
		_ = conn.Close() // nobody reads it
	}
}

// end breaks the connection.
func (l *line) end() {
	l.mu.Lock()
	l.ended = true
	conn := l.conn
	l.mu.Unlock()
	if conn != nil {
		_ = conn.Close() // the end of the watch either way; TLS says goodbye, which may take a while
	}
}

// errMoved is the end of a subscription by the server: it has the slot of the
// channel no more.
var errMoved = errors.New("watch: the server ended the subscription, as its slot moved")

func receive(ctx context.Context, sub *redis.PubSub, notify func()) error {
	for pinged := false; ; {
		msg, err := sub.ReceiveTimeout(ctx, silence)
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() && !pinged && ctx.Err() == nil {
			if err := sub.Ping(ctx); err != nil {
				return fmt.Errorf("watch: ping: %w", err)
			}
			pinged = true
			continue
		}
		if err != nil {
			return fmt.Errorf("watch: %w", err)
		}
		pinged = false
		switch m := msg.(type) {
		case *redis.Pong:
			continue
		case *redis.Subscription:
			if m.Count == 0 {
				return errMoved
			}
		}
		notify()
	}
}
