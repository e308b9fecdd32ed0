package hashkey

import (
	"fmt"
	"sync"
	"testing"
)

func TestCacheAgreesWithOf(t *testing.T) {
	c := NewCache()
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for i := range 100_000 {
				key := fmt.Sprint("key-", i%(1+i/4)%20_000) // some often, some once
				if got := c.Of(key); got != Of(key) {
					t.Errorf("%s: %v, want %v", key, got, Of(key))
					return
				}
			}
		})
	}
	readers.Wait()
}

func TestCacheRemembersKeysThatComeOften(t *testing.T) {
	c := NewCache()
	for range 2 {
		c.Of("hot")
	}
	known := func() (n int) {
		for i := range c.slots {
			if c.slots[i].known.Load() != nil {
				n++
			}
		}
		return n
	}
	if n := known(); n != 1 {
		t.Fatalf("%d keys are known", n)
	}
	for i := range 10_000 {
		c.Of(fmt.Sprint(i))
	}
	if n := known(); n > 10 {
		t.Errorf("%d keys are known, though all but one came once", n)
	}
	if n := testing.AllocsPerRun(100, func() { c.Of("hot") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkOf(b *testing.B) {
	b.Run("MD5", func(b *testing.B) {
		for b.Loop() {
			Of("customer-000123")
		}
	})
	b.Run("cached", func(b *testing.B) {
		c := NewCache()
		for b.Loop() {
			c.Of("customer-000123")
		}
	})
}
