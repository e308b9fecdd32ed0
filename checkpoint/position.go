package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// MaxSequenceDigits is the length in decimal digits of the longest sequence
// number that the Kinesis API allows.
const MaxSequenceDigits = 129

// SequenceNumber is the decimal text that Kinesis gives a record in a shard.
// It is compared as a number, not as text.
type SequenceNumber string

// Compare orders two valid sequence numbers by value: shorter is smaller,
// equal lengths compare digit by digit.
func (n SequenceNumber) Compare(o SequenceNumber) int {
	if c := cmp.Compare(len(n), len(o)); c != 0 {
		return c
	}
	return strings.Compare(string(n), string(o))
}

// Validate reports why n is not a sequence number: "0", or up to 129 digits of
// which the first is not zero.
func (n SequenceNumber) Validate() error {
	switch {
	case n == "":
		return errors.New("sequence number is empty")
	case len(n) > MaxSequenceDigits:
		return fmt.Errorf("sequence number has %d digits, at most %d are allowed", len(n), MaxSequenceDigits)
	case len(n) > 1 && n[0] == '0':
		return fmt.Errorf("sequence number %q starts with a zero", string(n))
	}
	for i := range len(n) {
		if n[i] < '0' || n[i] > '9' {
			return fmt.Errorf("sequence number %q has a character that is not a digit", string(n))
		}
	}
	return nil
}

// Rank is the kind of a position. Ranks are ordered: every start is before
// every record, and every record before the end of its shard.
type Rank uint8

// The ranks, in order.
const (
	RankStart  Rank = iota // nothing handled yet
	RankRecord             // everything up to and including one user record
	RankEnd                // the whole shard, which is closed
)

// Position says how far a shard was handled. It is inclusive: the record that
// it names was handled, and so was every record before it. The zero Position
// is the start of the shard (TRIM_HORIZON).
//
// Positions are values; compare them with [Position.Compare], not with ==,
// because two starts differ in nothing that matters to order.
type Position struct {
	// Rank says which of the fields below count.
	Rank Rank
	// Sequence and Subsequence name the last handled user record
	// (RankRecord). Subsequence is its index in a KPL aggregate, 0 for a
	// record that was not aggregated.
	Sequence    SequenceNumber
	Subsequence uint64
	// Since, when not zero, is where a start begins (RankStart): the first
	// record that arrived at or after it, at a precision of milliseconds.
	// Zero begins at the oldest record that the stream still has.
	Since time.Time
}

// Start is the position before the oldest record.
func Start() Position { return Position{} }

// StartAt is the position before the first record that arrived at t or later.
func StartAt(t time.Time) Position {
	return Position{Since: time.UnixMilli(t.UnixMilli()).UTC()}
}

// At is the position of a handled user record.
func At(seq SequenceNumber, sub uint64) Position {
	return Position{Rank: RankRecord, Sequence: seq, Subsequence: sub}
}

// ShardEnd is the position of a closed shard of which every record was handled.
func ShardEnd() Position { return Position{Rank: RankEnd} }

// IsZero reports whether p is the start of the shard without a time.
func (p Position) IsZero() bool { return p == Position{} }

// IsEnd reports whether p is the end of a shard.
func (p Position) IsEnd() bool { return p.Rank == RankEnd }

// Compare orders positions of one shard: start, records by sequence number and
// then sub-sequence number, end. All starts are equal.
func (p Position) Compare(o Position) int {
	if c := cmp.Compare(p.Rank, o.Rank); c != 0 || p.Rank != RankRecord {
		return c
	}
	return cmp.Or(p.Sequence.Compare(o.Sequence), cmp.Compare(p.Subsequence, o.Subsequence))
}

// Validate reports what is wrong with p.
func (p Position) Validate() error {
	switch p.Rank {
	case RankStart:
		if p.Sequence != "" || p.Subsequence != 0 {
			return fmt.Errorf("start position with sequence number %q:%d", string(p.Sequence), p.Subsequence)
		}
	case RankRecord:
		if !p.Since.IsZero() {
			return errors.New("record position with a start time")
		}
		return p.Sequence.Validate()
	case RankEnd:
		if p != ShardEnd() {
			return errors.New("shard end position with further fields")
		}
	default:
		return fmt.Errorf("unknown position rank %d", p.Rank)
	}
	return nil
}

// The texts of positions without a record.
const (
	textStart = "START"
	textEnd   = "SHARD_END"
	textSince = "START@"
)

// String gives the position as text that [ParsePosition] reads: "START",
// "START@2026-01-02T15:04:05.000Z", "49590:7" or "SHARD_END".
func (p Position) String() string {
	switch p.Rank {
	case RankStart:
		if p.Since.IsZero() {
			return textStart
		}
		return textSince + p.Since.UTC().Format("2006-01-02T15:04:05.000Z07:00")
	case RankEnd:
		return textEnd
	default:
		return string(p.Sequence) + ":" + strconv.FormatUint(p.Subsequence, 10)
	}
}

// ParsePosition reads what [Position.String] writes; a sequence number without
// ":sub" is taken with sub-sequence number 0.
func ParsePosition(s string) (Position, error) {
	switch {
	case s == textStart:
		return Start(), nil
	case s == textEnd:
		return ShardEnd(), nil
	case strings.HasPrefix(s, textSince):
		t, err := time.Parse(time.RFC3339Nano, s[len(textSince):])
		if err != nil {
			return Position{}, fmt.Errorf("position %q: %w", s, err)
		}
		return StartAt(t), nil
	}
	seq, sub, found := strings.Cut(s, ":")
	p := At(SequenceNumber(seq), 0)
	if found {
		n, err := strconv.ParseUint(sub, 10, 64)
		if err != nil {
			return Position{}, fmt.Errorf("position %q: sub-sequence number: %w", s, err)
		}
		p.Subsequence = n
	}
	if err := p.Validate(); err != nil {
		return Position{}, fmt.Errorf("position %q: %w", s, err)
	}
	return p, nil
}
