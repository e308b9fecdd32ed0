package sim

import (
	crand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/cryptotest"

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

// stream is a source of random bytes.
type stream struct {
	mu     sync.Mutex // guards source
	source *rand.ChaCha8
}

func newStream(seed uint64, number byte) *stream {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	key[8] = number
	return &stream{source: rand.NewChaCha8(key)}
}

func (s *stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.source.Read(p)
}
