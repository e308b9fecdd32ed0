package wal

// leastStored is what a record takes in the log at least: its arrival and three
// lengths, a byte each.
const leastStored = 4

// Need is what a page takes in memory when another part of the log has been
// added to it. It is never less than what the page takes then.
type Need struct {
	// Has is how many records the page has before.
	Has int
	// Records and Bytes are how many it has then at most, and the memory that
	// their data lies in.
	Records int
	Bytes   int64
}

// ask asks for room to add blocks to the page.
func (r *pageReader) ask(blocks []block) error {
	if r.room == nil {
		return nil
	}
	stored := 0
	for _, b := range blocks {
		stored += int(b.length)
	}
	has := len(r.page.Records)
	return r.room(Need{
		Has: has, Records: min(r.maxRecords, has+stored/leastStored), Bytes: int64(r.page.memory.most(blocks)),
	})
}

// most is how much memory it can become when blocks are read, one by one. What
// is given back between them makes it less: where less is used before, no
// buffer lies further behind.
func (m *pageMemory) most(blocks []block) int {
	after := 0
	for _, b := range blocks {
		after += int(b.length)
	}
	own, chunks, used := m.own, len(m.chunks), m.used
	for _, b := range blocks {
		n := int(b.length)
		after -= n
		switch {
		case isAlone(chunks, n, after):
			own += n
			continue
		case chunks == 0 || used+n > chunkBytes:
			chunks, used = chunks+1, 0
		}
		used += n
	}
	return own + chunks*chunkBytes
}
