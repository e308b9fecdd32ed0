package consumer

import (
	"testing"
	"testing/synctest"
	"time"
)

// What was lost once was another stream's.
func TestHaltIsNotForAStreamThatWasMadeAnewLongAfterALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 0)
		b.cfg.OnStateLoss = Halt()
		r := run(t, b.cfg)
		time.Sleep(time.Second)
		b.fake.put(0, "k", []byte("old"))
		time.Sleep(10 * time.Second)
		b.store.Forget("test")
		time.Sleep(3 * time.Hour)
		b.fake.setGone()
		time.Sleep(10 * time.Second)
		b.fake.mu.Lock()
		b.fake.gone, b.fake.created = false, time.Now()
		b.fake.shards[0].id, b.fake.shards[0].records = "shardId-other", nil
		b.fake.mu.Unlock()
		b.fake.put(0, "k", []byte("new"))
		time.Sleep(20 * time.Second)
		b.wantBatches("old | new")
		r.stop()
	})
}
