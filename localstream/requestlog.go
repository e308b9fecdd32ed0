package localstream

import (
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// began is when a request began, or zero when nobody wants a line for each in
// the log.
func (s *Server) began() time.Time {
	if !s.logger.Core().Enabled(zap.DebugLevel) {
		return time.Time{}
	}
	return time.Now()
}

// log writes what became of a request that is over: a warning if the server has
// failed, and a line if began is not zero. The headers are those of the answer.
func (c *call) log(h http.Header, began time.Time) {
	if c.err == nil && began.IsZero() {
		return
	}
	e, dropped := apiErrorOf(c.err), errors.Is(c.err, errDropped)
	failed := e != nil && e.Status == http.StatusInternalServerError && !dropped
	if !failed && began.IsZero() {
		return
	}
	operation := "unknown"
	if c.op != nil {
		operation = c.op.name
	}
	id := zap.String("request_id", h["X-Amzn-Requestid"][0])
	if failed {
		c.server.logger.Warn("request failed", zap.String("operation", operation), zap.String("stream", c.stream), id, zap.Error(c.err))
	}
	if began.IsZero() {
		return
	}
	fields := []zap.Field{zap.String("operation", operation), zap.String("stream", c.stream),
		zap.String("account", c.scope.Account), zap.String("region", c.scope.Region)}
	switch {
	case dropped:
		fields = append(fields, zap.Error(c.err))
	case e != nil:
		fields = append(fields, zap.Int("status", e.Status), zap.String("error", e.Type))
	default:
		fields = append(fields, zap.Int("status", http.StatusOK))
	}
	c.server.logger.Debug("request", append(fields, zap.Duration("took", time.Since(began)), id)...)
}

// strike takes the fault that is to happen to a request, a record or an event,
// if there is one, and says so in the log.
func (s *Server) strike(operation string, key state.Key, shardID string) (Fault, bool) {
	f, ok := s.faults.take(operation, key.Name, shardID)
	if ok {
		s.logger.Info("an injected fault happens", zap.Stringer("kind", f.Action), zap.String("operation", operation),
			zap.String("stream", key.Name), zap.String("shard", shardID), zap.Int("left", f.Count))
	}
	return f, ok
}
