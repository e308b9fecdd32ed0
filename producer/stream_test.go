package producer_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/aggregate"
	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/shardrun/shardrun/localstream"
	"github.com/shardrun/shardrun/producer"
)

// stream is a stream of a server in memory.
type stream struct {
	t      *testing.T
	server *localstream.Server
	client *kinesis.Client
	name   *string
}

func newStream(t *testing.T, shards int) *stream {
	t.Helper()
	s := &stream{t: t, server: localstream.NewT(t), name: aws.String("flights")}
	s.client = s.server.Client()
	if _, err := s.client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: s.name, ShardCount: aws.Int32(int32(shards))}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stream) producer(cfg producer.Config) *producer.Producer {
	s.t.Helper()
	cfg.Client, cfg.Stream = s.client, *s.name
	p, err := producer.New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (s *stream) shards(all bool) []types.Shard {
	s.t.Helper()
	in := &kinesis.ListShardsInput{StreamName: s.name}
	if !all {
		in.ShardFilter = &types.ShardFilter{Type: types.ShardFilterTypeAtLatest}
	}
	out, err := s.client.ListShards(s.t.Context(), in)
	if err != nil {
		s.t.Fatal(err)
	}
	return out.Shards
}

func keysOf(sh types.Shard) hashkey.Range {
	r, err := hashkey.ParseRange(*sh.HashKeyRange.StartingHashKey, *sh.HashKeyRange.EndingHashKey)
	if err != nil {
		panic(err)
	}
	return r
}

// split splits one of the open shards.
func (s *stream) split(rnd *rand.Rand) {
	s.t.Helper()
	open := s.shards(false)
	sh := open[rnd.IntN(len(open))]
	_, err := s.client.SplitShard(s.t.Context(), &kinesis.SplitShardInput{
		StreamName: s.name, ShardToSplit: sh.ShardId, NewStartingHashKey: aws.String(keysOf(sh).Middle().String()),
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// merge merges two neighbours among the open shards.
func (s *stream) merge(rnd *rand.Rand) {
	s.t.Helper()
	open := s.shards(false)
	if len(open) < 2 {
		return
	}
	slices.SortFunc(open, func(a, b types.Shard) int { return keysOf(a).Start.Compare(keysOf(b).Start) })
	i := rnd.IntN(len(open) - 1)
	_, err := s.client.MergeShards(s.t.Context(), &kinesis.MergeShardsInput{
		StreamName: s.name, ShardToMerge: open[i].ShardId, AdjacentShardToMerge: open[i+1].ShardId,
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// got is a user record as a consumer delivers it.
type got struct{ key, data string }

// read is what a consumer delivers that reads each shard after its parents.
func (s *stream) read() (out []got) {
	s.t.Helper()
	keys := map[string]hashkey.Range{}
	var order []string
	for _, sh := range s.shards(true) {
		keys[*sh.ShardId] = keysOf(sh)
		order = append(order, *sh.ShardId) // parents have lower numbers than children
	}
	slices.Sort(order)
	for _, id := range order {
		it, err := s.client.GetShardIterator(s.t.Context(), &kinesis.GetShardIteratorInput{
			StreamName: s.name, ShardId: &id, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
		})
		if err != nil {
			s.t.Fatal(err)
		}
		for next := it.ShardIterator; next != nil; {
			page, err := s.client.GetRecords(s.t.Context(), &kinesis.GetRecordsInput{ShardIterator: next})
			if err != nil {
				s.t.Fatal(err)
			}
			for _, r := range page.Records {
				recs, verdict := aggregate.Decode(r.Data, nil)
				if verdict != aggregate.Unpacked {
					out = append(out, got{*r.PartitionKey, string(r.Data)})
				}
				for _, u := range recs {
					if keys[id].Contains(u.Hash()) {
						out = append(out, got{u.Key, string(u.Data)})
					}
				}
			}
			if len(page.Records) == 0 && aws.ToInt64(page.MillisBehindLatest) == 0 {
				break
			}
			next = page.NextShardIterator
		}
	}
	return out
}

// counter numbers the records of each key and checks what came of them.
type counter struct {
	mu     sync.Mutex // guards the fields below
	next   map[string]int
	done   int
	errs   []error
	lastOf map[string]int // number of the last record of a key whose Done was called
	late   int            // Dones out of order
}

func newCounter() *counter { return &counter{next: map[string]int{}, lastOf: map[string]int{}} }

func (c *counter) put(t *testing.T, p *producer.Producer, key string) {
	c.mu.Lock()
	n := c.next[key]
	c.next[key]++
	c.mu.Unlock()
	err := p.Put(t.Context(), producer.Record{Key: key, Data: fmt.Append(nil, n), Done: func(_ producer.Result, err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.done++
		if err != nil {
			c.errs = append(c.errs, err)
		}
		if n > 0 && c.lastOf[key] != n-1 {
			c.late++
		}
		c.lastOf[key] = n
	}})
	if err != nil {
		t.Error(err)
	}
}

// check checks that nothing is lost, first deliveries are in order, and every
// promise was kept, in order.
func (c *counter) check(t *testing.T, read []got) (duplicates int) {
	t.Helper()
	total := 0
	seen := map[string]int{}
	for _, r := range read {
		var n int
		if _, err := fmt.Sscan(r.data, &n); err != nil {
			t.Fatal(err)
		}
		switch {
		case n == seen[r.key]:
			seen[r.key]++
		case n < seen[r.key]:
			duplicates++
		default:
			t.Fatalf("key %s: record %d before record %d", r.key, n, seen[r.key])
		}
	}
	for k, n := range c.next {
		total += n
		if seen[k] != n {
			t.Errorf("key %s: %d of %d records", k, seen[k], n)
		}
	}
	if c.done != total || len(c.errs) > 0 || c.late > 0 {
		t.Errorf("%d of %d promises kept, %d out of order, %d errors: %.500v", c.done, total, c.late, len(c.errs), errors.Join(c.errs...))
	}
	return duplicates
}

func TestOrderedThroughReshardsAndFaultsOfAServer(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStream(t, 2)
				rnd := rand.New(rand.NewPCG(seed, 1))
				p := s.producer(producer.Config{Ordered: true, Linger: 20 * time.Millisecond, RecordTTL: -1})
				c := newCounter()
				for i := range 6000 {
					c.put(t, p, fmt.Sprint("airport-", rnd.IntN(30)))
					if rnd.IntN(2) == 0 {
						time.Sleep(time.Duration(rnd.IntN(1000)) * time.Microsecond)
					}
					switch i % 1000 {
					case 200:
						s.split(rnd)
					case 700:
						s.merge(rnd)
					}
					if seed > 0 && rnd.IntN(60) == 0 {
						s.server.Inject(randomFault(rnd, s.shards(true)))
					}
				}
				if err := p.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				duplicates := c.check(t, s.read())
				t.Logf("%d shards in the end, %d duplicates", len(s.shards(true)), duplicates)
			})
		})
	}
}

func randomFault(rnd *rand.Rand, shards []types.Shard) localstream.Fault {
	switch rnd.IntN(6) {
	case 0:
		return localstream.Fault{Operation: "PutRecords", Shard: *shards[rnd.IntN(len(shards))].ShardId}
	case 1:
		return localstream.Fault{Operation: "PutRecords", Action: localstream.Fail}
	case 2:
		return localstream.Fault{Operation: "PutRecords", Action: localstream.Drop}
	case 3:
		return localstream.Fault{Operation: "PutRecords", Action: localstream.LoseReply}
	case 4:
		return localstream.Fault{Operation: "PutRecords", Action: localstream.Delay, Delay: 50 * time.Millisecond}
	default:
		return localstream.Fault{Operation: "PutRecords"} // the whole call is throttled
	}
}

func TestManyGoroutinesOverManyReshards(t *testing.T) {
	s := newStream(t, 4)
	p := s.producer(producer.Config{Ordered: true, BufferRecords: 500, RateLimit: -1})
	c := newCounter()
	var puts sync.WaitGroup
	for g := range 8 { // each with keys of its own
		puts.Go(func() {
			for i := range 2500 {
				c.put(t, p, fmt.Sprintf("%d-%d", g, i%5))
			}
		})
	}
	stop := make(chan struct{})
	var reshards sync.WaitGroup
	reshards.Go(func() {
		rnd := rand.New(rand.NewPCG(4, 4))
		for i := range 20 {
			select {
			case <-stop:
				return
			default:
			}
			if i%2 == 0 {
				s.split(rnd)
			} else {
				s.merge(rnd)
			}
		}
	})
	puts.Wait()
	close(stop)
	reshards.Wait()
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d duplicates, %d shards", c.check(t, s.read()), len(s.shards(true)))
}

func TestDefaultKeepsOrderWhileNothingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStream(t, 3)
		p := s.producer(producer.Config{AggregateRecords: 5})
		c := newCounter()
		for i := range 5000 {
			c.put(t, p, fmt.Sprint(i%50))
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := c.check(t, s.read()); d > 0 {
			t.Errorf("%d duplicates", d)
		}
	})
}

func TestUnknownStreamOfAServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStream(t, 1)
		s.name = aws.String("nowhere")
		p := s.producer(producer.Config{})
		start := time.Now()
		_, err := p.PutSync(t.Context(), producer.Record{Key: "k"})
		if d := time.Since(start); err == nil || !strings.Contains(err.Error(), "nowhere") || d < 10*time.Second || d > 16*time.Second {
			t.Errorf("after %v: %v", d, err)
		}
		if _, ok := errors.AsType[*types.ResourceNotFoundException](err); !ok {
			t.Errorf("not a ResourceNotFoundException: %v", err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestStreamDeletedWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStream(t, 1)
		p := s.producer(producer.Config{NotFoundTimeout: -1})
		if _, err := p.PutSync(t.Context(), producer.Record{Key: "k"}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: s.name}); err != nil {
			t.Fatal(err)
		}
		_, err := p.PutSync(t.Context(), producer.Record{Key: "k"})
		if _, ok := errors.AsType[*types.ResourceNotFoundException](err); !ok {
			t.Errorf("%v", err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestStreamCreatedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStream(t, 1)
		s.name = aws.String("soon")
		p := s.producer(producer.Config{})
		time.AfterFunc(5*time.Second, func() {
			_, err := s.client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: s.name, ShardCount: aws.Int32(2)})
			if err != nil {
				t.Error(err)
			}
		})
		if _, err := p.PutSync(t.Context(), producer.Record{Key: "k"}); err != nil {
			t.Error(err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestUnreachableEndpointSaysSo(t *testing.T) {
	client := kinesis.New(kinesis.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://127.0.0.1:1"),
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	})
	p, err := producer.New(producer.Config{Client: client, Stream: "s", RecordTTL: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.PutSync(t.Context(), producer.Record{Key: "k"})
	if !errors.Is(err, producer.ErrExpired) || errors.Is(err, producer.ErrMaybeSent) || !strings.Contains(err.Error(), "127.0.0.1:1: connect: connection refused") {
		t.Errorf("%v", err)
	}
	if err := p.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestRecordOverTheStreamsLimitFailsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStream(t, 2)
		// The stream takes 1 MiB, and the producer was told of 10.
		p := s.producer(producer.Config{MaxRecordBytes: 10 << 20, BufferBytes: 64 << 20})
		c := newCounter()
		var large error
		for range 20 {
			c.put(t, p, "small")
		}
		err := p.Put(t.Context(), producer.Record{Key: "large", Data: make([]byte, 2<<20), Done: func(_ producer.Result, err error) { large = err }})
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			c.put(t, p, "small")
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if re, ok := errors.AsType[*producer.RecordError](large); !ok || errors.Is(large, producer.ErrExpired) {
			t.Errorf("%v", large)
		} else {
			t.Logf("code %s after %d attempts: %v", re.Code, re.Attempts, large)
		}
		c.check(t, s.read())
	})
}
