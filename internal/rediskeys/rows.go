package rediskeys

import (
	"fmt"
	"strconv"
	"strings"
)

// Owner is a value of the key o.
type Owner struct {
	Token     string
	Epoch     uint64
	Want      string
	WantUntil int64
	// Flags have commas between them.
	Flags string
}

// ParseOwner reads token|epoch|want|wantUntil|last|flags. Further fields are of
// newer versions and left alone.
func ParseOwner(v string) (Owner, error) {
	f := strings.Split(v, "|")
	if len(f) < 6 {
		return Owner{}, fmt.Errorf("owner %q has %d fields, want 6", v, len(f))
	}
	epoch, err := strconv.ParseUint(f[1], 10, 64)
	if err != nil {
		return Owner{}, fmt.Errorf("owner %q: epoch: %w", v, err)
	}
	until, err := strconv.ParseInt(f[3], 10, 64)
	if err != nil {
		return Owner{}, fmt.Errorf("owner %q: end of the wish: %w", v, err)
	}
	return Owner{Token: f[0], Epoch: epoch, Want: f[2], WantUntil: until, Flags: f[5]}, nil
}

// Position is a value of the key c: 0 for the start of a shard, 1 for a record,
// 2 for the end.
type Position struct {
	Rank uint8
	// Sequence is the sequence number (rank 1), or the time of a start in
	// milliseconds since 1970 (rank 0), "0" for none.
	Sequence    string
	Subsequence uint64
	Counter     uint64
	Weight      uint8
	// Stateful says that the key w has state that belongs to it.
	Stateful bool
}

// ParsePosition reads rank|seqno|subseq|counter|weight|weightAt|stateful, of which
// the last may be missing. Further fields are of newer versions and left alone.
func ParsePosition(v string) (Position, error) {
	f := strings.Split(v, "|")
	if len(f) < 6 {
		return Position{}, fmt.Errorf("position %q has %d fields, want 6", v, len(f))
	}
	rank, err := strconv.ParseUint(f[0], 10, 8)
	if err != nil || rank > 2 {
		return Position{}, fmt.Errorf("position %q: unknown rank", v)
	}
	sub, err := strconv.ParseUint(f[2], 10, 64)
	if err != nil {
		return Position{}, fmt.Errorf("position %q: sub-sequence number: %w", v, err)
	}
	counter, err := strconv.ParseUint(f[3], 10, 64)
	if err != nil {
		return Position{}, fmt.Errorf("position %q: counter: %w", v, err)
	}
	weight, err := strconv.ParseUint(f[4], 10, 8)
	if err != nil {
		return Position{}, fmt.Errorf("position %q: weight: %w", v, err)
	}
	return Position{
		Rank: uint8(rank), Sequence: f[1], Subsequence: sub, Counter: counter, Weight: uint8(weight),
		Stateful: len(f) > 6 && f[6] == "1",
	}, nil
}

// Row is the value of a new row.
func (p Position) Row() string {
	stateful := 0
	if p.Stateful {
		stateful = 1
	}
	return fmt.Sprintf("%d|%s|%d|%d|%d|0|%d", p.Rank, p.Sequence, p.Subsequence, p.Counter, p.Weight, stateful)
}
