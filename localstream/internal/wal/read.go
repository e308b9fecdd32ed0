package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// Read returns committed records of a shard with numbers from and higher that
// arrived at minArrival or later, in order: at most maxRecords, and as many as
// have at most maxBytes of keys and data together, but at least one if there is
// one. A number that is no longer in the log stands for the oldest that is.
//
// Every byte returned was checked. An error that wraps a [*DamageError] stays
// until the log is repaired; others come from the file system and may pass.
func (l *Log) Read(shard uint32, from uint64, minArrival int64, maxRecords, maxBytes int) (Page, error) {
	return l.ReadWithin(nil, shard, from, minArrival, maxRecords, maxBytes)
}

// ReadWithin is Read for those who have to find room for the page. It calls room
// before it takes memory, once for each segment that the page is in. If there is
// none the page ends there, with the records that it has; when it has none, the
// error of room is returned, wrapped.
func (l *Log) ReadWithin(room func(Need) error, shard uint32, from uint64, minArrival int64, maxRecords, maxBytes int) (Page, error) {
	if maxRecords <= 0 || maxBytes <= 0 {
		return Page{}, fmt.Errorf("read shard %d: %w", shard, errNoRoom)
	}
	r := pageReader{
		room: room, shard: shard, from: from, since: minArrival, maxRecords: maxRecords, maxBytes: maxBytes,
		page: Page{Next: from, Records: l.newRecords(), memory: pageMemory{log: l}},
	}
	for !r.full {
		src, err := l.source(&r)
		if err == nil && src.seg == nil {
			r.page.Next, r.page.End = max(r.page.Next, src.tip), src.end
			break
		}
		if err == nil {
			err = l.readSource(&r, src)
		}
		if err != nil {
			r.page.Free()
			return Page{}, fmt.Errorf("read shard %d: %w", shard, err)
		}
	}
	if r.full {
		l.finish(&r.page, shard)
	}
	r.page.memory.leave(r.page.Records, r.data)
	l.leaveList(&r.page)
	return r.page, nil
}

// SeekTime returns the number of the first committed record of a shard that
// arrived at arrival or later, in milliseconds since 1970, or else the number
// of the next record. It reads the record, for which it asks for room as
// ReadWithin does.
func (l *Log) SeekTime(room func(Need) error, shard uint32, arrival int64) (uint64, error) {
	page, err := l.ReadWithin(room, shard, 0, arrival, 1, 1)
	if err != nil {
		return 0, fmt.Errorf("seek time: %w", err)
	}
	defer page.Free()
	if len(page.Records) > 0 {
		return page.Records[0].Seq, nil
	}
	return page.Next, nil
}

// finish completes a page that is full.
func (l *Log) finish(page *Page, id uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.shards[id]
	if page.Next >= s.tip {
		page.End = s.ended()
		return
	}
	last := page.Records[len(page.Records)-1]
	page.Behind = max(1, s.tipArrival-last.Arrival)
}

// source is where the next records of a page are.
type source struct {
	seg    *segment // nil when there are none
	blocks []block
	stored storedIndex // of the blocks, when they are nil

	tip uint64
	end bool // the shard is sealed and all of it committed
}

// source finds the part of the log where a page goes on.
func (l *Log) source(r *pageReader) (source, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return source{}, ErrClosed
	}
	s, err := l.usable(r.shard)
	if err != nil {
		return source{}, err
	}
	if i := s.find(r.page.Next, r.since); i < len(s.sealed) {
		e := &s.sealed[i]
		src := source{seg: e.seg, stored: e.stored}
		if all := s.rebuilt[e.seg]; all != nil {
			src.blocks = r.wanted(all)
		}
		return src, nil
	}
	if e := &s.active; e.seg != nil && e.last >= r.page.Next && e.lastArrival >= r.since {
		return source{seg: e.seg, blocks: slices.Clone(r.wanted(e.blocks))}, nil // they change when the lock is free
	}
	return source{tip: s.tip, end: s.ended()}, nil
}

// ended reports whether nothing will be added to the shard any more. mu is held.
func (s *shard) ended() bool { return s.closed && s.tip == s.next }

// readSource adds what src has to the page.
func (l *Log) readSource(r *pageReader, src source) error {
	file, err := l.files.get(src.seg)
	switch {
	case errors.Is(err, fs.ErrNotExist) && src.seg.gone.Load():
		return nil // trimmed in the meantime: look again
	case errors.Is(err, fs.ErrNotExist):
		return l.damaged(&DamageError{Segment: src.seg.name, AllShards: true, Reason: "the file is missing"})
	case err != nil:
		return fmt.Errorf("open segment: %w", err)
	}
	err = l.readBlocksOf(r, src, file)
	if errors.Is(err, errShort) {
		err = &DamageError{Segment: src.seg.name, Shard: r.shard, Reason: err.Error()}
	}
	if d, ok := errors.AsType[*DamageError](err); ok {
		err = l.damaged(d)
	}
	return errors.Join(err, l.files.put(file))
}

// damaged notes damage that a read came upon.
func (l *Log) damaged(d *DamageError) error {
	l.poison(d)
	return d
}

