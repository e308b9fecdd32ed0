package rediskeys

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// How changes are announced.
const (
	// unasked is before a cluster said which it has.
	unasked int32 = iota
	// plain announcements reach every node of a cluster.
	plain
	// sharded ones stay with the nodes that have the slot, from Redis 7.0.
	sharded
)

// publisher is the command that announces changes. Announcements are hints: a
// server that cannot be asked gets plain ones.
func (db *DB) publisher(ctx context.Context, group string) string {
	if _, cluster := db.calls.client.(*redis.ClusterClient); !cluster {
		return "PUBLISH"
	}
	if db.channels.Load() == unasked {
		_ = db.ask(ctx, group) // the call itself will say what is wrong
	}
	if db.channels.Load() == sharded {
		return "SPUBLISH"
	}
	return "PUBLISH"
}

// ask learns which announcements the server of a group has. All workers ask the
// same server, and again when their watch breaks, as it does when the server is
// replaced by a newer one.
func (db *DB) ask(ctx context.Context, group string) error {
	node, err := db.calls.node(ctx, Keys(group)[0])
	if err != nil {
		return err
	}
	hello, err := node.Do(ctx, "HELLO").Result()
	if db.calls.seen(ctx, err) != nil {
		return fmt.Errorf("hello: %w", err)
	}
	mode, version := field(hello, "mode"), field(hello, "version")
	major, err := strconv.Atoi(strings.Split(version, ".")[0])
	if err == nil && mode == "cluster" && major >= 7 {
		db.channels.Store(sharded)
	} else {
		db.channels.Store(plain)
	}
	return nil
}

// field reads a text of an answer that is a map, or a list in the older protocol.
func field(answer any, name string) string {
	switch v := answer.(type) {
	case map[any]any:
		s, _ := v[name].(string) // not a text is none
		return s
	case []any:
		for i := 0; i+1 < len(v); i += 2 {
			if v[i] == name {
				s, _ := v[i+1].(string) // not a text is none
				return s
			}
		}
	}
	return ""
}

// subscribe subscribes to what is announced.
func (db *DB) subscribe(ctx context.Context, group string) (*redis.PubSub, error) {
	cluster, ok := db.calls.client.(*redis.ClusterClient)
	if !ok {
		return db.calls.client.Subscribe(ctx, Channel(group)), nil
	}
	if err := db.ask(ctx, group); err != nil {
		return nil, err
	}
	if db.channels.Load() == sharded {
		return cluster.SSubscribe(ctx, Channel(group)), nil
	}
	return cluster.Subscribe(ctx, Channel(group)), nil
}

// Info is what the server that has the group says of itself, as INFO names it.
func (db *DB) Info(ctx context.Context, group string) (map[string]string, error) {
	db.calls.within(ctx)
	node, err := db.calls.node(ctx, Keys(group)[0])
	if err != nil {
		return nil, err
	}
	text, err := node.Info(ctx).Result()
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			out[name] = value
		}
	}
	return out, nil
}
