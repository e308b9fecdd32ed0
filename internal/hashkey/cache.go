package hashkey

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// cacheSlots is how many keys a Cache can know. A slot takes 16 bytes, and what
// it knows the length of the key and 48 more.
const cacheSlots = 8192

// Cache gives the hash keys of partition keys and remembers those of keys that
// come often, for which it saves the MD5. A key is remembered when it is asked
// for twice with no other key of its slot between, so keys that come once cost
// no memory. All methods may be called concurrently.
type Cache struct {
	seed  maphash.Seed
	slots [cacheSlots]cacheSlot
}

type cacheSlot struct {
	last  atomic.Uint32 // part of the hash of the key that last missed
	known atomic.Pointer[cached]
}

type cached struct {
	partitionKey string
	hash         Key
}

// NewCache makes a cache that knows no key.
func NewCache() *Cache { return &Cache{seed: maphash.MakeSeed()} }

// Of is the hash key of a partition key, as the function Of gives it.
func (c *Cache) Of(partitionKey string) Key {
	h := maphash.String(c.seed, partitionKey)
	slot := &c.slots[h%cacheSlots]
	if k := slot.known.Load(); k != nil && k.partitionKey == partitionKey {
		return k.hash
	}
	hash := Of(partitionKey)
	if mark := uint32(h >> 32); slot.last.Swap(mark) == mark {
		// A copy: the caller's string may be a part of a large one.
		slot.known.Store(&cached{strings.Clone(partitionKey), hash})
	}
	return hash
}
