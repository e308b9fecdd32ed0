package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/awserr"
	"github.com/shardrun/shardrun/internal/backoff"
)

const (
	// callTimeout bounds one call to Kinesis, so that a connection that died
	// without a word is noticed.
	callTimeout = 30 * time.Second
	// What is set aside in the memory budget for a read before its size is
	// known: as much as the one before it brought, within these bounds. The
	// upper one is what GetRecords returns at most.
	minReserve, maxReserve = 256 << 10, 10 << 20
	// refusals is how often in a row an iterator that was just given may be
	// refused as invalid before reading ends.
	refusals = 3
)

// readRetry spaces the reads of a shard that fail.
var readRetry = backoff.Policy{Min: 200 * time.Millisecond, Max: 10 * time.Second}

// source reads one shard by polling, from a position on. One goroutine uses it.
type source struct {
	client  Kinesis
	stream  stream
	shard   string
	size    int32 // records a read
	pace    pace
	budget  *budget
	hooks   Hooks
	log     *zap.Logger
	tip     func(behind time.Duration) // told after each read
	unpack  unpacker
	reserve int64

	from     checkpoint.Position       // where reading begins
	last     checkpoint.SequenceNumber // of the Kinesis record read last
	iterator *string                   // nil when one is to be got
	refused  int                       // invalid iterators in a row
}

// run sends the pages of the shard, in order, to out until the shard ends, for
// which it returns nil, or ctx does. It reads one page ahead: the page that
// nobody has taken yet. Failures that may pass are retried for as long as it
// takes; the others are returned.
func (s *source) run(ctx context.Context, out chan<- *page) error {
	failed := 0
	for {
		start := time.Now()
		held, err := s.budget.acquire(ctx, min(max(s.reserve, minReserve), maxReserve))
		if err != nil {
			return err
		}
		p, err := s.read(ctx)
		if err != nil {
			s.budget.release(held)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			failed++
			pause, err := s.afterError(err, failed)
			if err != nil {
				return err
			}
			if err := backoff.Sleep(ctx, pause); err != nil {
				return err
			}
			continue
		}
		failed = 0
		s.reserve = int64(p.size)
		s.budget.release(held - s.reserve)
		if err := s.send(ctx, out, p); err != nil || p.last {
			return err
		}
		idle := p.counts.raw == 0 && p.behind == 0
		if wait := s.pace.next(p.counts.bytes, idle) - time.Since(start); wait > 0 {
			if err := backoff.Sleep(ctx, wait); err != nil {
				return err
			}
		}
	}
}

// send hands a page over, unless ctx ends first. A page with nothing in it is
// kept back, so that it does not take the place of a page read ahead.
func (s *source) send(ctx context.Context, out chan<- *page, p *page) error {
	s.tip(p.behind)
	if p.counts.raw == 0 && !p.last {
		return nil
	}
	select {
	case out <- p:
		return nil
	case <-ctx.Done():
		s.budget.release(int64(p.size))
		return context.Cause(ctx)
	}
}

// read gets one page, and an iterator before it if there is none.
func (s *source) read(ctx context.Context) (*page, error) {
	if s.iterator == nil {
		if err := s.seek(ctx); err != nil {
			return nil, &ShardError{s.stream.name, s.shard, "get shard iterator of", err}
		}
	}
	start := time.Now()
	p, err := s.getRecords(ctx)
	e := ReadEvent{Shard: s.shard, Took: time.Since(start), Err: err}
	if err != nil {
		if ctx.Err() == nil {
			call(s.hooks.Read, e)
		}
		return nil, &ShardError{s.stream.name, s.shard, "get records of", err}
	}
	e.Raw, e.Records, e.Bytes, e.Behind = p.counts.raw, len(p.records), p.counts.bytes, p.behind
	e.OutOfRange, e.Malformed = p.counts.outOfRange, p.counts.malformed
	call(s.hooks.Read, e)
	s.report(p)
	return p, nil
}

func (s *source) getRecords(ctx context.Context) (*page, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := s.client.GetRecords(ctx, &kinesis.GetRecordsInput{
		ShardIterator: s.iterator,
		StreamARN:     aws.String(s.stream.arn),
		Limit:         aws.Int32(s.size),
	})
	if err != nil {
		return nil, err
	}
	s.checkFirst(out.Records)
	p, err := s.unpack.unpack(out.Records)
	if err != nil {
		return nil, err
	}
	s.refused = 0
	s.iterator = out.NextShardIterator
	if n := len(out.Records); n > 0 {
		s.last = checkpoint.SequenceNumber(aws.ToString(out.Records[n-1].SequenceNumber))
	}
	p.read = time.Now()
	p.behind = time.Duration(aws.ToInt64(out.MillisBehindLatest)) * time.Millisecond
	p.last = out.NextShardIterator == nil
	p.children = out.ChildShards
	return p, nil
}

