package localstream

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// Where there is no room for more records, writes are throttled before the disk
// is full: reading, deleting and retention go on, and make room. What is used is
// measured now and then, and what was let in since is added.
const (
	measureEvery    = time.Second
	measureBytes    = 4 << 20 // let in since the last time
	recordOverhead  = 104     // what a record takes on the disk beside key and data, at most: alone in a batch
	defaultFreeMark = 64 << 20
	marginPart      = 64      // of a limit
	unknownFree     = 1 << 60 // more than any disk has
)

// gate keeps what is used at or below a limit. Once it was closed it opens when
// what is used is below the limit by a margin, so that it does not flutter.
type gate struct {
	limit  int64 // 0 for none
	margin int64
	closed bool
}

func newGate(limit int64) gate { return gate{limit: limit, margin: limit / marginPart} }

// admit reports whether n more bytes may be used, and whether the gate moved.
func (g *gate) admit(used, n int64) (ok, moved bool) {
	if g.limit == 0 {
		return true, false
	}
	was, limit := g.closed, g.limit
	if was {
		limit -= g.margin
	}
	g.closed = used+n > limit
	return !g.closed, g.closed != was
}

// lets reports whether n more bytes may be used, if the gate is open.
func (g *gate) lets(used, n int64) bool { return g.limit == 0 || !g.closed && used+n <= g.limit }

// space is the room for records on the disk.
type space struct {
	server  *Server
	minFree int64         // 0: any
	measure chan struct{} // holds a token while somebody measures; capacity 1 makes it a lock that may be held over I/O

	// mu guards everything below, and the fields of streams that say so. It is
	// never held over I/O.
	mu      sync.Mutex
	at      time.Time // of the last measurement
	used    int64     // by all logs, then
	free    int64     // on the disk, then, or unknownFree
	written int64     // since
	pending int64     // let in, and not written yet
	total   gate
	low     gate // of what is not free: a negative number
}

// newSpace gives the room for records as configured; nil if it is not limited.
func newSpace(s *Server) *space {
	d := &space{server: s, minFree: max(0, s.cfg.MinFreeBytes), measure: make(chan struct{}, 1), free: unknownFree, total: newGate(s.cfg.MaxBytes)}
	if _, err := s.fs.Free(); errors.Is(err, errors.ErrUnsupported) {
		d.minFree = 0
	}
	d.low = gate{limit: -d.minFree, margin: d.minFree / marginPart}
	if d.minFree == 0 && s.cfg.MaxBytes == 0 && s.cfg.MaxStreamBytes == 0 {
		return nil
	}
	return d
}

// admit lets a record in, which takes n bytes, or says why not. What was let in
// is given back to release.
func (d *space) admit(st *stream, shardID string, n int64) *apiError {
	if d == nil {
		return nil
	}
	d.refresh(time.Now())
	d.mu.Lock()
	why, seen := d.refusal(st, n)
	if why == "" {
		d.pending += n
		st.pending += n
	}
	d.mu.Unlock()
	d.tell(seen)
	if why != "" {
		return throttled("Rate exceeded for shard %s in stream %s under account %s: %s.", shardID, st.key.Name, st.key.Account, why)
	}
	return nil
}

// admitAll lets records in, which take n bytes together, if no gate has to move
// for them, and reports whether it has. One look is cheaper than one for each.
func (d *space) admitAll(st *stream, n int64) bool {
	if d == nil {
		return true
	}
	d.refresh(time.Now())
	d.mu.Lock()
	defer d.mu.Unlock()
	var size int64
	if st.quota.limit > 0 {
		size = st.log.Size()
	}
	coming := d.written + d.pending
	if !d.low.lets(coming-d.free, n) || !d.total.lets(d.used+coming, n) || !st.quota.lets(size+st.pending, n) {
		return false
	}
	d.pending += n
	st.pending += n
	return true
}

// move is a gate that opened or closed, for the log.
type move struct {
	what         string
	closed       bool
	shut, open   string // what it is when it is closed, and when it is open
	bytes, limit int64
}

// moves are gates that opened or closed.
type moves []move

// closed notes what a gate said of itself, and reports whether it is closed.
func (m *moves) closed(ok, moved bool, what, shut, open string, bytes, limit int64) bool {
	if moved {
		*m = append(*m, move{what, !ok, shut, open, bytes, limit})
	}
	return !ok
}

// refusal is why n more bytes cannot be used, "" if they can, and which gates
// moved. mu is held.
func (d *space) refusal(st *stream, n int64) (why string, seen moves) {
	why, seen = d.refusalToAll(n)
	if why != "" || st.quota.limit == 0 {
		return why, seen
	}
	// While mu is held nothing is released, so what the log took in the meantime
	// still counts as pending, too. Its size is known without I/O.
	size := st.log.Size()
	if ok, moved := st.quota.admit(size+st.pending, n); seen.closed(ok, moved, "stream "+st.key.Name, "has reached its quota", "is below its quota again", size, st.quota.limit) {
		return fmt.Sprintf("the stream has reached its quota of %d bytes", st.quota.limit), seen
	}
	return "", seen
}

