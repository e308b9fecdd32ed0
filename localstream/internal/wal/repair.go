package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/shardrun/shardrun/internal/vfs"
)

// Loss is a range of records of one shard that damage has taken.
type Loss struct {
	Shard uint32
	// Exact says that the records from First to Last are lost, Records of them.
	// Otherwise it is records between the two that may be lost, if there were
	// any; the two themselves are there. A zero Mark then means that the log has
	// no record on that side.
	Exact       bool
	First, Last Mark
	Records     uint64
}

// SegmentRepair is what a repair does to one segment.
type SegmentRepair struct {
	// Name is the path of the file.
	Name string
	// Kept is how many records the new file has.
	Kept uint64
	// Saved is the path of the file with the original bytes, "" when there were
	// none: the segment was missing.
	Saved string
}

// Repair is a plan to make a damaged log whole: damaged segments are replaced by
// ones with all that is intact in them, and missing ones by ones without records.
// What is intact keeps its bytes and its numbers; segments without damage are
// not touched.
type Repair struct {
	// Segments are those that are replaced or made, oldest first.
	Segments []SegmentRepair
	// Losses are in the order of the log.
	Losses []Loss

	inspection *Inspection
	steps      []repairStep // one for each of Segments
}

// repairStep makes one segment.
type repairStep struct {
	salvage *salvage
	source  string // the file with the frames, "" for none
	first   uint64
}

// maxStandIn is how many batches one segment without records stands for.
const maxStandIn = 1 << 20

// PlanRepair says how to repair the log that was inspected. Shards are all that
// the log may have held records of, besides those that it still names.
func PlanRepair(in *Inspection, shards []uint32) (*Repair, error) {
	r := &Repair{inspection: in}
	var seen []sighting
	holes := in.holes
	for i := range in.Segments {
		s := &in.Segments[i]
		first, _ := segmentFirst(path.Base(s.Name))
		for ; len(holes) > 0 && holes[0].first < first; holes = holes[1:] {
			seen = r.standIn(holes[0], seen)
		}
		if s.salvage == nil {
			for _, p := range s.Parts {
				seen = append(seen, sighting{shard: p.Shard, first: p.First, last: p.Last, records: p.Records})
			}
			continue
		}
		seen = append(seen, s.salvage.seen...)
		saved, err := freeName(in.fs, s.Name+savedSuffix)
		if err != nil {
			return nil, fmt.Errorf("plan the repair of log %s: %w", in.dir, err)
		}
		kept := uint64(0)
		for _, p := range s.Parts {
			kept += p.Records
		}
		r.Segments = append(r.Segments, SegmentRepair{Name: s.Name, Kept: kept, Saved: saved})
		r.steps = append(r.steps, repairStep{salvage: s.salvage, source: s.Name, first: first})
	}
	for _, h := range holes { // of a log of which nothing is there
		seen = r.standIn(h, seen)
	}
	r.Losses = losses(seen, shards)
	return r, nil
}

// standIn fills a hole with segments of empty batches. Nothing is seen there.
func (r *Repair) standIn(h hole, seen []sighting) []sighting {
	for first := h.first; first <= h.last; first += maxStandIn {
		header := segmentHeader{salt: newSalt(), first: first}
		r.Segments = append(r.Segments, SegmentRepair{Name: path.Join(r.inspection.dir, segmentName(first))})
		r.steps = append(r.steps, repairStep{salvage: &salvage{header: header, last: min(h.last, first+maxStandIn-1)}, first: first})
	}
	return append(seen, sighting{unknown: true})
}

// savedSuffix is that of the files with the original bytes. It makes a name that
// is not one of a segment.
const savedSuffix = ".damaged"

// freeName is name, or name with a number, so that there is no such file.
func freeName(fsys vfs.FS, name string) (string, error) {
	free := name
	for n := 2; ; n++ {
		switch _, err := fsys.Stat(free); {
		case errors.Is(err, fs.ErrNotExist):
			return free, nil
		case err != nil:
			return "", err
		}
		free = fmt.Sprintf("%s.%d", name, n)
	}
}

// losses tells what is lost, from what is there in the order of the log. Where
// nothing is known a shard may have lost what is between its records before and
// after.
func losses(seen []sighting, shards []uint32) []Loss {
	after := map[uint32][]sighting{} // of each shard, those that are still to come
	for _, id := range shards {
		after[id] = nil
	}
	for _, s := range seen {
		if !s.unknown {
			after[s.shard] = append(after[s.shard], s)
		}
	}
	ids := slices.Sorted(maps.Keys(after))
	before := map[uint32]Mark{}
	var out []Loss
	for _, s := range seen {
		if !s.unknown {
			after[s.shard] = after[s.shard][1:]
			before[s.shard] = s.last
			if s.lost {
				out = append(out, Loss{Shard: s.shard, Exact: true, First: s.first, Last: s.last, Records: s.records})
			}
			continue
		}
		for _, id := range ids {
			l := Loss{Shard: id, First: before[id]}
			if rest := after[id]; len(rest) > 0 {
				l.Last = rest[0].first
			}
			none := l.First != Mark{} && l.Last.Seq == l.First.Seq+1
			if !none && !slices.Contains(out, l) {
				out = append(out, l)
			}
		}
	}
	return out
}

