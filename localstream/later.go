package localstream

import (
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// standing reports whether something is still as it was when a change of it was
// put off, and gives what is closed when that may have ended.
type standing func() (same bool, replaced <-chan struct{})

// as is that the stream is there and its view as asked.
func (s *stream) as(asked func(*view) bool) standing {
	return func() (bool, <-chan struct{}) {
		v := s.view.Load()
		return !v.gone && asked(v), v.replaced
	}
}

// inStatus is that the stream is in a status.
func (s *stream) inStatus(status state.Status) standing {
	return s.as(func(v *view) bool { return v.Status == status })
}

// channelInStatus is that a channel is there, in a status.
func (s *Server) channelInStatus(id string, status state.Status) standing {
	return func() (bool, <-chan struct{}) {
		ch := (*s.channels.Load())[id]
		if ch == nil || ch.Status != status {
			return false, nil
		}
		return true, ch.replaced
	}
}

// later makes a change, of a stream or of what belongs to one, after a delay, 0
// meaning now. It is not waited for any more, and does not happen, when what is
// changed no longer stands as it was, or when the server closes; the next opening
// makes up for the latter.
func (s *Server) later(m *metadata, delay time.Duration, st *stream, stands standing, f func(*metadata) error) error {
	if delay <= 0 {
		return f(m)
	}
	s.background.Go(func() {
		if !s.outlasts(stands, delay) {
			return
		}
		err := s.change(s.closing, func(m *metadata) error {
			if same, _ := stands(); !same {
				return nil
			}
			return f(m)
		})
		if err != nil && s.closing.Err() == nil {
			s.logger.Error("stream did not change its state", zap.String("stream", st.key.Name), zap.Error(err))
		}
	})
	return nil
}

// outlasts waits, and reports whether all stands as it was until then, and the
// server is open.
func (s *Server) outlasts(stands standing, delay time.Duration) bool {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	for {
		same, replaced := stands()
		if !same {
			return false
		}
		select {
		case <-timer.C:
			return true
		case <-replaced:
		case <-s.closing.Done():
			return false
		}
	}
}
