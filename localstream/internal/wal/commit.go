package wal

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// writeBufferBytes is how much is given to the file system at once. It is small
// enough to still be in the processor's cache.
const writeBufferBytes = 256 << 10

// writer is the state of the leader.
type writer struct {
	seg    *segment
	file   *handle
	offset int64  // end of the last batch in the active segment
	number uint64 // of the next batch
	proven bool   // no batch was written since it was last noted that all is synced

	group   []*call
	touched []*shard // with records in the running commit
	frames  []frame
}

// commit writes the records of a group as one batch, and makes it as durable as
// configured. The caller leads.
func (l *Log) commit(group []*call) error {
	w := &l.w
	length := w.arrange(group)
	closing := slices.ContainsFunc(group, func(c *call) bool { return c.close })
	full := w.offset > segmentHeaderSize && w.offset+batchHeaderSize+length > l.cfg.SegmentBytes
	asked := w.offset > segmentHeaderSize && slices.ContainsFunc(group, func(c *call) bool { return c.roll })
	if full && length > 0 || asked {
		if err := l.roll(); err != nil {
			return err
		}
	}
	if length > 0 {
		if err := l.writeBatch(length); err != nil {
			return err
		}
	}
	if closing {
		return l.writeProof()
	}
	return nil
}

// arrange sorts the records of a group by shard, cuts them into frames, and
// returns the length of those.
func (w *writer) arrange(group []*call) (length int64) {
	w.touched, w.frames = w.touched[:0], w.frames[:0]
	for _, c := range group {
		for i, s := range c.shards {
			if len(s.batch) == 0 {
				w.touched = append(w.touched, s)
			}
			s.batch = append(s.batch, &c.recs[i])
		}
	}
	for _, s := range w.touched {
		w.frames = appendFrames(w.frames, s, s.batch)
	}
	for i := range w.frames {
		length += w.frames[i].size()
	}
	return length
}

// release forgets the records of the last commit, which belong to its callers.
func (w *writer) release() {
	for _, s := range w.touched {
		clear(s.batch)
		s.batch = s.batch[:0]
	}
	clear(w.touched)
	clear(w.frames)
	w.touched, w.frames = w.touched[:0], w.frames[:0]
}

// writeBatch writes the frames at the end of the active segment.
func (l *Log) writeBatch(length int64) error {
	w := &l.w
	l.mu.Lock()
	synced := l.synced
	l.mu.Unlock()

	salt := w.seg.header.salt
	seed := seedOf(salt)
	out := l.newBuffered(w.file, batchHeaderSize+length)
	out.buf = batchHeader{number: w.number, synced: uint64(synced), length: uint32(length), frames: uint32(len(w.frames))}.append(out.buf, salt)
	at := w.offset + batchHeaderSize
	for i := range w.frames {
		f := &w.frames[i]
		f.offset = at
		at += f.size()
		out.reserve(frameHeaderSize + int(f.metaLen+f.textLen))
		out.buf = f.appendHead(out.buf, seed)
		for _, r := range f.recs {
			out.write(r.Data)
		}
	}
	out.flush()
	err := out.err
	l.freeBuffered(out)
	if err != nil {
		return l.takeBack(fmt.Errorf("write %s: %w", w.seg.name, err))
	}
	if l.cfg.Durability == Sync {
		if err := w.file.Sync(); err != nil {
			// The operating system may go on showing bytes that are not on the
			// disk, and the next opening had better not find them.
			_ = w.file.Truncate(w.offset)
			return fmt.Errorf("sync %s: %w", w.seg.name, err)
		}
	}
	w.offset = at
	w.number++
	w.proven = false
	if l.flusher != nil {
		l.flusher.wake()
	}
	return nil
}

// publish shows the committed batch to readers. mu is held, the caller leads.
func (l *Log) publish() {
	w := &l.w
	if w.seg == nil {
		return // opened damaged: nothing is ever written
	}
	for i := range w.frames {
		f := &w.frames[i]
		s := f.owner
		s.add(w.seg, f.frameHeader, f.offset)
		w.seg.arrival = max(w.seg.arrival, f.lastArrival())
	}
	for _, s := range w.touched {
		s.wake()
	}
	l.size += w.offset - w.seg.size
	w.seg.size = w.offset
	if l.cfg.Durability != Async {
		l.synced = w.offset
	}
	w.release()
}

// takeBack cuts off what a write that failed may have left. If that works the
// log is as it was before, and can go on.
func (l *Log) takeBack(err error) error {
	if e := l.w.file.Truncate(l.w.offset); e != nil {
		return errors.Join(err, e)
	}
	return &notWrittenError{err}
}

