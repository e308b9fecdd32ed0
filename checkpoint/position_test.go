package checkpoint_test

import (
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// positions in their order.
func ordered() []checkpoint.Position {
	long := "1" + strings.Repeat("0", checkpoint.MaxSequenceDigits-1)
	return []checkpoint.Position{
		checkpoint.Start(),
		checkpoint.At("0", 0),
		checkpoint.At("9", 0),
		checkpoint.At("9", 9),
		checkpoint.At("9", 10),
		checkpoint.At("9", math.MaxUint64),
		checkpoint.At("10", 0),
		checkpoint.At("9007199254740993", 0),
		checkpoint.At(checkpoint.SequenceNumber(long), 0),
		checkpoint.ShardEnd(),
	}
}

func TestPositionsAreOrdered(t *testing.T) {
	all := ordered()
	for i, p := range all {
		for j, q := range all {
			want := 0
			if i != j {
				want = map[bool]int{true: -1, false: 1}[i < j]
			}
			if got := p.Compare(q); got != want {
				t.Errorf("%v to %v: %d, want %d", p, q, got, want)
			}
		}
	}
	early, late := checkpoint.StartAt(time.UnixMilli(1)), checkpoint.StartAt(time.UnixMilli(2))
	if early.Compare(late) != 0 || early.Compare(checkpoint.Start()) != 0 {
		t.Error("starts differ in their order")
	}
}

func TestPositionTextIsReadBack(t *testing.T) {
	for _, p := range append(ordered(), checkpoint.StartAt(time.UnixMilli(1_700_000_000_123))) {
		got, err := checkpoint.ParsePosition(p.String())
		if err != nil || got != p {
			t.Errorf("%v is read as %v, %v", p, got, err)
		}
	}
	if p, err := checkpoint.ParsePosition("49590"); err != nil || p != checkpoint.At("49590", 0) {
		t.Errorf("a bare sequence number is read as %v, %v", p, err)
	}
}

func TestTextThatIsNoPosition(t *testing.T) {
	for _, s := range []string{
		"", "start", "START@", "START@yesterday", "12:", "12:x", "12:-1", "-1", "012", "1.5", "12:18446744073709551616",
		"SHARD_END:1", strings.Repeat("1", checkpoint.MaxSequenceDigits+1), "12 ", "١٢",
	} {
		if p, err := checkpoint.ParsePosition(s); err == nil {
			t.Errorf("%q is read as %v", s, p)
		}
	}
}

func TestPositionsThatAreNotValid(t *testing.T) {
	for _, p := range []checkpoint.Position{
		{Rank: 3},
		{Sequence: "1"},
		{Subsequence: 1},
		{Rank: checkpoint.RankRecord},
		{Rank: checkpoint.RankRecord, Sequence: "1", Since: time.UnixMilli(1)},
		{Rank: checkpoint.RankEnd, Sequence: "1"},
	} {
		if p.Validate() == nil {
			t.Errorf("%#v is valid", p)
		}
	}
	for _, p := range ordered() {
		if err := p.Validate(); err != nil {
			t.Errorf("%v: %v", p, err)
		}
	}
}

func TestStartAtKeepsMilliseconds(t *testing.T) {
	at := time.Date(2026, 1, 2, 15, 4, 5, 6_789_123, time.FixedZone("", 3600))
	p := checkpoint.StartAt(at)
	if got := p.String(); got != "START@2026-01-02T14:04:05.006Z" {
		t.Errorf("text %s", got)
	}
	if p.IsZero() || !checkpoint.Start().IsZero() || p.IsEnd() || !checkpoint.ShardEnd().IsEnd() {
		t.Error("IsZero or IsEnd is wrong")
	}
}

// FuzzPosition holds that text that is read is written the same, and that
// sequence numbers compare like the numbers they are.
func FuzzPosition(f *testing.F) {
	for _, p := range ordered() {
		f.Add(p.String(), "10:1")
	}
	f.Add("START@2026-01-02T15:04:05.000Z", "SHARD_END")
	f.Fuzz(func(t *testing.T, a, b string) {
		p, err := checkpoint.ParsePosition(a)
		if err != nil {
			return
		}
		if again, err := checkpoint.ParsePosition(p.String()); err != nil || again != p {
			t.Fatalf("%q: %v is read back as %v, %v", a, p, again, err)
		}
		q, err := checkpoint.ParsePosition(b)
		if err != nil {
			return
		}
		if p.Compare(q) != -q.Compare(p) {
			t.Fatalf("%v and %v: %d one way, %d the other", p, q, p.Compare(q), q.Compare(p))
		}
		if p.Rank == checkpoint.RankRecord && q.Rank == checkpoint.RankRecord {
			x, _ := new(big.Int).SetString(string(p.Sequence), 10)
			y, _ := new(big.Int).SetString(string(q.Sequence), 10)
			if got := p.Sequence.Compare(q.Sequence); got != x.Cmp(y) {
				t.Fatalf("%s to %s: %d, want %d", p.Sequence, q.Sequence, got, x.Cmp(y))
			}
		}
	})
}

func TestSortingPositions(t *testing.T) {
	all := ordered()
	mixed := slices.Clone(all)
	slices.Reverse(mixed)
	slices.SortFunc(mixed, checkpoint.Position.Compare)
	if !slices.Equal(mixed, all) {
		t.Errorf("sorted: %v", mixed)
	}
}
