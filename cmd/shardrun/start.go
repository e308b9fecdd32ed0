package main

import (
	"strings"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/consumer"
)

// startAhead is how far a time may be ahead of the clock here, which may be behind the
// one of the service.
const startAhead = time.Minute

// parseStart reads a flag that says where to begin. It takes the names that Kinesis has
// for it and the texts of positions too.
func parseStart(flag, s string, now time.Time) (consumer.StartAt, error) {
	switch strings.ToUpper(s) {
	case "LATEST":
		return consumer.Latest(), nil
	case "TRIM", "TRIM_HORIZON", checkpoint.Start().String():
		return consumer.TrimHorizon(), nil
	}
	at, ok := startTime(s, now)
	switch {
	case !ok:
		return consumer.StartAt{}, usagef("%s %q: want latest, trim, a time like 2026-01-02T15:04:05Z, or a duration like 15m", flag, s)
	case at.After(now.Add(startAhead)):
		return consumer.StartAt{}, usagef("%s %s: that is ahead of now, %s; a time up to now is accepted, or latest for what arrives from now on",
			flag, s, now.UTC().Format(time.RFC3339))
	}
	return consumer.AtTimestamp(at), nil
}

// startTime reads a time, the text of a start at a time, or how long ago it is.
func startTime(s string, now time.Time) (time.Time, bool) {
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), true
	}
	if p, err := checkpoint.ParsePosition(s); err == nil && !p.Since.IsZero() {
		return p.Since, true
	}
	at, err := time.Parse(time.RFC3339Nano, s)
	return at, err == nil
}
