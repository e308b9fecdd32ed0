// Package entropy draws the numbers that need only be unlike one another:
// jitter and seeds. They come from crypto/rand, whose source a test can replace
// (testing/cryptotest), so that a simulated run draws the same ones again.
package entropy

import (
	"crypto/rand"
	"encoding/binary"
	"hash/fnv"
	"math/bits"
	mathrand "math/rand/v2"
	"time"
)

// Uint64 draws a number.
func Uint64() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

// Duration draws from [0, limit), or returns 0 for a limit that is not above 0.
func Duration(limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	high, _ := bits.Mul64(Uint64(), uint64(limit))
	return time.Duration(high)
}

// Of is a generator for one of the things that work side by side under a seed.
// It draws the same whatever the others draw, and in whatever order. One
// goroutine at a time may use it.
func Of(seed uint64, name string, number uint64) *mathrand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // a hash takes everything
	return mathrand.New(mathrand.NewPCG(seed^h.Sum64(), number))
}
