package consumer

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/shardrun/shardrun/internal/hashkey"
)

// fake is a Kinesis of one stream, for what a real server cannot be made to
// do. Tests change its answers through fault and edit.
type fake struct {
	name    string
	created time.Time

	mu     sync.Mutex // guards all below
	status types.StreamStatus
	gone   bool // the stream does not exist
	shards []*fakeShard
	seq    int64
	calls  map[string]int
	// fault, when it returns an error, is the answer of a call, with the
	// number of the call of that operation from 1.
	fault func(op string, call int) error
	// edit changes answers of GetRecords, list those of ListShards.
	edit func(*kinesis.GetRecordsOutput)
	list func(*kinesis.ListShardsInput, []types.Shard) []types.Shard
	// iterators are the types of the iterators asked for, with what they start
	// at.
	iterators []string
}

type fakeShard struct {
	id       string
	keys     hashkey.Range
	parents  []string
	records  []types.Record
	closed   bool
	children []*fakeShard
	ended    time.Time
	expired  bool // it is neither listed nor known
}

func newFake(shards int) *fake {
	f := &fake{name: "orders", created: time.UnixMilli(1_700_000_000_000), status: types.StreamStatusActive, seq: 100, calls: map[string]int{}}
	for _, keys := range hashkey.Split(shards) {
		f.open(keys)
	}
	return f
}

func (f *fake) open(keys hashkey.Range, parents ...*fakeShard) *fakeShard {
	s := &fakeShard{id: fmt.Sprintf("shardId-%012d", len(f.shards)), keys: keys}
	for _, p := range parents {
		s.parents = append(s.parents, p.id)
		p.closed, p.ended = true, time.Now()
		p.children = append(p.children, s)
	}
	f.shards = append(f.shards, s)
	return s
}

// put writes one record to the i-th shard, whatever its key.
func (f *fake) put(i int, key string, data []byte) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seq++
	seq := strconv.FormatInt(f.seq, 10)
	s := f.shards[i]
	s.records = append(s.records, types.Record{
		SequenceNumber: aws.String(seq), PartitionKey: aws.String(key), Data: data,
		ApproximateArrivalTimestamp: aws.Time(time.Now()),
	})
	return seq
}

func (f *fake) split(i int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.shards[i]
	middle := p.keys.Middle()
	f.open(hashkey.Range{Start: p.keys.Start, End: middle.Prev()}, p)
	f.open(hashkey.Range{Start: middle, End: p.keys.End}, p)
}

func (f *fake) merge(i, j int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, b := f.shards[i], f.shards[j]
	f.open(hashkey.Range{Start: a.keys.Start, End: b.keys.End}, a, b)
}

// expire takes shards out of the stream, as their retention does, or gives them
// back.
func (f *fake) expire(expired bool, shards ...int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range shards {
		f.shards[i].expired = expired
	}
}

func (f *fake) setGone() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gone = true
}