// Apply carries the plan out. Each segment is replaced in one step, after its
// original bytes were copied, durably. A failure or a crash on the way leaves a
// log that can be inspected and repaired anew.
func (r *Repair) Apply() error {
	if len(r.steps) > 0 {
		if err := vfs.MkdirAll(r.inspection.fs, r.inspection.dir); err != nil {
			return err
		}
	}
	for i := range r.steps {
		if err := r.apply(&r.steps[i], r.Segments[i].Name, r.Segments[i].Saved); err != nil {
			return fmt.Errorf("repair %s: %w", r.Segments[i].Name, err)
		}
	}
	// A repair before this one may have been stopped when all looked well, and
	// not all was durable.
	return syncDir(r.inspection.fs, r.inspection.dir, Sync)
}

func (r *Repair) apply(step *repairStep, name, saved string) (err error) {
	in := r.inspection
	var source vfs.File
	if step.source != "" {
		if source, err = in.fs.Open(step.source); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, source.Close()) }()
		if err := copyFile(in.fs, source, saved); err != nil {
			return fmt.Errorf("save the original bytes: %w", err)
		}
	}
	n, err := prepareFile(in.fs, in.dir, path.Base(name), step.salvage.header.append(nil), Sync)
	if err != nil {
		return err
	}
	w := rebuilder{salvage: step.salvage, out: &buffered{file: n.file, buf: make([]byte, 0, writeBufferBytes)}, source: source, at: segmentHeaderSize}
	if err = w.run(step.first); err == nil {
		err = n.file.Sync()
	}
	if err != nil {
		return errors.Join(err, n.discard())
	}
	if err := n.publish(); err != nil {
		return err
	}
	return n.file.Close()
}

// copyFile makes a durable copy of a file.
func copyFile(fsys vfs.FS, from vfs.File, to string) error {
	n, err := prepareFile(fsys, path.Dir(to), path.Base(to), nil, Sync)
	if err != nil {
		return err
	}
	size, err := from.Size()
	b := make([]byte, min(size, windowBytes))
	for at := int64(0); err == nil && at < size; at += int64(len(b)) {
		b = b[:min(int64(len(b)), size-at)]
		if err = readFull(from, b, at); err == nil {
			_, err = n.file.Write(b)
		}
	}
	if err == nil {
		err = n.file.Sync()
	}
	if err != nil {
		return errors.Join(err, n.discard())
	}
	if err := n.publish(); err != nil {
		return err
	}
	return n.file.Close()
}

// rebuilder writes a sealed segment of the frames that were salvaged.
type rebuilder struct {
	*salvage
	out    *buffered
	source vfs.File
	at     int64 // where the next byte goes
	parts  map[uint32]*extent
}

// run writes all batches, those that are gone without frames, and the footer.
func (w *rebuilder) run(first uint64) error {
	w.parts = map[uint32]*extent{}
	batches := w.batches
	for number := first; number <= w.last; number++ {
		var frames []frame
		if len(batches) > 0 && batches[0].number == number {
			frames, batches = batches[0].frames, batches[1:]
		}
		if err := w.batch(number, frames); err != nil {
			return err
		}
	}
	parts := make([]part, 0, len(w.parts))
	for _, id := range slices.Sorted(maps.Keys(w.parts)) {
		parts = append(parts, part{id, *w.parts[id]})
	}
	w.out.write(appendFooter(nil, w.at, w.header.salt, parts, w.last))
	w.out.flush()
	return w.out.err
}

// batch writes one batch. All before it is synced before anybody sees the file,
// so that is what its header says.
func (w *rebuilder) batch(number uint64, frames []frame) error {
	h := batchHeader{number: number, synced: uint64(w.at), frames: uint32(len(frames))}
	for i := range frames {
		h.length += uint32(frames[i].size())
	}
	w.out.write(h.append(nil, w.header.salt))
	w.at += batchHeaderSize
	for i := range frames {
		f := &frames[i]
		b := make([]byte, f.size())
		if err := readFull(w.source, b, f.offset); err != nil {
			return err
		}
		seed := seedOf(w.header.salt)
		if h, ok := parseFrameHeader(b, seed); !ok || h != f.frameHeader || checksum(seed, b[frameHeaderSize:]) != h.payloadCRC {
			return fmt.Errorf("the frame at offset %d is not what it was a moment ago", f.offset)
		}
		w.out.write(b)
		e := w.parts[f.shard]
		if e == nil {
			e = &extent{}
			w.parts[f.shard] = e
		}
		e.add(f.frameHeader, w.at)
		w.at += f.size()
	}
	return w.out.err
}
