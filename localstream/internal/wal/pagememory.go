package wal

// chunkBytes is the size of the pieces of memory that pages are read into. It
// holds several blocks, so that little is left over.
const chunkBytes = 512 << 10

type chunk [chunkBytes]byte

// pageMemory is what the data of a page lies in: chunks that are used again for
// other pages, and buffers of their own for blocks that are larger. Without
// them a page of 10 MiB is 10 MiB of garbage.
type pageMemory struct {
	log    *Log
	chunks []*chunk
	used   int  // of the last chunk
	own    int  // bytes in buffers of their own
	alone  bool // the last buffer is one
}

// smallBytes is what needs no chunk.
const smallBytes = 128 << 10

// isAlone reports whether n bytes get a buffer of their own: what is larger than
// a chunk, and what is all of a small page.
func isAlone(chunks, n, after int) bool {
	return n > chunkBytes || chunks == 0 && n+after <= smallBytes
}

// take gives a buffer of n bytes with anything in it. After it there may be
// others, of this many bytes together.
func (m *pageMemory) take(n, after int) []byte {
	m.alone = isAlone(len(m.chunks), n, after)
	if m.alone {
		m.own += n
		return make([]byte, n)
	}
	if len(m.chunks) == 0 || m.used+n > chunkBytes {
		c, ok := m.log.chunks.Get().(*chunk)
		if !ok {
			c = new(chunk)
		}
		m.chunks, m.used = append(m.chunks, c), 0
	}
	from := m.used
	m.used += n
	return m.chunks[len(m.chunks)-1][from:m.used:m.used]
}

// keep gives back all but the first n bytes of the buffer that was taken last.
func (m *pageMemory) keep(buf []byte, n int) {
	if !m.alone {
		m.used -= len(buf) - n
	}
}

// bytes is how much memory it is.
func (m *pageMemory) bytes() int { return len(m.chunks)*chunkBytes + m.own }

// free gives the chunks to others.
func (m *pageMemory) free() {
	for i, c := range m.chunks {
		if spoilFreed && i < len(m.chunks)-1 {
			clear(c[:])
		} else if spoilFreed {
			clear(c[:m.used])
		}
		m.log.chunks.Put(c)
	}
	m.chunks, m.used = nil, 0
}

// settle moves the data of records to the beginning of the block that they were
// read from, and gives the rest of it back, if that is most of it: a page is not
// to hold what belongs to others.
func (m *pageMemory) settle(recs []Record, block []byte) {
	size := 0
	for i := range recs {
		size += len(recs[i].Data)
	}
	if size > len(block)/2 {
		return
	}
	to := block[:size]
	if m.alone { // nobody else could have the rest
		to = make([]byte, size)
		m.own += size - len(block)
	}
	at := 0
	for i := range recs { // in the order of the block, so nothing is written over that is still to be read
		n := copy(to[at:], recs[i].Data)
		recs[i].Data = to[at : at+n : at+n]
		at += n
	}
	m.keep(block, size)
}

// leave moves the data of all records of a page out of the chunks and gives
// those back, if the page would leave most of them empty.
func (m *pageMemory) leave(recs []Record, data int) {
	if len(m.chunks) == 0 || data > m.bytes()/8 {
		return
	}
	to := make([]byte, 0, data)
	for i := range recs {
		at := len(to)
		to = append(to, recs[i].Data...)
		recs[i].Data = to[at:len(to):len(to)]
	}
	m.free()
	m.own = data
}

// newRecords gives a list for the records of a page, which is empty.
func (l *Log) newRecords() []Record {
	if list, ok := l.records.Get().(*[]Record); ok {
		return *list
	}
	return nil
}

// leaveList moves the records of a page out of a list that they would leave most
// of empty, and gives that back: a page that is sent slowly is not to hold the
// list of the largest page before it.
func (l *Log) leaveList(p *Page) {
	list := p.Records
	if len(list) > cap(list)/8 {
		return
	}
	p.Records = append(make([]Record, 0, len(list)), list...)
	l.freeRecords(list)
}

// freeRecords gives a list to others.
func (l *Log) freeRecords(list []Record) {
	if cap(list) == 0 {
		return
	}
	clear(list)
	list = list[:0]
	l.records.Put(&list)
}
