package localstream

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/localstream/internal/state"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// onDemandDay is how long a shard's busiest minute counts, and how often shards
// are merged at most.
const onDemandDay = 24 * time.Hour

// writes is what was written to the shards of an on-demand stream. The zero
// value is ready.
type writes struct {
	// mu guards tallies, and what is in it.
	mu      sync.Mutex
	tallies map[uint32]*tally

	day time.Time // when the day began; the upkeep loop's
}

// tally is what was written to one shard.
type tally struct {
	bytes, records int64   // since it was looked at last
	peak           float64 // the greatest load of a minute of this day
}

// add counts records that were written.
func (w *writes) add(recs []wal.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tallies == nil {
		w.tallies = map[uint32]*tally{}
	}
	var t *tally
	for i := range recs {
		r := &recs[i]
		if i == 0 || recs[i-1].Shard != r.Shard {
			if t = w.tallies[r.Shard]; t == nil {
				t = &tally{}
				w.tallies[r.Shard] = t
			}
		}
		t.records++
		t.bytes += int64(len(r.Data) + len(r.Key))
	}
}

// loads gives the loads of the time that has passed since the last call, and
// begins anew. When a day has ended, the peaks begin anew as well.
func (w *writes) loads(passed time.Duration, dayEnded bool) map[uint32]state.Load {
	w.mu.Lock()
	defer w.mu.Unlock()
	loads := make(map[uint32]state.Load, len(w.tallies))
	seconds := passed.Seconds()
	for shard, t := range w.tallies {
		now := max(float64(t.bytes)/(shardWriteBytes*seconds), float64(t.records)/(shardWriteRecords*seconds))
		t.peak = max(t.peak, now)
		loads[shard] = state.Load{Now: now, Peak: t.peak}
		t.bytes, t.records = 0, 0
		if dayEnded {
			delete(w.tallies, shard)
		}
	}
	return loads
}

// scale fits the shards of on-demand streams to what was written to them. The
// time since it was called last is passed.
func (s *Server) scale(now time.Time, passed time.Duration) {
	for _, st := range *s.catalog.Load() {
		if !st.view.Load().OnDemand {
			continue
		}
		if st.writes.day.IsZero() {
			st.writes.day = now
		}
		dayEnded := now.Sub(st.writes.day) >= onDemandDay
		if dayEnded {
			st.writes.day = now
		}
		loads := st.writes.loads(passed, dayEnded)
		if len(loads) == 0 && !dayEnded {
			continue
		}
		err := s.change(s.closing, func(m *metadata) error { return m.scale(st, loads, dayEnded, now) })
		if err != nil && s.closing.Err() == nil {
			s.logger.Warn("on-demand stream was not scaled", zap.String("stream", st.key.Name), zap.Error(err))
		}
	}
}

// scale begins the reshard that the loads of a stream call for, if it is ACTIVE.
func (m *metadata) scale(st *stream, loads map[uint32]state.Load, dayEnded bool, now time.Time) error {
	v, err := m.newest(st)
	if err != nil || v.Status != state.Active || !v.OnDemand || v.broken != nil {
		return nil // gone, or not now
	}
	floor := max(onDemandShards, int(v.WarmMiBps))
	steps := v.PlanOnDemand(loads, floor, m.server.roomFor(v), dayEnded, now)
	if len(steps) == 0 {
		return nil
	}
	m.server.logger.Info("on-demand stream scales", zap.String("stream", v.Name), zap.Int("shards", len(v.open)), zap.Int("steps", len(steps)))
	return m.beginUpdate(st, update{steps: steps})
}