// seek gets an iterator behind what was read, or where reading begins.
func (s *source) seek(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	in := iteratorInput(s.from, s.last)
	in.StreamARN, in.ShardId = aws.String(s.stream.arn), aws.String(s.shard)
	out, err := s.client.GetShardIterator(ctx, in)
	if err != nil {
		return err
	}
	if out.ShardIterator == nil {
		return errors.New("the answer has no iterator")
	}
	s.iterator = out.ShardIterator
	return nil
}

// iteratorInput says where to read on: after the Kinesis record read last or,
// when none was, at the position that reading begins with. That one is read
// again, because user records of its aggregate may be left.
func iteratorInput(from checkpoint.Position, last checkpoint.SequenceNumber) *kinesis.GetShardIteratorInput {
	switch {
	case last != "":
		return &kinesis.GetShardIteratorInput{
			ShardIteratorType:      types.ShardIteratorTypeAfterSequenceNumber,
			StartingSequenceNumber: aws.String(string(last)),
		}
	case from.Rank == checkpoint.RankRecord:
		return &kinesis.GetShardIteratorInput{
			ShardIteratorType:      types.ShardIteratorTypeAtSequenceNumber,
			StartingSequenceNumber: aws.String(string(from.Sequence)),
		}
	case !from.Since.IsZero():
		return &kinesis.GetShardIteratorInput{
			ShardIteratorType: types.ShardIteratorTypeAtTimestamp,
			Timestamp:         aws.Time(from.Since),
		}
	default:
		return &kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon}
	}
}

// afterError says how long to wait before the next try, or returns the error
// that ends the reading. Calls that were cut off by our own time limit count as
// network trouble.
func (s *source) afterError(err error, failed int) (time.Duration, error) {
	pause := readRetry.Next(failed, nil)
	class := awserr.Classify(err)
	switch class {
	case awserr.ExpiredIterator:
		s.iterator = nil
		if failed == 1 {
			pause = 0 // a slow handler let it expire; nothing is overloaded
		}
	case awserr.Gone:
		return 0, err
	case awserr.Fatal:
		switch {
		case s.iterator != nil && awserr.Code(err) == "InvalidArgumentException" && s.refused < refusals:
			// A server may forget the key that it signed its iterators with.
			s.iterator = nil
			s.refused++
		case s.iterator == nil && s.last == "" && !s.from.Since.IsZero() && awserr.Code(err) == "InvalidArgumentException":
			// The server's clock has not reached the time to start from.
		default:
			return 0, err
		}
	}
	s.log.Warn("read failed, will try again", zap.Stringer("class", class), zap.Duration("pause", pause), zap.Error(err))
	return pause, nil
}

// checkFirst looks at the first records after a saved position: the record of
// that position is among them unless the stream has let it go.
func (s *source) checkFirst(records []types.Record) {
	if s.last != "" || s.from.Rank != checkpoint.RankRecord || len(records) == 0 {
		return
	}
	first := checkpoint.SequenceNumber(aws.ToString(records[0].SequenceNumber))
	if first.Validate() != nil || first.Compare(s.from.Sequence) <= 0 {
		return
	}
	s.log.Warn("the record of the saved position is no longer in the stream; records after it may have expired unread",
		zap.Stringer("position", s.from), zap.String("oldest", string(first)))
	if s.hooks.RecordsExpired != nil {
		s.hooks.RecordsExpired(s.shard, s.from, checkpoint.At(first, 0))
	}
}

// report logs what was odd about a page.
func (s *source) report(p *page) {
	c := p.counts
	if c.malformed > 0 {
		s.log.Warn("malformed aggregates delivered as they are", zap.Int("records", c.malformed))
	}
	if c.outOfRange > 0 {
		s.log.Warn("user records of another shard's hash range left out; their producer sends them again", zap.Int("records", c.outOfRange))
	}
	if c.older > 0 {
		s.log.Error("the stream returned records from before the position asked for; left out",
			zap.Int("records", c.older), zap.String("position", fmt.Sprint(p.end)))
	}
}
