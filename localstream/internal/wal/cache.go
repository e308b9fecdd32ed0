package wal

import (
	"container/list"
	"sync"
)

// maxCachedBytes bounds what a log keeps of the indexes of sealed segments. An
// index takes cachedOverhead beside its blocks: its list element, its place in
// the map, and itself.
const (
	maxCachedBytes = 512 << 10
	cachedOverhead = 256
)

// blockCache keeps the block indexes that were used last.
type blockCache struct {
	limit int // of bytes

	// mu guards everything below.
	mu     sync.Mutex
	bytes  int
	recent *list.List // of *cachedBlocks, used last in front
	byKey  map[blockKey]*list.Element
}

type blockKey struct {
	seg   *segment
	shard uint32
}

type cachedBlocks struct {
	blockKey
	blocks []block
}

func (e *cachedBlocks) size() int { return cachedOverhead + blockSize*cap(e.blocks) }

func newBlockCache(limit int) *blockCache {
	return &blockCache{limit: limit, recent: list.New(), byKey: map[blockKey]*list.Element{}}
}

// get returns the index of what seg holds of a shard, nil if it is not kept.
func (c *blockCache) get(seg *segment, shard uint32) []block {
	c.mu.Lock()
	defer c.mu.Unlock()
	el := c.byKey[blockKey{seg, shard}]
	if el == nil {
		return nil
	}
	c.recent.MoveToFront(el)
	return el.Value.(*cachedBlocks).blocks
}

// put keeps an index, and forgets those that were not used for longest. An
// index larger than the whole cache is not kept.
func (c *blockCache) put(seg *segment, shard uint32, blocks []block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := blockKey{seg, shard}
	e := &cachedBlocks{key, blocks}
	if c.byKey[key] != nil || seg.gone.Load() || e.size() > c.limit {
		return
	}
	c.byKey[key] = c.recent.PushFront(e)
	c.bytes += e.size()
	for c.bytes > c.limit {
		c.remove(c.recent.Back())
	}
}

// drop forgets the indexes of a segment.
func (c *blockCache) drop(seg *segment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, el := range c.byKey {
		if key.seg == seg {
			c.remove(el)
		}
	}
}

// remove takes out one index. mu is held.
func (c *blockCache) remove(el *list.Element) {
	e := c.recent.Remove(el).(*cachedBlocks)
	delete(c.byKey, e.blockKey)
	c.bytes -= e.size()
}
