package state

import "time"

// FilterKind is how ListShards selects shards, in the words of the API.
type FilterKind string

// The kinds of filter.
const (
	AfterShardID    FilterKind = "AFTER_SHARD_ID"
	AtTrimHorizon   FilterKind = "AT_TRIM_HORIZON"
	FromTrimHorizon FilterKind = "FROM_TRIM_HORIZON"
	AtLatest        FilterKind = "AT_LATEST"
	AtTimestamp     FilterKind = "AT_TIMESTAMP"
	FromTimestamp   FilterKind = "FROM_TIMESTAMP"
)

// Filter selects shards. The zero Filter selects all that have not expired.
type Filter struct {
	Kind  FilterKind `json:"kind,omitempty"`
	Shard uint32     `json:"shard,omitempty"` // for AfterShardID
	At    int64      `json:"at,omitempty"`    // Unix milliseconds, for the timestamp kinds
}

// List gives the shards that the filter selects, by rising number. Shards of
// which every record has expired are left out whatever the filter.
func (s *Stream) List(f Filter, now time.Time) []Shard {
	horizon := s.TrimHorizon(now)
	out := make([]Shard, 0, len(s.Shards))
	for _, sh := range s.Shards {
		if !sh.Expired(horizon) && f.selects(sh, max(horizon, s.Created)) {
			out = append(out, sh)
		}
	}
	return out
}

// selects decides for one shard. oldest is the earliest time that a filter can
// mean: the horizon, or the creation of a stream that is younger.
func (f Filter) selects(sh Shard, oldest int64) bool {
	at := max(f.At, oldest)
	switch f.Kind {
	case AfterShardID:
		return sh.Number > f.Shard
	case AtLatest:
		return !sh.IsClosed()
	case AtTrimHorizon:
		at = oldest
		fallthrough
	case AtTimestamp:
		return sh.Opened <= at && (!sh.IsClosed() || sh.Closed > at)
	case FromTimestamp:
		return !sh.IsClosed() || sh.Closed > at
	}
	return true
}
