// Package redistest starts Redis servers for tests: real ones, alone, as a
// Sentinel set or as a cluster, or miniredis inside of a bubble of
// testing/synctest.
package redistest

import (
	"context"
	"net"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Mini starts a miniredis without a socket, whose clock is that of the bubble
// that the test is in, and returns it with a client. Both end with the test.
func Mini(t testing.TB) (*miniredis.Miniredis, *redis.Client) {
	t.Helper()
	m := miniredis.NewMiniRedis()
	m.ClockTTL(true)
	c := redis.NewClient(&redis.Options{
		Dialer:          func(context.Context, string, string) (net.Conn, error) { return m.Dial() },
		DisableIdentity: true,
		// Else the client looks its address up, by a resolver that is shared
		// with the world outside of the bubble.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() {
		_ = c.Close() // nothing of the test depends on it any more
		m.Close()
	})
	return m, c
}