// skip goes on without the records of a commit that left nothing in the log.
// Their numbers are not given out again, because those after them may be
// already. mu is held, the caller leads.
func (l *Log) skip() {
	for _, s := range l.w.touched {
		s.tip = s.batch[len(s.batch)-1].Seq + 1
	}
	l.w.release()
}

// writeProof ends the log with an empty batch that says that all before it was
// synced, so that damage to the last records cannot pass for a torn tail.
func (l *Log) writeProof() error {
	w := &l.w
	if w.file == nil || w.proven {
		return nil
	}
	if err := syncFile(w.file, l.cfg.Durability); err != nil {
		return fmt.Errorf("sync %s: %w", w.seg.name, err)
	}
	b := batchHeader{number: w.number, synced: uint64(w.offset)}.append(nil, w.seg.header.salt)
	if _, err := w.file.Write(b); err != nil {
		return fmt.Errorf("write %s: %w", w.seg.name, err)
	}
	if err := syncFile(w.file, l.cfg.Durability); err != nil {
		return fmt.Errorf("sync %s: %w", w.seg.name, err)
	}
	w.offset += int64(len(b))
	w.number++
	w.proven = true
	return nil
}

// roll seals the active segment and begins the next. Each step is durable before
// the next begins: a footer that is whole proves that the batches before it are,
// and a segment that has a successor is whole with its footer. What needs space
// comes first, so that a full disk changes nothing.
func (l *Log) roll() error {
	w := &l.w
	next, err := l.prepareSegment(w.number)
	if err != nil {
		return &notWrittenError{err}
	}
	parts, footer, err := l.sealActive()
	if err != nil {
		return errors.Join(err, next.discard())
	}
	if err := next.publish(); err != nil {
		return err
	}

	l.mu.Lock()
	for _, p := range parts {
		l.shards[p.shard].seal(p.stored)
	}
	w.seg.last = w.number - 1
	l.size += w.offset + footer - w.seg.size + segmentHeaderSize
	w.seg.size = w.offset + footer
	l.activate(next.seg)
	l.mu.Unlock()

	old := w.file
	w.seg, w.file, w.offset = next.seg, l.files.add(next.seg, next.file), segmentHeaderSize
	if err := l.files.put(old); err != nil {
		return fmt.Errorf("close a segment: %w", err)
	}
	return nil
}

// sealActive ends the active segment with a footer, durably. It returns what the
// segment holds, and the length of the footer.
func (l *Log) sealActive() (parts []part, length int64, err error) {
	w := &l.w
	if l.cfg.Durability == Async { // with Sync each batch was
		if err := w.file.Sync(); err != nil {
			return nil, 0, fmt.Errorf("sync %s: %w", w.seg.name, err)
		}
	}
	parts = l.activeParts()
	footer := appendFooter(nil, w.offset, w.seg.header.salt, parts, w.number-1)
	if _, err := w.file.Write(footer); err != nil {
		return nil, 0, l.takeBack(fmt.Errorf("write %s: %w", w.seg.name, err))
	}
	if err := syncFile(w.file, l.cfg.Durability); err != nil {
		return nil, 0, fmt.Errorf("sync %s: %w", w.seg.name, err)
	}
	return parts, int64(len(footer)), nil
}

// activate makes seg, which is empty, the active segment. mu is held.
func (l *Log) activate(seg *segment) {
	l.segs = append(l.segs, seg)
	l.synced = segmentHeaderSize
}

// activeParts is what the active segment holds of each shard, in their order.
func (l *Log) activeParts() []part {
	l.mu.Lock()
	defer l.mu.Unlock()
	var parts []part
	for id, s := range l.shards {
		if s.active.seg == l.w.seg {
			parts = append(parts, part{id, s.active})
		}
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.shard, b.shard) })
	return parts
}

// newSegment is a segment without a name yet.
type newSegment struct {
	*newFile
	seg *segment
}

// prepareSegment makes the segment whose first batch has this number.
func (l *Log) prepareSegment(first uint64) (newSegment, error) {
	h := segmentHeader{salt: newSalt(), first: first}
	name := segmentName(first)
	f, err := prepareFile(l.cfg.FS, l.cfg.Dir, name, h.append(nil), l.cfg.Durability)
	if err != nil {
		return newSegment{}, fmt.Errorf("begin a segment: %w", err)
	}
	return newSegment{f, &segment{name: l.path(name), header: h, size: segmentHeaderSize}}, nil
}