// count is how often an operation was called.
func (f *fake) count(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

func apiError(code, message string) error {
	return &smithy.GenericAPIError{Code: code, Message: message, Fault: smithy.FaultClient}
}

var errNotFound = apiError("ResourceNotFoundException", "Stream orders under account 123456789012 not found.")

// begin counts a call and says how it fails. The caller holds mu.
func (f *fake) begin(ctx context.Context, op string) error {
	f.calls[op]++
	if err := ctx.Err(); err != nil {
		return &smithy.CanceledError{Err: err}
	}
	if f.fault != nil {
		if err := f.fault(op, f.calls[op]); err != nil {
			return err
		}
	}
	if f.gone {
		return errNotFound
	}
	return nil
}

func (f *fake) DescribeStreamSummary(ctx context.Context, in *kinesis.DescribeStreamSummaryInput, _ ...func(*kinesis.Options)) (*kinesis.DescribeStreamSummaryOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(ctx, "DescribeStreamSummary"); err != nil {
		return nil, err
	}
	if n := aws.ToString(in.StreamName); n != f.name && in.StreamARN == nil {
		return nil, errNotFound
	}
	return &kinesis.DescribeStreamSummaryOutput{StreamDescriptionSummary: &types.StreamDescriptionSummary{
		StreamName: aws.String(f.name), StreamStatus: f.status,
		StreamARN:               aws.String("arn:aws:kinesis:eu-central-1:123456789012:stream/" + f.name),
		StreamCreationTimestamp: aws.Time(f.created),
	}}, nil
}

func (f *fake) ListShards(ctx context.Context, in *kinesis.ListShardsInput, _ ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(ctx, "ListShards"); err != nil {
		return nil, err
	}
	var shards []types.Shard
	for _, s := range f.shards {
		if s.expired {
			continue
		}
		if in.ShardFilter != nil && in.ShardFilter.Timestamp != nil && s.closed && s.ended.Before(*in.ShardFilter.Timestamp) {
			continue
		}
		shard := types.Shard{
			ShardId: aws.String(s.id), SequenceNumberRange: &types.SequenceNumberRange{StartingSequenceNumber: aws.String("1")},
			HashKeyRange: &types.HashKeyRange{StartingHashKey: aws.String(s.keys.Start.String()), EndingHashKey: aws.String(s.keys.End.String())},
		}
		if s.closed {
			shard.SequenceNumberRange.EndingSequenceNumber = aws.String("999999")
		}
		if len(s.parents) > 0 {
			shard.ParentShardId = aws.String(s.parents[0])
		}
		if len(s.parents) > 1 {
			shard.AdjacentParentShardId = aws.String(s.parents[1])
		}
		shards = append(shards, shard)
	}
	if f.list != nil {
		shards = f.list(in, shards)
	}
	return &kinesis.ListShardsOutput{Shards: shards}, nil
}

func (f *fake) GetShardIterator(ctx context.Context, in *kinesis.GetShardIteratorInput, _ ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(ctx, "GetShardIterator"); err != nil {
		return nil, err
	}
	s := f.shard(aws.ToString(in.ShardId))
	if s == nil {
		return nil, apiError("ResourceNotFoundException", "Shard not found.")
	}
	at := slices.IndexFunc(s.records, func(r types.Record) bool {
		seq, _ := strconv.Atoi(*r.SequenceNumber)
		from, _ := strconv.Atoi(aws.ToString(in.StartingSequenceNumber))
		switch in.ShardIteratorType {
		case types.ShardIteratorTypeAtSequenceNumber:
			return seq >= from
		case types.ShardIteratorTypeAfterSequenceNumber:
			return seq > from
		case types.ShardIteratorTypeAtTimestamp:
			return !r.ApproximateArrivalTimestamp.Before(*in.Timestamp)
		}
		return true
	})
	if at < 0 {
		at = len(s.records)
	}
	f.iterators = append(f.iterators, strings.TrimSpace(string(in.ShardIteratorType)+" "+aws.ToString(in.StartingSequenceNumber)))
	return &kinesis.GetShardIteratorOutput{ShardIterator: iterator(s.id, at)}, nil
}

// iterator names a shard, the next record and when it was made.
func iterator(id string, at int) *string {
	return aws.String(fmt.Sprintf("%s/%d/%d", id, at, time.Now().UnixMilli()))
}

func (f *fake) shard(id string) *fakeShard {
	for _, s := range f.shards {
		if s.id == id && !s.expired {
			return s
		}
	}
	return nil
}

func (f *fake) GetRecords(ctx context.Context, in *kinesis.GetRecordsInput, _ ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(ctx, "GetRecords"); err != nil {
		return nil, err
	}
	part := strings.Split(aws.ToString(in.ShardIterator), "/")
	s := f.shard(part[0])
	if s == nil {
		return nil, apiError("ResourceNotFoundException", "Shard not found.")
	}
	at, _ := strconv.Atoi(part[1])
	made, _ := strconv.ParseInt(part[2], 10, 64)
	if time.Since(time.UnixMilli(made)) > 5*time.Minute {
		return nil, &types.ExpiredIteratorException{Message: aws.String("Iterator expired.")}
	}
	end := min(at+int(aws.ToInt32(in.Limit)), len(s.records))
	out := &kinesis.GetRecordsOutput{
		Records: slices.Clone(s.records[at:end]), NextShardIterator: iterator(s.id, end),
		MillisBehindLatest: aws.Int64(0),
	}
	if end < len(s.records) {
		out.MillisBehindLatest = aws.Int64(1000)
	}
	if s.closed && end == len(s.records) {
		out.NextShardIterator = nil
		for _, c := range s.children {
			out.ChildShards = append(out.ChildShards, types.ChildShard{
				ShardId: aws.String(c.id), ParentShards: c.parents,
				HashKeyRange: &types.HashKeyRange{StartingHashKey: aws.String(c.keys.Start.String()), EndingHashKey: aws.String(c.keys.End.String())},
			})
		}
	}
	if f.edit != nil {
		f.edit(out)
	}
	return out, nil
}

// recorder is a handler that keeps what it was given, as "data" texts.
type recorder struct {
	mu      sync.Mutex // guards all below
	batches [][]string
	attempt []int
	// then says what to return for a delivery, from 1; nil for nil.
	then func(n int, ctx context.Context, b *Batch) error
}

func (r *recorder) Handle(ctx context.Context, b *Batch) error {
	var texts []string
	for _, rec := range b.Records {
		texts = append(texts, string(rec.Data))
	}
	r.mu.Lock()
	r.batches = append(r.batches, texts)
	r.attempt = append(r.attempt, b.Attempt)
	n, then := len(r.batches), r.then
	r.mu.Unlock()
	if then == nil {
		return nil
	}
	return then(n, ctx, b)
}

// got is the batches as text: "1 2 | 3".
func (r *recorder) got() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, b := range r.batches {
		out = append(out, strings.Join(b, " "))
	}
	return strings.Join(out, " | ")
}

// running is a worker that runs in a bubble.
type running struct {
	*Consumer
	t      *testing.T
	cancel context.CancelFunc
	done   chan error // holds the one result
}

func run(t *testing.T, cfg Config) *running {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{Consumer: c, t: t, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- c.Run(ctx) }()
	return r
}

// stop drains the worker and fails the test when that is not clean.
func (r *running) stop() {
	r.t.Helper()
	r.cancel()
	if err := <-r.done; err != nil {
		r.t.Errorf("Run: %v", err)
	}
}
