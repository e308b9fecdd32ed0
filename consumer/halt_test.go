package consumer

import (
	"strings"
	"testing"
	"time"

	"github.com/shardrun/shardrun/lease"
)

// Where some leases were given back there is nothing that init could make.
func TestHaltSaysWhichCommandGoesOn(t *testing.T) {
	c := &Consumer{cfg: Config{Stream: "orders", Group: "billing"}}
	seen := time.Date(2026, 1, 2, 15, 4, 5, 6, time.UTC)
	for kept, want := range map[int]string{
		0: "`shardrun leases init orders --group billing --at trim`",
		3: "`shardrun reset orders --group billing --to trim --force --yes`",
	} {
		got := c.goOn(&lease.UnrestoredError{Kept: kept, Seen: seen})
		if !strings.Contains(got, want) || !strings.Contains(got, "seen by 2026-01-02T15:04:05Z") || !strings.Contains(got, "not Latest") {
			t.Errorf("%d kept: %s", kept, got)
		}
	}
}
