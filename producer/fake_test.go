package producer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/shardrun/shardrun/internal/aggregate"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// fakeKinesis is one stream in memory that places records as Kinesis does, with
// faults on demand. Set the funcs before the first call.
type fakeKinesis struct {
	latency time.Duration // of every PutRecords
	// delay is the latency of the n-th call, if set; n counts from 1.
	delay func(n int) time.Duration
	// before may answer the n-th call in place of the stream; nil, nil passes.
	before func(n int, in *kinesis.PutRecordsInput) (*kinesis.PutRecordsOutput, error)
	// refuse may give an error code for one entry, "" for none.
	refuse func(n, entry int, shard string) string
	// lose may lose the answer of a call that has been carried out.
	lose func(n int) error
	// list may fail or delay a listing; n counts from 1.
	list func(n int) error
	// ignoreKeys puts everything into the shard of the highest hash keys.
	ignoreKeys bool
	// listOld makes that many listings after a reshard show the shards before.
	listOld int

	mu      sync.Mutex // guards the fields below
	shards  []*fakeShard
	old     []types.Shard // what a listing showed before the last reshard
	showOld int
	seq     int
	puts    []putCall
	lists   int
	past    []*fakeShard   // of streams of the same name that were deleted
	away    error          // answer to every call, if set
	missed  int            // calls that were answered so
	flying  map[string]int // calls in flight by shard
	overlap int            // times that two calls in flight had entries for one shard
}

type fakeShard struct {
	id      string
	keys    hashkey.Range
	parents []string
	closed  bool
	records []stored
}

// stored is a Kinesis record in a shard.
type stored struct {
	seq  int
	key  string
	hash string
	data []byte
}

// putCall is one PutRecords call as it came.
type putCall struct {
	at      time.Time
	entries []types.PutRecordsRequestEntry
}

func newFake(shards int) *fakeKinesis {
	f := &fakeKinesis{flying: map[string]int{}}
	for _, r := range hashkey.Split(shards) {
		f.open(r)
	}
	return f
}

func (f *fakeKinesis) open(keys hashkey.Range, parents ...string) {
	f.shards = append(f.shards, &fakeShard{id: fmt.Sprintf("shardId-%012d", len(f.shards)), keys: keys, parents: parents})
}

func (f *fakeKinesis) find(k hashkey.Key) *fakeShard {
	for _, s := range f.shards {
		if !s.closed && s.keys.Contains(k) {
			return s
		}
	}
	panic("fake: no shard")
}

func (f *fakeKinesis) listing() (out []types.Shard) {
	for _, s := range f.shards {
		if !s.closed {
			out = append(out, types.Shard{
				ShardId:             aws.String(s.id),
				HashKeyRange:        &types.HashKeyRange{StartingHashKey: aws.String(s.keys.Start.String()), EndingHashKey: aws.String(s.keys.End.String())},
				SequenceNumberRange: &types.SequenceNumberRange{StartingSequenceNumber: aws.String("1")},
			})
		}
	}
	return out
}

// split closes the open shard of the key and opens two in its place.
func (f *fakeKinesis) split(k hashkey.Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.old, f.showOld = f.listing(), f.listOld
	s := f.find(k)
	s.closed = true
	mid := s.keys.Middle()
	f.open(hashkey.Range{Start: s.keys.Start, End: mid.Prev()}, s.id)
	f.open(hashkey.Range{Start: mid, End: s.keys.End}, s.id)
}

// merge closes the open shard of the key and its upper neighbour.
func (f *fakeKinesis) merge(k hashkey.Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.old, f.showOld = f.listing(), f.listOld
	a := f.find(k)
	if a.keys.End == hashkey.Max {
		return
	}
	b := f.find(a.keys.End.Next())
	a.closed, b.closed = true, true
	f.open(hashkey.Range{Start: a.keys.Start, End: b.keys.End}, a.id, b.id)
}

// leave makes the stream answer every call with the error.
func (f *fakeKinesis) leave(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away, f.missed = err, 0
}

// create makes the stream anew, with other shards under the same ids.
func (f *fakeKinesis) create(shards int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away, f.showOld = nil, 0
	f.past, f.shards = append(f.past, f.shards...), nil
	for _, r := range hashkey.Split(shards) {
		f.open(r)
	}
}

