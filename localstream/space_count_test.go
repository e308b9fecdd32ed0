package localstream

import (
	"strings"
	"sync"
	"testing"

	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// Puts that come while others end do not pass the quota of their stream: what
// is just being written counts once, at least.
func TestPutsWhileOthersEndDoNotPassTheQuota(t *testing.T) {
	const quota = 256 << 10
	for range 100 {
		h := start(t, 1, Config{MaxStreamBytes: quota, leastQuota: 1})
		st := (*h.server.catalog.Load())[testKey("s")]
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				for range 100 {
					recs := []wal.Record{{Key: "k", Data: make([]byte, 4<<10)}}
					n := recordSpace(&recs[0])
					if h.server.space.admit(st, "0", n) != nil {
						return
					}
					if err := st.log.Append(recs); err != nil {
						t.Error(err)
					}
					h.server.space.release(st, n)
				}
			})
		}
		all.Wait()
		if size := st.log.Size(); size > quota {
			t.Fatalf("the log has %d bytes, its quota is %d", size, quota)
		}
		h.must(h.server.Close())
	}
}

// What is let in takes no more of the disk than was counted for it, also a record
// that is committed alone.
func TestARecordTakesNoMoreSpaceThanIsCounted(t *testing.T) {
	h := start(t, 1)
	st := (*h.server.catalog.Load())[testKey("s")]
	for _, size := range []int{0, 1, 127, 128, 1 << 14, 1 << 20} {
		for _, hash := range []string{"", "340282366920938463463374607431768211455"} {
			recs := []wal.Record{{Key: strings.Repeat("k", 256), HashKey: hash, Data: make([]byte, size)}}
			before := st.log.Size()
			h.must(st.log.Append(recs))
			if took, counted := st.log.Size()-before, recordSpace(&recs[0]); took > counted {
				t.Errorf("%d bytes took %d, counted were %d", size, took, counted)
			}
		}
	}
}
