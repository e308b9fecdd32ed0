package wal

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/shardrun/shardrun/internal/vfs"
)

// Mark is the place of a record in its shard.
type Mark struct {
	Seq     uint64
	Arrival int64 // milliseconds since 1970
}

// Part is what one segment holds of one shard.
type Part struct {
	Shard       uint32
	Records     uint64
	Bytes       int64 // of the frames of the shard
	First, Last Mark
}

// SegmentInspection is what one segment of a log holds.
type SegmentInspection struct {
	// Name is the path of the file, and Bytes its length.
	Name  string
	Bytes int64
	// Sealed says that the segment is not the last one of the log.
	Sealed bool
	// Parts is what is intact, by rising number of the shard.
	Parts []Part
	// TornBytes is what the next opening of the log cuts off the end: a batch
	// that was never finished.
	TornBytes int64
	// Damage is what is wrong with data that had been synced.
	Damage []*DamageError
	// Index says what is wrong with the index at the end of a sealed segment,
	// "" if nothing is. It is made anew when it is needed, so no record is lost
	// with it.
	Index string

	salvage *salvage // nil unless something is damaged
}

// Inspection is what a log holds.
type Inspection struct {
	// Segments are the files that are there, oldest first.
	Segments []SegmentInspection
	// Missing are the batches that no file holds.
	Missing []*DamageError
	// Begins is the number of the first batch that is there, 0 if there is no
	// segment. It is 1 until the log is trimmed.
	Begins uint64
	// Ended says that the last segment has the index of a sealed one, and no
	// successor: the log was stopped in the moment of making that, or it is gone.
	Ended bool

	fs    vfs.FS
	dir   string
	holes []hole
}

// hole is where segments are missing: the batches from first to last.
type hole struct{ first, last uint64 }

// Damaged reports whether anything is wrong with the log, if only with an index.
// A torn end is not damage.
func (i *Inspection) Damaged() bool {
	return len(i.Missing) > 0 || slices.ContainsFunc(i.Segments, func(s SegmentInspection) bool { return s.damaged() })
}

func (s *SegmentInspection) damaged() bool { return len(s.Damage) > 0 || s.Index != "" }

// Inspect reads the whole log in a directory, which nobody has open, and changes
// nothing. A log that exists, as in [Config], has segments. The error is one of
// the file system, or a [*VersionError]; damage is part of the result.
func Inspect(fsys vfs.FS, dir string, exists bool) (*Inspection, error) {
	out := &Inspection{fs: fsys, dir: dir}
	names, _, err := listFiles(fsys, dir)
	if exists && errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("inspect log %s: %w", dir, err)
	}
	if exists && len(names) == 0 {
		out.Missing = append(out.Missing, allMissing(dir))
		out.holes = append(out.holes, hole{1, 1}) // at least
	}
	for i, name := range names {
		var next uint64 // first batch of the segment after
		if i+1 < len(names) {
			next, _ = segmentFirst(names[i+1])
		}
		if err := out.inspect(path.Join(dir, name), next); err != nil {
			return nil, fmt.Errorf("inspect log %s: %w", dir, err)
		}
	}
	return out, nil
}

// inspect adds one segment to the result.
func (i *Inspection) inspect(name string, next uint64) (err error) {
	f, err := i.fs.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	s := segmentInspector{file: f, next: next, out: SegmentInspection{Name: name, Sealed: next != 0}}
	if s.out.Bytes, err = f.Size(); err != nil {
		return err
	}
	if err := s.run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	i.Segments = append(i.Segments, s.out)
	if len(i.Segments) == 1 {
		i.Begins, _ = segmentFirst(path.Base(name))
	}
	i.Ended = next == 0 && s.last != 0
	if next != 0 && s.last < next-1 {
		i.holes = append(i.holes, hole{s.last + 1, next - 1})
		i.Missing = append(i.Missing, &DamageError{Segment: path.Join(i.dir, segmentName(s.last+1)), AllShards: true,
			Reason: fmt.Sprintf("batches %d to %d are missing", s.last+1, next-1)})
	}
	return nil
}

// segmentInspector reads one segment.
type segmentInspector struct {
	file vfs.File
	next uint64 // first batch of the segment after, 0 for the last
	last uint64 // number of the last batch, 0 if the segment is not sealed
	out  SegmentInspection
}