// refusalToAll is the same of what all streams share.
func (d *space) refusalToAll(n int64) (why string, seen moves) {
	coming := d.written + d.pending
	if ok, moved := d.low.admit(coming-d.free, n); seen.closed(ok, moved, "the disk", "is nearly full", "has room again", d.free, d.minFree) {
		return fmt.Sprintf("the disk of the server has less than %d bytes left", d.minFree), seen
	}
	if ok, moved := d.total.admit(d.used+coming, n); seen.closed(ok, moved, "all streams together", "have reached their quota", "are below their quota again", d.used, d.total.limit) {
		return fmt.Sprintf("all streams together have reached their quota of %d bytes", d.total.limit), seen
	}
	return "", seen
}

// begin measures for the first time, and tells what is full already. No put is
// let in before that, and the first that comes measures anew.
func (d *space) begin() {
	if d == nil {
		return
	}
	d.refresh(time.Time{})
	d.mu.Lock()
	_, seen := d.refusalToAll(0)
	d.mu.Unlock()
	d.tell(seen)
}

// tell logs which gates moved.
func (d *space) tell(seen moves) {
	for _, m := range seen {
		if m.closed {
			d.server.logger.Warn("puts are throttled: "+m.what+" "+m.shut, zap.Int64("bytes", m.bytes), zap.Int64("limit", m.limit))
		} else {
			d.server.logger.Info("puts go on: "+m.what+" "+m.open, zap.Int64("bytes", m.bytes), zap.Int64("limit", m.limit))
		}
	}
}

// release gives back what was let in, and is on the disk now.
func (d *space) release(st *stream, n int64) {
	if d == nil || n == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending -= n
	st.pending -= n
	d.written += n
}

// forgo gives back what was let in for records that are not going to be written.
// What a write that failed left on the disk is measured in its turn.
func (d *space) forgo(st *stream, n int64) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending -= n
	st.pending -= n
}

// refresh measures what is used if that is due. Who finds another one measuring
// goes on with what is known.
func (d *space) refresh(now time.Time) {
	if d == nil {
		return
	}
	d.mu.Lock()
	due := d.at.IsZero() || now.Sub(d.at) >= measureEvery || d.written+d.pending > measureBytes
	written := d.written
	d.mu.Unlock()
	if !due {
		return
	}
	select {
	case d.measure <- struct{}{}:
	default:
		return
	}
	defer func() { <-d.measure }()
	free := int64(unknownFree)
	if d.minFree > 0 {
		var err error
		if free, err = d.server.fs.Free(); err != nil {
			free = unknownFree
			d.server.logger.Warn("how much of the disk is free is not known", zap.Error(err))
		}
	}
	var used int64
	for _, st := range *d.server.catalog.Load() {
		used += st.log.Size()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at, d.used, d.free = now, used, free
	d.written -= written // the rest may not have been seen
}

// spaceHealth is what the health page says.
type spaceHealth struct {
	FreeBytes      int64 `json:"free_bytes,omitempty"`
	MinFreeBytes   int64 `json:"min_free_bytes,omitempty"`
	UsedBytes      int64 `json:"used_bytes,omitempty"`
	MaxBytes       int64 `json:"max_bytes,omitempty"`
	MaxStreamBytes int64 `json:"max_stream_bytes,omitempty"`
	// Throttled says that puts to all streams are refused.
	Throttled bool `json:"throttled"`
	// ThrottledStreams is how many have reached their own quota.
	ThrottledStreams int `json:"throttled_streams,omitempty"`
}

// health tells what is known, which is no older than measureEvery: whoever asks
// for it need not be somebody who may keep the disk busy. It is nil if the room is
// not limited.
func (d *space) health() *spaceHealth {
	if d == nil {
		return nil
	}
	d.refresh(time.Now())
	var seen moves
	defer func() { d.tell(seen) }() // when mu is free
	d.mu.Lock()
	defer d.mu.Unlock()
	h := &spaceHealth{MinFreeBytes: d.minFree, UsedBytes: d.used, MaxBytes: d.total.limit, MaxStreamBytes: d.server.cfg.MaxStreamBytes}
	if d.free != unknownFree {
		h.FreeBytes = d.free
	}
	_, seen = d.refusalToAll(0) // there may be room again, and nobody has tried
	for _, st := range *d.server.catalog.Load() {
		_, moved := d.refusal(st, 0)
		seen = append(seen, moved...)
		if st.quota.closed {
			h.ThrottledStreams++
		}
	}
	h.Throttled = d.low.closed || d.total.closed
	return h
}

// recordSpace is what a record takes on the disk, at most.
func recordSpace(r *wal.Record) int64 {
	return int64(len(r.Data)+len(r.Key)+len(r.HashKey)) + recordOverhead
}

// recordsSpace is what records take on the disk, at most.
func recordsSpace(recs []wal.Record) (n int64) {
	for i := range recs {
		n += recordSpace(&recs[i])
	}
	return n
}
