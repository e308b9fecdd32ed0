package wal

import (
	"container/list"
	"sync"
)

// maxCachedBlocks bounds what a log keeps of the indexes of sealed segments:
// 24 bytes each, so below 1 MiB.
const maxCachedBlocks = 40_000

// blockCache keeps the block indexes that were used last.
type blockCache struct {
	limit int

	// mu guards everything below.
	mu     sync.Mutex
	blocks int
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
	if c.byKey[key] != nil || len(blocks) > c.limit {
		return
	}
	c.byKey[key] = c.recent.PushFront(&cachedBlocks{key, blocks})
	c.blocks += len(blocks)
	for c.blocks > c.limit {
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
	c.blocks -= len(e.blocks)
}
