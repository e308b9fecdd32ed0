package localstream

import (
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// upkeepEvery is how often expired records and shards are removed, and
// on-demand streams scaled. What expires is hidden from readers the moment it
// does, so removing it is about space alone.
const upkeepEvery = time.Minute

// upkeep removes what has expired and scales on-demand streams, until the
// server closes.
func (s *Server) upkeep() {
	ticker := time.NewTicker(upkeepEvery)
	defer ticker.Stop()
	for last := time.Now(); ; {
		select {
		case <-ticker.C:
			now := time.Now()
			s.trim(now)
			s.scale(now, now.Sub(last))
			last = now
		case <-s.closing.Done():
			return
		}
	}
}

// trim removes what has expired by now: first the records, then the shards
// that held nothing else, and the keys that encrypted nothing else.
func (s *Server) trim(now time.Time) {
	for _, st := range *s.catalog.Load() {
		v := st.view.Load()
		horizon := v.TrimHorizon(now)
		if err := st.log.Trim(horizon); err != nil {
			if !st.view.Load().gone && s.closing.Err() == nil {
				s.logger.Warn("expired records remain", zap.String("stream", v.Name), zap.Error(err))
			}
			continue
		}
		expired := &state.Expired{ID: st.id}
		for _, sh := range v.Shards {
			if sh.Expired(horizon) {
				expired.Numbers = append(expired.Numbers, sh.Number)
			}
		}
		if v.HasExpiredKeys(horizon) {
			expired.Horizon = horizon
		}
		if len(expired.Numbers) == 0 && expired.Horizon == 0 {
			continue
		}
		err := s.change(s.closing, func(m *metadata) error {
			if m.state.Streams[st.id] == nil {
				return nil
			}
			if err := m.save(state.Event{Expired: expired}); err != nil {
				return err
			}
			m.publish(st)
			return nil
		})
		if err != nil && s.closing.Err() == nil {
			s.logger.Warn("expired shards or keys remain", zap.String("stream", v.Name), zap.Error(err))
		}
	}
}
