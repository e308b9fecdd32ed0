package consumer

import (
	"crypto/md5"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/aggregate"
	"github.com/shardrun/shardrun/internal/hashkey"
)

func rawRecord(seq, key string, data []byte) types.Record {
	return types.Record{
		SequenceNumber: aws.String(seq), PartitionKey: aws.String(key), Data: data,
		ApproximateArrivalTimestamp: aws.Time(time.UnixMilli(1234)),
	}
}

// packed is an aggregate of records "key=data"; a "key@hash=data" has an
// explicit hash key.
func packed(records ...string) []byte {
	var b aggregate.Builder
	for _, r := range records {
		key, data, _ := strings.Cut(r, "=")
		key, hash, _ := strings.Cut(key, "@")
		b.Add(key, hash, []byte(data))
	}
	return b.Append(nil)
}

// show is a page as text: its records as "key=data@sequence:subsequence".
func show(p *page) string {
	var out []string
	for _, r := range p.records {
		out = append(out, fmt.Sprintf("%s=%s@%v", r.Key, r.Data, r.Position()))
	}
	return strings.Join(out, " ") + " | " + p.end.String()
}

func TestUnpack(t *testing.T) {
	halves := hashkey.Split(2)
	low, high := halves[0], halves[1]
	inLow, inHigh := "k0", "k0"
	for i := 0; !low.Contains(hashkey.Of(inLow)); i++ {
		inLow = fmt.Sprintf("k%d", i)
	}
	for i := 0; !high.Contains(hashkey.Of(inHigh)); i++ {
		inHigh = fmt.Sprintf("k%d", i)
	}
	broken := packed("a=1", "b=2")
	broken[len(broken)-1]++

	for name, test := range map[string]struct {
		keys  hashkey.Range
		after checkpoint.Position
		raw   []types.Record
		want  string
		count counts
	}{
		"nothing": {hashkey.Full, checkpoint.Start(), nil, " | START", counts{}},
		"records as they are": {
			hashkey.Full, checkpoint.Start(),
			[]types.Record{rawRecord("8", "a", []byte("1")), rawRecord("9", "b", nil)},
			"a=1@8:0 b=@9:0 | 9:0", counts{raw: 2},
		},
		"an aggregate": {
			hashkey.Full, checkpoint.Start(),
			[]types.Record{rawRecord("8", "x", packed("a=1", "b=2", "a=3"))},
			"a=1@8:0 b=2@8:1 a=3@8:2 | 8:2", counts{raw: 1},
		},
		"going on inside an aggregate": {
			hashkey.Full, checkpoint.At("8", 1),
			[]types.Record{rawRecord("8", "x", packed("a=1", "b=2", "a=3")), rawRecord("9", "c", []byte("4"))},
			"a=3@8:2 c=4@9:0 | 9:0", counts{raw: 2},
		},
		"the last record again": {
			hashkey.Full, checkpoint.At("8", 0),
			[]types.Record{rawRecord("8", "a", []byte("1"))},
			" | 8:0", counts{raw: 1},
		},
		"members of another shard are left out, each by itself": {
			low, checkpoint.Start(),
			[]types.Record{rawRecord("8", "x", packed(inHigh+"=1", inLow+"=2", inHigh+"=3"))},
			inLow + "=2@8:1 | 8:2", counts{raw: 1, outOfRange: 2},
		},
		"the same aggregate in the other shard": {
			high, checkpoint.Start(),
			[]types.Record{rawRecord("8", "x", packed(inHigh+"=1", inLow+"=2", inHigh+"=3"))},
			inHigh + "=1@8:0 " + inHigh + "=3@8:2 | 8:2", counts{raw: 1, outOfRange: 1},
		},
		"an explicit hash key says where a member belongs": {
			low, checkpoint.Start(),
			[]types.Record{rawRecord("8", "x", packed(inHigh+"@0=1", inLow+"@"+hashkey.Max.String()+"=2"))},
			inHigh + "=1@8:0 | 8:1", counts{raw: 1, outOfRange: 1},
		},
		"a record that is no aggregate is the shard's whatever its key": {
			low, checkpoint.Start(),
			[]types.Record{rawRecord("8", inHigh, []byte("1"))},
			inHigh + "=1@8:0 | 8:0", counts{raw: 1},
		},
		"a malformed aggregate is delivered as it is": {
			hashkey.Full, checkpoint.Start(),
			[]types.Record{rawRecord("8", "x", broken), rawRecord("9", "a", []byte("1"))},
			"x=" + string(broken) + "@8:0 a=1@9:0 | 9:0", counts{raw: 2, malformed: 1},
		},
		"an aggregate without members is passed over": {
			hashkey.Full, checkpoint.At("7", 5),
			[]types.Record{rawRecord("8", "x", emptyAggregate())},
			" | 8:0", counts{raw: 1},
		},
		"a nested aggregate is not unpacked": {
			hashkey.Full, checkpoint.Start(),
			[]types.Record{rawRecord("8", "x", packed("a="+string(packed("b=1"))))},
			"a=" + string(packed("b=1")) + "@8:0 | 8:0", counts{raw: 1},
		},
		"records from before the position are left out and counted": {
			hashkey.Full, checkpoint.At("100", 0),
			[]types.Record{rawRecord("99", "a", []byte("1")), rawRecord("101", "a", []byte("2"))},
			"a=2@101:0 | 101:0", counts{raw: 2, older: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			u := unpacker{keys: test.keys, after: test.after}
			p, rest := u.unpack(test.raw)
			if len(rest) > 0 {
				t.Errorf("%d records are left", len(rest))
			}
			if got := show(p); got != test.want {
				t.Errorf("page %q, want %q", got, test.want)
			}
			if p.counts != test.count {
				t.Errorf("counts %+v, want %+v", p.counts, test.count)
			}
			for _, r := range p.records {
				if !r.Arrival.Equal(time.UnixMilli(1234)) {
					t.Errorf("arrival %v", r.Arrival)
				}
			}
			if again, _ := u.unpack(test.raw); len(again.records) != 0 {
				t.Errorf("read again, it delivers %q", show(again))
			}
		})
	}
}

// emptyAggregate is an aggregate with a field that nobody knows, and no records.
func emptyAggregate() []byte {
	message := []byte{15 << 3, 1}
	sum := md5.Sum(message)
	return slices.Concat([]byte(aggregate.Magic), message, sum[:])
}

func TestRecordsWithoutANumberAreRefused(t *testing.T) {
	for _, seq := range []string{"", "007", "12a"} {
		if err := check([]types.Record{rawRecord("1", "a", nil), rawRecord(seq, "a", nil)}); err == nil {
			t.Errorf("sequence number %q is taken", seq)
		}
	}
}

func hashOf(key string) hashkey.Key { return hashkey.Of(key) }
