package sim

import (
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/internal/history"
)

// A line that is logged names its shard, and not what is the same each time.
func TestLogsNameTheirShard(t *testing.T) {
	h := history.New()
	log := zap.New(&noteCore{history: h, name: "worker-0"}).Named("consumer").With(zap.String("worker", "worker-0"), zap.String("shard", "shard-7"))
	log.Warn("handler failed", zap.Int("attempt", 2), zap.String("stack", "goroutine 42"))
	log.Debug("not seen")
	var b strings.Builder
	if err := h.Timeline(&b); err != nil {
		t.Fatal(err)
	}
	if want := "  worker-0       WARN consumer: handler failed attempt=2 shard=shard-7\n"; !strings.HasSuffix(b.String(), want) || strings.Count(b.String(), "\n") != 1 {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