// isMissed reports whether a call was made since the stream left.
func (f *fakeKinesis) isMissed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.missed > 0
}

func (f *fakeKinesis) ListShards(ctx context.Context, in *kinesis.ListShardsInput, _ ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error) {
	f.mu.Lock()
	f.lists++
	n := f.lists
	f.mu.Unlock()
	if f.list != nil {
		if err := f.list(n); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away != nil {
		f.missed++
		return nil, f.away
	}
	shards := f.listing()
	if f.showOld > 0 {
		f.showOld--
		shards = f.old
	}
	// Two pages, if there are as many shards.
	if in.NextToken == nil && len(shards) > 2 {
		return &kinesis.ListShardsOutput{Shards: shards[:2], NextToken: aws.String("2")}, nil
	}
	if in.NextToken != nil {
		shards = shards[min(2, len(shards)):] // a reshard came between the pages
	}
	return &kinesis.ListShardsOutput{Shards: shards}, nil
}

func entryHash(e types.PutRecordsRequestEntry) hashkey.Key {
	if e.ExplicitHashKey != nil {
		k, err := hashkey.Parse(*e.ExplicitHashKey)
		if err != nil {
			panic(err)
		}
		return k
	}
	return hashkey.Of(*e.PartitionKey)
}

func (f *fakeKinesis) PutRecords(ctx context.Context, in *kinesis.PutRecordsInput, _ ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error) {
	f.mu.Lock()
	pc := putCall{at: time.Now()}
	bytes := 0
	for _, e := range in.Records {
		bytes += len(*e.PartitionKey) + len(e.Data)
		if e.Data == nil {
			panic("fake: an entry without data")
		}
		e.PartitionKey, e.Data = aws.String(*e.PartitionKey), append([]byte{}, e.Data...)
		if e.ExplicitHashKey != nil {
			e.ExplicitHashKey = aws.String(*e.ExplicitHashKey)
		}
		pc.entries = append(pc.entries, e)
	}
	if len(in.Records) == 0 || len(in.Records) > 500 || bytes > 10<<20 {
		panic(fmt.Sprintf("fake: a call of %d records and %d bytes", len(in.Records), bytes))
	}
	f.puts = append(f.puts, pc)
	n := len(f.puts)
	mine := map[string]bool{}
	for _, e := range in.Records {
		mine[f.find(entryHash(e)).id] = true
	}
	for id := range mine {
		if f.flying[id]++; f.flying[id] > 1 {
			f.overlap++
		}
	}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		for id := range mine {
			f.flying[id]--
		}
		f.mu.Unlock()
	}()

	latency := f.latency
	if f.delay != nil {
		latency = f.delay(n)
	}
	if latency > 0 {
		select {
		case <-time.After(latency):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if f.before != nil {
		if out, err := f.before(n, in); out != nil || err != nil {
			return out, err
		}
	}
	f.mu.Lock()
	if f.away != nil {
		defer f.mu.Unlock()
		f.missed++
		return nil, f.away
	}
	out := &kinesis.PutRecordsOutput{FailedRecordCount: aws.Int32(0)}
	for i, e := range pc.entries {
		s := f.find(entryHash(e))
		if f.ignoreKeys {
			s = f.find(hashkey.Max)
		}
		if f.refuse != nil {
			if code := f.refuse(n, i, s.id); code != "" {
				*out.FailedRecordCount++
				out.Records = append(out.Records, types.PutRecordsResultEntry{ErrorCode: aws.String(code), ErrorMessage: aws.String("refused by the test")})
				continue
			}
		}
		f.seq++
		s.records = append(s.records, stored{f.seq, *e.PartitionKey, aws.ToString(e.ExplicitHashKey), e.Data})
		out.Records = append(out.Records, types.PutRecordsResultEntry{ShardId: aws.String(s.id), SequenceNumber: aws.String(strconv.Itoa(f.seq))})
	}
	f.mu.Unlock()
	if f.lose != nil {
		if err := f.lose(n); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// userRecord is one user record as a consumer sees it.
type userRecord struct {
	key, data string
	shard     string
	seq, sub  int
}

// read is what a consumer delivers, parents before children. strict drops an
// aggregate as a whole if one member is outside the shard's range, as the KCL;
// otherwise just that member.
func (f *fakeKinesis) read(t *testing.T, strict bool) (out []userRecord) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range slices.Concat(f.past, f.shards) { // children have higher numbers than parents
		for _, r := range s.records {
			recs, v := aggregate.Decode(r.data, nil)
			switch v {
			case aggregate.Malformed:
				t.Fatalf("shard %s holds a malformed aggregate", s.id)
			case aggregate.Plain:
				out = append(out, userRecord{r.key, string(r.data), s.id, r.seq, 0})
				continue
			}
			outside := 0
			for _, u := range recs {
				if !s.keys.Contains(u.Hash()) {
					outside++
				}
			}
			for i, u := range recs {
				if strict && outside > 0 || !s.keys.Contains(u.Hash()) {
					continue
				}
				out = append(out, userRecord{u.Key, string(u.Data), s.id, r.seq, i})
			}
		}
	}
	return out
}

func (f *fakeKinesis) calls() []putCall {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.puts)
}

func (f *fakeKinesis) listings() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lists
}

// ends collects what Done was called with.
type ends struct {
	mu   sync.Mutex // guards the fields below
	list []end
	n    map[string]int
}

type end struct {
	name string
	res  Result
	err  error
}

func (e *ends) done(name string) func(Result, error) {
	return func(r Result, err error) {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.n == nil {
			e.n = map[string]int{}
		}
		e.n[name]++
		e.list = append(e.list, end{name, r, err})
	}
}

func (e *ends) all() []end {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.list)
}

