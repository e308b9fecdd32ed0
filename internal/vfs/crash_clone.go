package vfs

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
)

// sectorSize is what a disk writes as a whole, or tears.
const sectorSize = 512

// CrashClone returns what a power failure at this moment may leave, chosen by
// rng. What was synced is there. Of each file that was not, each sector has its
// new content, its old one, or is torn between the two, and the length is the
// old, the new, or one between. Of the changes to a directory that was not
// synced a part is there: the first ones, or any. The file system itself goes
// on unharmed, and nothing holds a lock in the clone.
func (c *Crash) CrashClone(rng *rand.Rand) *Crash {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := NewCrash()
	out.root = crash(c.root, rng, map[*crashNode]*crashNode{})
	return out
}

// crash returns what is left of a node. One node can have several names after a
// rename of which a part was lost, so what became of each is kept in done.
func crash(n *crashNode, rng *rand.Rand, done map[*crashNode]*crashNode) *crashNode {
	if left := done[n]; left != nil {
		return left
	}
	left := &crashNode{dir: n.dir}
	done[n] = left
	if !n.dir {
		left.data = crashData(n.durable, n.syncable(), rng)
		left.durable, left.appended = bytes.Clone(left.data), true
		return left
	}
	names := crashNames(n, rng)
	left.names = make(map[string]*crashNode, len(names))
	for _, name := range slices.Sorted(maps.Keys(names)) { // sorted: the same clone for the same rng
		left.names[name] = crash(names[name], rng, done)
	}
	left.durableNames = maps.Clone(left.names)
	return left
}

// crashNames returns what is left of a directory.
func crashNames(d *crashNode, rng *rand.Rand) map[string]*crashNode {
	names := maps.Clone(d.durableNames)
	inOrder := rng.IntN(2) == 0
	first := rng.IntN(len(d.pending) + 1)
	for i, c := range d.pending {
		if inOrder && i < first || !inOrder && rng.IntN(2) == 0 {
			c.apply(names)
		}
	}
	return names
}

// crashData returns what is left of a file.
func crashData(old, data []byte, rng *rand.Rand) []byte {
	size := len(data)
	switch low, high := min(len(old), len(data)), max(len(old), len(data)); rng.IntN(4) {
	case 0:
		size = len(old)
	case 1:
		size = low + rng.IntN(high-low+1)
	}
	left := make([]byte, size)
	copy(left, old)
	keep := rng.IntN(4) // of 3 sectors, how many are new: from none to all
	for at := 0; at < size; at += sectorSize {
		end := min(at+sectorSize, size, len(data))
		if end <= at {
			break
		}
		switch {
		case rng.IntN(3) >= keep: // the old content
		case keep == 3 || rng.IntN(8) > 0:
			copy(left[at:end], data[at:end])
		default:
			end = at + rng.IntN(end-at)
			copy(left[at:end], data[at:end])
		}
	}
	return left
}
