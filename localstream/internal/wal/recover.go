package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/internal/vfs"
)

// Recovery is what opening a log found.
type Recovery struct {
	// Segments is how many there were, and Scanned how many of them were read
	// in full: the last one, and those without a good footer.
	Segments, Scanned int
	// Records is how many records there are, with those of damaged frames.
	Records uint64
	// TornBytes is what was cut off the end: a batch that was being written
	// when the process or the machine stopped.
	TornBytes int64
	// Damage is what is wrong with data that had been synced.
	Damage []*DamageError
	// Took is the time it took.
	Took time.Duration
}

// recover reads what is in the directory and makes the log ready to be written,
// unless damage may concern all shards: then nothing is changed.
func (l *Log) recover() error {
	start := time.Now()
	if !l.cfg.Exists {
		if err := vfs.MkdirAll(l.cfg.FS, l.cfg.Dir); err != nil {
			return err
		}
	}
	names, temps, err := listFiles(l.cfg.FS, l.cfg.Dir)
	if l.cfg.Exists && errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return err
	}
	if l.cfg.Exists && len(names) == 0 {
		l.recovery.Damage = append(l.recovery.Damage, allMissing(l.cfg.Dir))
	}
	t := tail{next: 1}
	l.recovery.Segments = len(names)
	var buf []byte
	for i, name := range names {
		var next uint64 // first batch of the segment after
		if i+1 < len(names) {
			next, _ = segmentFirst(names[i+1])
		}
		if t, err = l.load(name, next, &buf); err != nil {
			return err
		}
	}
	for _, s := range l.shards { // most of these will not grow for long
		s.sealed = slices.Clip(slices.Clone(s.sealed))
	}
	l.takeDamage()
	if l.damage == nil {
		err = l.makeReady(t, temps)
	} else if t.file != nil {
		err = t.file.Close()
	}
	l.recovery.Took = time.Since(start)
	l.report()
	return err
}

// allMissing is the damage of a log of which nothing is there.
func allMissing(dir string) *DamageError {
	return &DamageError{Segment: path.Join(dir, segmentName(1)), AllShards: true, Reason: "all segments of the log are missing"}
}

// listFiles returns the names of the segments in dir in order, and of the files
// that were being made.
func listFiles(fsys vfs.FS, dir string) (segments, temps []string, err error) {
	entries, err := fsys.List(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("list segments: %w", err)
	}
	for _, e := range entries {
		if _, ok := segmentFirst(e.Name); ok {
			segments = append(segments, e.Name)
		} else if strings.HasSuffix(e.Name, segmentSuffix+newSuffix) {
			temps = append(temps, e.Name)
		}
	}
	slices.Sort(segments)
	return segments, temps, nil
}

// tail is where the log is to be continued.
type tail struct {
	next   uint64 // number of the next batch
	seg    *segment
	file   vfs.File // nil when the last segment is sealed
	end    int64    // of the last good batch
	synced int64    // all before was synced
	size   int64    // of the file
	proven bool
}

// load takes in one segment. Next is the first batch of the one after it, 0 for
// the last, which comes back as the tail. Buf is memory to be used again.
func (l *Log) load(name string, next uint64, buf *[]byte) (tail, error) {
	full := l.path(name)
	f, err := l.cfg.FS.Open(full)
	if err != nil {
		return tail{}, fmt.Errorf("open segment: %w", err)
	}
	t, err := l.loadFile(f, full, next, buf)
	if err == nil && t.file != nil {
		return t, nil
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return tail{}, fmt.Errorf("load %s: %w", full, err)
	}
	return t, nil
}

func (l *Log) loadFile(f vfs.File, name string, next uint64, buf *[]byte) (tail, error) {
	size, err := f.Size()
	if err != nil {
		return tail{}, err
	}
	header, d, err := readHeader(f, name, size)
	if err != nil {
		return tail{}, err
	}
	seg := &segment{name: name, header: header, size: size}
	l.segs = append(l.segs, seg)
	l.size += size
	if d != nil {
		l.recovery.Damage = append(l.recovery.Damage, d)
		return tail{}, nil
	}

	tr, sealed, err := readTrailer(f, size, header.salt)
	if err != nil {
		return tail{}, err
	}
	switch {
	case sealed:
		seg.last = tr.last
	case next != 0:
		seg.last = next - 1
	}
	if next != 0 && seg.last != next-1 {
		l.recovery.Damage = append(l.recovery.Damage, &DamageError{Segment: name, Offset: size, AllShards: true,
			Reason: fmt.Sprintf("batches %d to %d, which follow this segment, are missing", seg.last+1, next-1)})
	}
	if sealed && next == 0 {
		// Its successor proves that it was synced, and is to be made now.
		if err := syncFile(f, l.cfg.Durability); err != nil {
			return tail{}, fmt.Errorf("sync: %w", err)
		}
	}
	if sealed {
		var err error
		if *buf, err = readDirectory(f, seg, tr, *buf, func(p part) { l.takeSealed(&p) }); err == nil {
			return tail{next: tr.last + 1}, nil
		}
		if !errors.Is(err, errBadFooter) {
			return tail{}, err
		}
	}

	l.recovery.Scanned++
	found, err := scanSegment(f, seg, size, seg.last)
	if err != nil {
		return tail{}, err
	}
	l.takeScanned(seg, found)
	if seg.last != 0 {
		return tail{next: seg.last + 1}, nil
	}
	seg.size = found.end
	l.size += found.end - size
	l.recovery.TornBytes = size - found.end
	return tail{next: found.next, seg: seg, file: f, end: found.end, synced: found.synced, size: size, proven: found.proven}, nil
}