func (s *segmentInspector) run() error {
	header, damage, err := readHeader(s.file, s.out.Name, s.out.Bytes)
	if err != nil {
		return err
	}
	if damage != nil {
		first, _ := segmentFirst(path.Base(s.out.Name))
		if header.first != 0 && header.first != first {
			return fmt.Errorf("the file is named as if it began with batch %d, and begins with %d: give it the name %s",
				first, header.first, segmentName(header.first))
		}
		s.out.Damage = append(s.out.Damage, damage)
		s.last = max(s.next, 1) - 1
		if header, err = s.guessHeader(first); err != nil {
			return err
		}
	}
	seg := &segment{name: s.out.Name, header: header, size: s.out.Bytes}
	parts, err := s.readIndex(seg)
	if err != nil {
		return err
	}
	if s.next != 0 && s.last > s.next-1 {
		return fmt.Errorf("the segment holds batches up to %d, and the next one begins with %d: one of the two does not belong here",
			s.last, s.next)
	}
	if damage == nil {
		sc := newSegmentScanner(s.file, seg, s.out.Bytes, s.last)
		sc.out.bytes = map[uint32]int64{}
		found, err := sc.scan()
		if err != nil {
			return err
		}
		s.out.Damage = found.damage
		s.checkIndex(parts, found)
		if !s.out.damaged() {
			s.takeScanned(found)
			return nil
		}
	}
	return s.takeSalvage(seg)
}

// guessHeader finds out what a header that is damaged said: the batch after it
// has the same salt. If that is not right either the salt is 0, and nothing of
// the segment will be found.
func (s *segmentInspector) guessHeader(first uint64) (segmentHeader, error) {
	h := segmentHeader{first: first}
	if s.out.Bytes < segmentHeaderSize+batchHeaderSize {
		return h, nil
	}
	b := make([]byte, batchHeaderSize)
	if err := readFull(s.file, b, segmentHeaderSize); err != nil {
		return h, err
	}
	salt := le.Uint64(b[4:])
	if got, ok := parseBatchHeader(b, salt); ok && got.number == first {
		h.salt = salt
	}
	return h, nil
}

// readIndex reads the footer, sets last, and notes what is wrong with it. The
// parts are nil if it cannot be used.
func (s *segmentInspector) readIndex(seg *segment) ([]part, error) {
	tr, sealed, err := readTrailer(s.file, s.out.Bytes, seg.header.salt)
	switch {
	case err != nil:
		return nil, err
	case sealed:
		s.last = tr.last
	case s.next != 0:
		s.last = s.next - 1
		s.out.Index = "the index at the end is missing"
		return nil, nil
	default:
		return nil, nil
	}
	var parts []part
	_, err = readDirectory(s.file, seg, tr, nil, func(p part) { parts = append(parts, p) })
	for k := 0; k < len(parts) && err == nil; k++ {
		parts[k].blocks, err = readBlocks(s.file, seg, parts[k].stored)
	}
	if errors.Is(err, errBadFooter) {
		s.out.Index = err.Error()
		return nil, nil
	}
	return parts, err
}

// checkIndex compares what the footer says with what is there.
func (s *segmentInspector) checkIndex(parts []part, found scanned) {
	if s.out.Index != "" || s.last == 0 || len(found.damage) > 0 {
		return
	}
	same := len(parts) == len(found.parts)
	for _, p := range parts {
		e := found.parts[p.shard]
		same = same && e != nil && e.records == p.records && e.first == p.first && e.last == p.last && slices.Equal(e.blocks, p.blocks)
	}
	if !same {
		s.out.Index = "the index at the end does not name what is there"
	}
}

func (s *segmentInspector) takeScanned(found scanned) {
	for _, id := range slices.Sorted(maps.Keys(found.parts)) {
		e := found.parts[id]
		s.out.Parts = append(s.out.Parts, Part{Shard: id, Records: e.records, Bytes: found.bytes[id],
			First: Mark{e.first, e.firstArrival}, Last: Mark{e.last, e.lastArrival}})
	}
	if s.last == 0 {
		s.out.TornBytes = s.out.Bytes - found.end
	}
}

func (s *segmentInspector) takeSalvage(seg *segment) error {
	found, err := salvageSegment(s.file, seg, s.out.Bytes, s.last)
	if err != nil {
		return err
	}
	s.out.salvage, s.out.TornBytes = found, found.torn
	parts := map[uint32]*Part{}
	for _, b := range found.batches {
		for _, f := range b.frames {
			p := parts[f.shard]
			if p == nil {
				p = &Part{Shard: f.shard, First: Mark{f.seq, f.arrival}}
				parts[f.shard] = p
			}
			p.Records += uint64(f.count)
			p.Bytes += f.size()
			p.Last = Mark{f.last(), f.lastArrival()}
		}
	}
	for _, p := range parts {
		s.out.Parts = append(s.out.Parts, *p)
	}
	slices.SortFunc(s.out.Parts, func(a, b Part) int { return cmp.Compare(a.Shard, b.Shard) })
	return nil
}
