package sim

import (
	crand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/google/uuid"
)

// seedEverything makes all randomness follow from a seed. It has three streams,
// because the order in which one is read is the order in which goroutines run:
// the ids that the SDK gives its calls, which nothing depends on, must not
// shift the ids of sessions, or the jitter of pauses.
func seedEverything(t *testing.T, seed uint64) {
	cryptotest.SetGlobalRandom(t, seed) // the SDK's, and what else is there
	crand.Reader = newStream(seed, 1)   // put back by cryptotest
	uuid.SetRand(newStream(seed, 2))
	t.Cleanup(func() { uuid.SetRand(nil) })
}

// stream is a source of random bytes. What it gives depends on the instant, and
// on how often it was asked before at this instant: who was asked a different
// number of times at one instant is asked alike at the next.
type stream struct {
	seed   uint64
	number byte

	mu    sync.Mutex // guards all below
	at    int64      // when it was asked last
	times uint64     // how often at that instant
}

func newStream(seed uint64, number byte) *stream { return &stream{seed: seed, number: number} }

func (s *stream) Read(p []byte) (int, error) {
	now := time.Now().UnixNano()
	s.mu.Lock()
	if now != s.at {
		s.at, s.times = now, 0
	}
	s.times++
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], s.seed)
	binary.LittleEndian.PutUint64(key[8:], uint64(now))
	binary.LittleEndian.PutUint64(key[16:], s.times)
	key[24] = s.number
	s.mu.Unlock()
	return rand.NewChaCha8(key).Read(p)
}