// readHeader reads the header of a segment. It was synced before the file got
// its name, so anything else is damage, but for a header of another version.
func readHeader(f vfs.File, name string, size int64) (segmentHeader, *DamageError, error) {
	b := make([]byte, min(segmentHeaderSize, size))
	if err := readFull(f, b, 0); err != nil {
		return segmentHeader{}, nil, err
	}
	h, err := parseSegmentHeader(b)
	first, _ := segmentFirst(path.Base(name))
	if v, ok := errors.AsType[*VersionError](err); ok {
		v.File = name
		return h, nil, v
	}
	switch {
	case err != nil:
		return h, &DamageError{Segment: name, AllShards: true, Reason: err.Error()}, nil
	case h.first != first:
		return h, &DamageError{Segment: name, AllShards: true, Reason: fmt.Sprintf("segment begins with batch %d", h.first)}, nil
	}
	return h, nil, nil
}

// takePart adds what a segment holds of one shard, but for the index.
func (l *Log) takePart(p *part) *shard {
	s := l.shard(p.shard)
	s.next, s.tip = p.last+1, p.last+1
	s.arrival, s.tipArrival = p.lastArrival, p.lastArrival
	p.seg.arrival = max(p.seg.arrival, p.lastArrival)
	l.recovery.Records += p.records
	return s
}

// takeSealed adds what a sealed segment holds of one shard.
func (l *Log) takeSealed(p *part) *shard {
	s := l.takePart(p)
	s.sealed = append(s.sealed, p.sealed())
	return s
}

// takeScanned adds what a scan found to the shards.
func (l *Log) takeScanned(seg *segment, found scanned) {
	l.recovery.Damage = append(l.recovery.Damage, found.damage...)
	for id, e := range found.parts {
		p := part{id, *e}
		if seg.last == 0 {
			l.takePart(&p).active = *e
			continue
		}
		s := l.takeSealed(&p)
		if s.rebuilt == nil {
			s.rebuilt = map[*segment][]block{}
		}
		s.rebuilt[seg] = e.blocks
	}
}

// takeDamage makes the shards that damage concerns refuse.
func (l *Log) takeDamage() {
	for _, d := range l.recovery.Damage {
		if !d.AllShards {
			s := l.shard(d.Shard)
			s.damage = append(s.damage, d)
		} else if l.damage == nil {
			l.damage = d
		}
	}
}

// makeReady cuts off what is torn, and opens the active segment. Until it is
// done the log is as it was, but for torn bytes and files that were being made.
func (l *Log) makeReady(t tail, temps []string) error {
	if t.file != nil {
		l.w = writer{seg: t.seg, file: l.files.add(t.seg, t.file), offset: t.end, number: t.next, proven: t.proven}
	}
	for _, name := range temps {
		if err := l.cfg.FS.Remove(l.path(name)); err != nil {
			return fmt.Errorf("remove what was left behind: %w", err)
		}
	}
	// What was found may be in the memory of the operating system only: the
	// names here, and the end of the last segment below.
	if err := l.syncDir(); err != nil {
		return err
	}
	if t.file == nil {
		next, err := l.prepareSegment(t.next)
		if err == nil {
			err = next.publish()
		}
		if err != nil {
			return err
		}
		seg, f := next.seg, next.file
		l.size += segmentHeaderSize
		l.activate(seg)
		l.w = writer{seg: seg, file: l.files.add(seg, f), offset: segmentHeaderSize, number: t.next, proven: true}
		return nil
	}
	if t.size > t.end {
		if err := t.file.Truncate(t.end); err != nil {
			return fmt.Errorf("cut the torn end of %s: %w", t.seg.name, err)
		}
	}
	if l.cfg.Durability != Memory {
		if err := makeDurable(l.cfg.FS, t.file, t.seg.name, t.synced, t.end); err != nil {
			return err
		}
	}
	l.synced = t.end
	return nil
}

// report logs what was found.
func (l *Log) report() {
	r, log := &l.recovery, l.cfg.Logger
	if r.TornBytes > 0 {
		log.Warn("cut off an unfinished batch at the end of the log", zap.Int64("bytes", r.TornBytes))
	}
	for _, d := range r.Damage {
		l.tellOf(d)
	}
	log.Debug("opened log", zap.Int("segments", r.Segments), zap.Int("scanned", r.Scanned),
		zap.Uint64("records", r.Records), zap.Duration("took", r.Took))
}
