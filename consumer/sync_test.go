package consumer

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/shardrun/shardrun/lease"
)

// listed is a shard of a list: "id start end [parents…]", hash keys in eighths
// of the whole range; a "*" behind the id means that it is open.
func listed(t *testing.T, text string) types.Shard {
	t.Helper()
	f := strings.Fields(text)
	eighths := hashkey.Split(8)
	var start, end int
	if _, err := fmt.Sscan(f[1], &start); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(f[2], &end); err != nil {
		t.Fatal(err)
	}
	id, open := strings.CutSuffix(f[0], "*")
	s := types.Shard{
		ShardId: aws.String(id), SequenceNumberRange: &types.SequenceNumberRange{StartingSequenceNumber: aws.String("1")},
		HashKeyRange: &types.HashKeyRange{
			StartingHashKey: aws.String(eighths[start].Start.String()), EndingHashKey: aws.String(eighths[end-1].End.String()),
		},
	}
	if !open {
		s.SequenceNumberRange.EndingSequenceNumber = aws.String("2")
	}
	if len(f) > 3 {
		s.ParentShardId = aws.String(f[3])
	}
	if len(f) > 4 {
		s.AdjacentParentShardId = aws.String(f[4])
	}
	return s
}

func TestDiscover(t *testing.T) {
	for name, test := range map[string]struct {
		shards []string
		want   []string // leases "id parents…", or none
		err    string
	}{
		"a new stream": {
			[]string{"a* 0 4", "b* 4 8"}, []string{"a", "b"}, "",
		},
		"the oldest shards, not what followed": {
			[]string{"a 0 4", "b* 4 8", "c 0 2 a", "d* 2 4 a", "e* 0 1 c", "f* 1 2 c"}, []string{"a", "b"}, "",
		},
		"parents that have expired are not waited for": {
			[]string{"c 0 2 a", "d* 2 4 a", "b* 4 8", "e* 0 1 c", "f* 1 2 c"}, []string{"c", "d", "b"}, "",
		},
		"one parent of a merge has expired: its hash keys are covered by the child": {
			[]string{"b 4 8", "m* 0 8 a b"}, []string{"b", "m b"}, "",
		},
		"one child of a split has expired: its own children are there": {
			[]string{"d 4 8 a", "e* 0 2 c", "f* 2 4 c", "m* 4 8 d"}, []string{"d", "e", "f"}, "",
		},
		"a hole":           {[]string{"a* 0 4", "b* 5 8"}, nil, "uncovered"},
		"no start":         {[]string{"a* 1 8"}, nil, "uncovered"},
		"no end":           {[]string{"a* 0 7"}, nil, "uncovered"},
		"twice":            {[]string{"a* 0 5", "b* 4 8"}, nil, "twice"},
		"none":             {nil, nil, "no shards"},
		"only closed ones": {[]string{"a 0 8"}, nil, "no shards"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 1, 0)
			c, err := New(b.cfg)
			if err != nil {
				t.Fatal(err)
			}
			b.fake.list = func(*kinesis.ListShardsInput, []types.Shard) (out []types.Shard) {
				for _, s := range test.shards {
					out = append(out, listed(t, s))
				}
				return out
			}
			start := checkpoint.StartAt(time.UnixMilli(1_700_000_000_000))
			rows, err := c.discover(t.Context(), stream{name: "orders", id: "S"}, start, roots)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) || !strings.Contains(err.Error(), "list shards of orders") {
					t.Errorf("error %v, want one of %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range rows {
				text := []string{lease.ShardOf(r.Name)}
				for _, p := range r.Shard.Parents {
					text = append(text, lease.ShardOf(p))
				}
				got = append(got, strings.Join(text, " "))
				if r.Position != start || lease.StreamOf(r.Name) != "S" || r.Shard.StartingHashKey == "" {
					t.Errorf("row %+v", r)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("leases %q, want %q", got, test.want)
			}
		})
	}
}

func TestDiscoverAsksFromTheStartOn(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000).UTC()
	if f := filterFrom(checkpoint.Start()); f.Type != types.ShardFilterTypeFromTrimHorizon || f.Timestamp != nil {
		t.Errorf("filter %+v", f)
	}
	if f := filterFrom(checkpoint.StartAt(at)); f.Type != types.ShardFilterTypeFromTimestamp || at.Sub(*f.Timestamp) != time.Minute {
		t.Errorf("filter %+v", f)
	}
}

// pagingFake lists one shard a call.
type pagingFake struct{ *fake }

func (p pagingFake) ListShards(_ context.Context, in *kinesis.ListShardsInput, _ ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error) {
	if in.NextToken != nil && (in.StreamARN != nil || in.StreamName != nil || in.StreamCreationTimestamp != nil || in.ShardFilter != nil) {
		return nil, apiError("InvalidArgumentException", "NextToken and StreamName cannot be provided together.")
	}
	i := 0
	if in.NextToken != nil {
		var err error
		if i, err = strconv.Atoi(*in.NextToken); err != nil {
			return nil, err
		}
	}
	out, err := p.fake.ListShards(context.Background(), &kinesis.ListShardsInput{})
	if err != nil {
		return nil, err
	}
	if i+1 < len(out.Shards) {
		out.NextToken = aws.String(fmt.Sprint(i + 1))
	}
	out.Shards = out.Shards[i : i+1]
	return out, nil
}

func TestListsOfManyPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 7, 0)
		b.cfg.Client = pagingFake{b.fake}
		r := run(t, b.cfg)
		time.Sleep(time.Second)
		if n := len(r.Status().Shards); n != 7 {
			t.Errorf("%d shards of 7", n)
		}
		r.stop()
	})
}

func TestServiceTime(t *testing.T) {
	server := time.Unix(1000, 0)
	for name, test := range map[string]struct {
		local time.Time
		known bool
		want  time.Time
	}{
		"our clock may be ahead":   {server.Add(700 * time.Millisecond), true, server},
		"just":                     {server, true, server},
		"our clock is ahead":       {server.Add(time.Second), true, server},
		"our clock is behind":      {server.Add(-time.Millisecond), true, server},
		"the answer bears no date": {server.Add(time.Hour), false, server.Add(time.Hour)},
	} {
		if got := serviceTime(test.local, server, test.known); !got.Equal(test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestReadSummary(t *testing.T) {
	d := &types.StreamDescriptionSummary{
		StreamName: aws.String("orders"), StreamARN: aws.String("arn:aws-cn:kinesis:cn-north-1:123456789012:stream/orders"),
		StreamCreationTimestamp: aws.Time(time.UnixMilli(1_700_000_000_123)),
	}
	st, err := readSummary(d)
	if err != nil || st.id != "123456789012:cn-north-1:orders:1700000000123" {
		t.Errorf("stream %+v, %v", st, err)
	}
	d.StreamARN = aws.String("orders")
	if _, err := readSummary(d); err == nil || !strings.Contains(err.Error(), `ARN "orders"`) {
		t.Errorf("error %v", err)
	}
}
