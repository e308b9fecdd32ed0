package redistest_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/internal/redistest"
)

// A failover loses what was written last, and sessions with it. A machine with much
// else to do has servers silent for seconds, and tests that mean no failover see one.
func TestAPrimaryThatIsSlowIsReplacedOnlyWhereATestMeansIt(t *testing.T) {
	t.Parallel()
	for _, failover := range []bool{false, true} {
		s := redistest.StartSentinels(t, failover)
		for _, addr := range s.Addrs {
			c := redis.NewSentinelClient(&redis.Options{Addr: addr})
			m, err := c.Master(t.Context(), redistest.MasterName).Result()
			_ = c.Close() // it was only for this
			if ms, err2 := strconv.Atoi(m["down-after-milliseconds"]); err != nil || err2 != nil || (ms < 10_000) != failover {
				t.Errorf("failover %v: after %d ms, %v, %v", failover, ms, err, err2)
			}
		}
	}
	for _, p := range redistest.StartCluster(t, false).Primaries {
		if _, ms, _ := strings.Cut(p.Do("CONFIG", "GET", "cluster-node-timeout").String(), "timeout:"); len(strings.TrimRight(ms, "]")) < 5 {
			t.Errorf("a node of a cluster is replaced after %s ms", ms)
		}
	}
}