// failed are the errors, by name.
func (e *ends) failed() map[string]error {
	out := map[string]error{}
	for _, x := range e.all() {
		if x.err != nil {
			out[x.name] = x.err
		}
	}
	return out
}

// checkOnce checks that each of n promises was called once.
func (e *ends) checkOnce(t *testing.T, n int) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.n) != n {
		t.Errorf("%d of %d promises were kept", len(e.n), n)
	}
	for name, times := range maps.All(e.n) {
		if times != 1 {
			t.Errorf("the promise of %s was kept %d times", name, times)
		}
	}
}

// gather makes the first listing take a second, so that what is put before
// leaves together.
func (f *fakeKinesis) gather() {
	f.list = func(int) error {
		time.Sleep(time.Second)
		return nil
	}
}

// newTest makes a producer over the fake, closed at the end of the test.
func newTest(t *testing.T, f *fakeKinesis, change func(*Config)) *Producer {
	t.Helper()
	cfg := Config{Client: f, Stream: "stream"}
	if change != nil {
		change(&cfg)
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = p.Close(ctx) // a test that minds closes by itself
	})
	return p
}

func put(t *testing.T, p *Producer, e *ends, key, data string) {
	t.Helper()
	if err := p.Put(t.Context(), Record{Key: key, Data: []byte(data), Done: e.done(key + "=" + data)}); err != nil {
		t.Fatal(err)
	}
}

func flush(t *testing.T, p *Producer) {
	t.Helper()
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

var (
	errReset       = errors.New("read tcp: connection reset by peer")
	invalid  error = &smithy.GenericAPIError{Code: "ValidationException", Message: "bad", Fault: smithy.FaultClient}
	missing  error = &types.ResourceNotFoundException{Message: aws.String("no such stream")}
	nobody   error = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
)

// checkOrder checks that data, which counts up by key, comes first in order,
// and that nothing is lost.
func checkOrder(t *testing.T, got []userRecord, keys map[string]int) (duplicates int) {
	t.Helper()
	next := map[string]int{}
	for _, r := range got {
		n, err := strconv.Atoi(r.data)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case n == next[r.key]:
			next[r.key]++
		case n < next[r.key]:
			duplicates++
		default:
			t.Fatalf("key %s: record %d (%s:%d) before record %d", r.key, n, r.shard, r.seq, next[r.key])
		}
	}
	for k, n := range keys {
		if next[k] != n {
			t.Errorf("key %s: %d of %d records", k, next[k], n)
		}
	}
	return duplicates
}