func (l *Log) readBlocksOf(r *pageReader, src source, file *handle) error {
	blocks := src.blocks
	if blocks == nil {
		all, err := l.index(src, r.shard, file)
		if err != nil {
			return err
		}
		blocks = r.wanted(all)
	}
	if err := r.ask(blocks); err != nil {
		r.full = len(r.page.Records) > 0
		if r.full {
			return nil
		}
		return err
	}
	before := r.page.Next
	after := 0
	for _, b := range blocks {
		after += int(b.length)
	}
	for _, b := range blocks {
		after -= int(b.length)
		buf := r.page.memory.take(int(b.length), after)
		if err := readFull(file, buf, int64(b.offset)); err != nil {
			return err
		}
		had := len(r.page.Records)
		if d := r.addBlock(buf, src.seg.header.salt); d != nil {
			d.Segment, d.Offset = src.seg.name, d.Offset+int64(b.offset)
			return d
		}
		r.page.memory.settle(r.page.Records[had:], buf)
		if r.full {
			return nil
		}
	}
	if r.page.Next == before {
		return &DamageError{Segment: src.seg.name, Shard: r.shard, Reason: "the index names records that are not there"}
	}
	return nil
}

// index returns the block index of what a sealed segment holds of a shard. When
// the one in the footer is damaged it is made anew from the batches.
func (l *Log) index(src source, shard uint32, file *handle) ([]block, error) {
	if blocks := l.cache.get(src.seg, shard); blocks != nil {
		return blocks, nil
	}
	blocks, err := readBlocks(file, src.seg, src.stored)
	if errors.Is(err, errBadFooter) {
		blocks, err = l.rebuildIndex(src.seg, shard, file)
	}
	if err != nil {
		return nil, err
	}
	l.cache.put(src.seg, shard, blocks)
	return blocks, nil
}

func (l *Log) rebuildIndex(seg *segment, shard uint32, file *handle) ([]block, error) {
	l.mu.Lock()
	size, last := seg.size, seg.last
	l.mu.Unlock()
	found, err := scanSegment(file, seg, size, last)
	if err != nil {
		return nil, err
	}
	for _, d := range found.damage {
		if d.AllShards || d.Shard == shard {
			return nil, d
		}
	}
	if e := found.parts[shard]; e != nil {
		return e.blocks, nil
	}
	return nil, &DamageError{Segment: seg.name, Shard: shard, Reason: "the footer names records that are not there"}
}

// pageReader collects one page.
type pageReader struct {
	room                 func(Need) error // nil: there always is
	shard                uint32
	from                 uint64
	since                int64
	maxRecords, maxBytes int

	page  Page
	bytes int // of keys and data
	data  int // of data
	full  bool
}

// wanted returns the blocks to read next, of one extent: enough to fill the
// page, or all there are. At least two, because the first may end before the
// record that is asked for.
func (r *pageReader) wanted(blocks []block) []block {
	i := search(blocks, r.page.Next, r.since)
	room := r.maxBytes - r.bytes
	n := 0
	for i+n < len(blocks) && (n < 2 || n <= r.maxRecords-len(r.page.Records) && room >= 0) {
		room -= int(blocks[i+n].length)
		n++
	}
	return blocks[i : i+n]
}

// addBlock adds the records of a block to the page. The offset of damage is in
// buf.
func (r *pageReader) addBlock(buf []byte, salt uint64) *DamageError {
	seed := seedOf(salt)
	for at := 0; at < len(buf); {
		h, ok := parseFrameHeader(buf[at:], seed)
		if !ok || uint64(h.length) > uint64(len(buf)-at-frameHeaderSize) {
			// Blocks may span batches.
			if _, ok := parseBatchHeader(buf[at:], salt); ok {
				at += batchHeaderSize
				continue
			}
			return &DamageError{Offset: int64(at), AllShards: true, Reason: "frame header fails its checksum"}
		}
		payload := buf[at+frameHeaderSize:][:h.length]
		if h.shard == r.shard && h.last() >= r.page.Next {
			if d := r.addFrame(h, payload, seed); d != nil {
				d.Offset += int64(at)
				return d
			}
			if r.full {
				return nil
			}
		}
		at += frameHeaderSize + int(h.length)
	}
	return nil
}

// addFrame adds the records of a frame to the page.
func (r *pageReader) addFrame(h frameHeader, payload []byte, seed uint32) *DamageError {
	if h.lastArrival() < r.since {
		r.page.Next = h.last() + 1
		return nil
	}
	if checksum(seed, payload) != h.payloadCRC {
		return &DamageError{Shard: h.shard, Reason: "frame fails its checksum"}
	}
	room := r.maxRecords - len(r.page.Records)
	r.page.Records = slices.Grow(r.page.Records, min(int(h.count), room))
	for records := newFrameReader(h, payload); records.more(); {
		rec, err := records.next()
		if err != nil {
			return &DamageError{Shard: h.shard, Reason: err.Error()}
		}
		if rec.Seq < r.page.Next || rec.Arrival < r.since {
			continue
		}
		if len(r.page.Records) > 0 && r.bytes+rec.size() > r.maxBytes {
			r.page.Next, r.full = rec.Seq, true
			return nil
		}
		r.page.Records = append(r.page.Records, rec)
		r.bytes += rec.size()
		r.data += len(rec.Data)
		if len(r.page.Records) == r.maxRecords {
			r.page.Next, r.full = rec.Seq+1, true
			return nil
		}
	}
	r.page.Next = h.last() + 1
	return nil
}
