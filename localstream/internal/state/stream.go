package state

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/shardrun/shardrun/internal/hashkey"
)

// Scope is where a stream lives. One server has any number of them.
type Scope struct {
	Account string `json:"account"` // 12 digits
	Region  string `json:"region"`
}

// Key names a stream.
type Key struct {
	Scope
	Name string `json:"name"`
}

// ARN is the Amazon resource name of the stream.
func (k Key) ARN() string {
	return "arn:aws:kinesis:" + k.Region + ":" + k.Account + ":stream/" + k.Name
}

// ParseARN reads what [Key.ARN] writes, for any AWS partition.
func ParseARN(arn string) (Key, bool) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || !strings.HasPrefix(parts[1], "aws") || parts[2] != "kinesis" {
		return Key{}, false
	}
	name, ok := strings.CutPrefix(parts[5], "stream/")
	name, _, _ = strings.Cut(name, "/") // a consumer's ARN names its stream too
	if !ok || name == "" || len(parts[4]) != 12 || strings.Trim(parts[4], "0123456789") != "" {
		return Key{}, false
	}
	return Key{Scope{Account: parts[4], Region: parts[3]}, name}, true
}

// Status is the state of a stream, in the words of the API.
type Status string

// The states of a stream.
const (
	Creating Status = "CREATING"
	Active   Status = "ACTIVE"
	Updating Status = "UPDATING"
	Deleting Status = "DELETING"
)

// The limits of a stream's retention period, and the greatest record that a
// new stream takes.
const (
	MinRetentionHours   = 24
	MaxRetentionHours   = 8760
	DefaultMaxRecordKiB = 1024
)

// Stream is everything known of a stream but its records. A Stream that was
// published is never changed: [State.Apply] puts a changed copy in its place.
type Stream struct {
	Key
	ID             string  `json:"id"`      // names its directory; never reused
	Created        int64   `json:"created"` // Unix milliseconds
	Status         Status  `json:"status"`
	OnDemand       bool    `json:"on_demand,omitempty"`
	Auto           bool    `json:"auto,omitempty"` // records are spread over the shards, whatever their keys
	RetentionHours int32   `json:"retention_hours"`
	MaxRecordKiB   int32   `json:"max_record_kib"`
	WarmMiBps      int32   `json:"warm_mibps,omitempty"`
	Horizon        int64   `json:"horizon,omitempty"` // records that arrived earlier stay hidden, Unix milliseconds
	NextShard      uint32  `json:"next_shard"`        // the number of the next new shard
	Shards         []Shard `json:"shards"`            // by rising number, without expired ones

	// Pending and Change are what to do when UPDATING ends.
	Pending []Step    `json:"pending,omitempty"`
	Change  *Settings `json:"change,omitempty"`

	Encryption []Encryption `json:"encryption,omitempty"` // of records, by rising boundary
	Metrics    []string     `json:"metrics,omitempty"`    // of shards that are monitored
	Attachments

	Consumers []Consumer `json:"consumers,omitempty"` // by name
}

// NoShard stands for a parent that a shard does not have.
const NoShard = -1

// Shard is one shard of a stream.
type Shard struct {
	Number         uint32        `json:"number"`
	Range          hashkey.Range `json:"range"`
	CreateSecs     int64         `json:"create_secs"` // the part of its sequence numbers
	Opened         int64         `json:"opened"`      // Unix milliseconds
	Closed         int64         `json:"closed,omitempty"`
	EndSecs        int64         `json:"end_secs,omitempty"` // the time in its ending sequence number
	Parent         int64         `json:"parent"`             // NoShard for the first shards of a stream
	AdjacentParent int64         `json:"adjacent_parent"`    // NoShard but for the child of a merge
}

// IsClosed reports whether the shard takes no more records.
func (s Shard) IsClosed() bool { return s.Closed != 0 }

// Start is the shard's first sequence number, which no record has.
func (s Shard) Start() Sequence {
	return Sequence{CreateSecs: s.CreateSecs, Secs: s.CreateSecs, Shard: s.Number}
}

// End is the ending sequence number of a closed shard, which no record has.
func (s Shard) End() Sequence {
	return Sequence{CreateSecs: s.CreateSecs, Index: MaxIndex, Secs: s.EndSecs, Shard: s.Number}
}

// At is the sequence number of the record with an index and an arrival time in
// Unix milliseconds. A record is never older than its shard.
func (s Shard) At(index uint64, arrival int64) Sequence {
	return Sequence{CreateSecs: s.CreateSecs, Index: index, Secs: max(arrival/1000, s.CreateSecs), Shard: s.Number}
}

// Shard finds a shard by its number.
func (s *Stream) Shard(number uint32) (Shard, bool) {
	i, ok := slices.BinarySearchFunc(s.Shards, number, func(sh Shard, n uint32) int { return cmp.Compare(sh.Number, n) })
	if !ok {
		return Shard{}, false
	}
	return s.Shards[i], true
}

// Open lists the open shards by hash key. They cover every key once.
func (s *Stream) Open() []Shard {
	var open []Shard
	for _, sh := range s.Shards {
		if !sh.IsClosed() {
			open = append(open, sh)
		}
	}
	slices.SortFunc(open, func(a, b Shard) int { return a.Range.Start.Compare(b.Range.Start) })
	return open
}

// OpenCount is the number of open shards.
func (s *Stream) OpenCount() int {
	n := 0
	for _, sh := range s.Shards {
		if !sh.IsClosed() {
			n++
		}
	}
	return n
}

// Children lists the shards that a closed shard was split or merged into.
func (s *Stream) Children(parent uint32) []Shard {
	var out []Shard
	for _, sh := range s.Shards {
		if sh.Parent == int64(parent) || sh.AdjacentParent == int64(parent) {
			out = append(out, sh)
		}
	}
	return out
}

// TrimHorizon is the oldest arrival time that is still readable, in Unix
// milliseconds.
func (s *Stream) TrimHorizon(now time.Time) int64 {
	return max(now.Add(-time.Duration(s.RetentionHours)*time.Hour).UnixMilli(), s.Horizon)
}

// Expired reports whether every record that the shard may have held is older
// than the horizon. An open shard never expires.
func (s Shard) Expired(horizon int64) bool { return s.IsClosed() && s.Closed < horizon }
