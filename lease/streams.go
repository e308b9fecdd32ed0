package lease

import (
	"strconv"
	"strings"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// clockMargin is by how much the clocks of the service and of the store may differ,
// by which it is told whether a stream was made after a loss.
const clockMargin = time.Hour

// creation is the making of the first leases of one stream.
type creation struct {
	busy  bool      // it is being tried
	due   time.Time // not before
	tries int       // failures in a row
	redo  bool      // the leases that are there may not be complete
	seen  *mirror   // the view in which it was looked whether they are
	known bool      // the group had leases of it in state that was lost while this worker ran
	// was is where leases went on that the store had before it lost its latest
	// writes, and with them perhaps the leases.
	was map[string]checkpoint.Position
}

// keepStarts notes where the leases went on, as the store lost its latest writes. One
// that lost with them that the leases were made has them made anew, but not where
// their stream is read from by whoever comes to it now.
func (r *run) keepStarts() {
	for _, m := range []*mirror{r.former, r.table} {
		if m == nil {
			continue
		}
		for name, l := range m.leases {
			c := r.streams[StreamOf(name)]
			if c == nil {
				continue
			}
			c.known = true
			if l.Finished() || l.Stateful {
				continue
			}
			if c.was == nil {
				c.was = map[string]checkpoint.Position{}
			}
			c.was[name] = l.Position
		}
	}
}

// goOn has leases that are made anew go on where they did.
func goOn(rows []Row, was map[string]checkpoint.Position) {
	for i := range rows {
		if p, ok := was[rows[i].Name]; ok {
			rows[i].Position = p
		}
	}
}

// anew begins again in state that was made anew; known says whether there were
// leases of the stream in the state that was lost.
func (c *creation) anew(known bool) {
	*c = creation{busy: c.busy, known: c.known || known}
}

// again has the making tried once more from a time on.
func (c *creation) again(at time.Time) {
	if c != nil && !c.redo {
		c.redo, c.due = true, at
	}
}

// look has it asked, once in each view that began anew, whether the leases are
// complete. That there are some does not tell: after a loss they may be seeds, of a
// maker that died the first part, after a pause by hand what a removal that was
// broken off left, and after lost writes what was there before. An acquire that is
// refused would tell, but there may be none that is tried, where all that there is
// was paused by hand, or stopped, or has ended, or waits for what is missing.
func (c *creation) look(view *mirror) {
	if c.seen != view {
		c.seen = view
		c.again(c.due)
	}
}

// mayHaveRead reports whether the group may have read the stream before its state was
// lost. Then its leases are made where nothing is skipped, or, with Halt, not at all.
//
// It may have read any stream that was there before the loss, whether its leases are
// in the table or not: a worker that comes later cannot know what all that knew more
// could not give back, or died with. It has not read one that was made since. The
// store does not tell when its state was made anew; but it was no later than by the
// session time that has passed since, which never runs ahead of the clock. Within
// clockMargin a stream counts as one that was there.
//
// Clocks may be wrong by more. So a stream counts as one that was there too when this
// worker saw leases of it lost, when its table has one that was acquired or has ended,
// which in a stream that is not complete is a seed, and when it was made in times
// to come.
//
// The mark that the state was lost is not taken off a stream once its leases are made
// anew. A store that loses its latest writes may lose them once more.
func (r *run) mayHaveRead(stream string) bool {
	if c := r.streams[stream]; c != nil && c.known {
		return true
	}
	if !r.stateLost && !r.lost {
		return false
	}
	if r.table.started(stream) {
		return true
	}
	made, ok := madeAt(stream)
	now := time.UnixMicro(r.stamp)
	return !ok || !made.After(r.bornBy().Add(clockMargin)) || made.After(now.Add(clockMargin))
}

// bornBy is a time by which the present state of the group was made, by the store's
// clock: session time never runs ahead of that.
func (r *run) bornBy() time.Time {
	return time.UnixMicro(r.stamp).Add(-time.Duration(r.table.now) * time.Millisecond)
}

// madeAt is when a stream was made, which its name ends with.
func madeAt(stream string) (at time.Time, ok bool) {
	ms, err := strconv.ParseInt(stream[strings.LastIndexByte(stream, ':')+1:], 10, 64)
	return time.UnixMilli(ms), err == nil
}

// started reports whether a lease of the stream was acquired, or has ended.
func (m *mirror) started(stream string) bool {
	for _, l := range m.leases {
		if StreamOf(l.Name) == stream && (l.Epoch > 0 || l.Finished()) {
			return true
		}
	}
	return false
}
