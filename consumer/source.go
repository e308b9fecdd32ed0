package consumer

import (
	"context"
	"errors"
	"math/rand/v2"
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
	// listTimeout bounds one that asks what there is, for which nothing may start:
	// it has a short answer.
	listTimeout = 10 * time.Second
	// maxRead is how many bytes GetRecords returns at most, and maxKey the
	// length of a partition key, should keys not count as bytes.
	maxRead, maxKey = 10 << 20, 256
	// refusals is how often in a row an iterator that was just given may be
	// refused as invalid before reading ends.
	refusals = 3
)

// readRetry spaces the reads of a shard that fail.
var readRetry = backoff.Policy{Min: 200 * time.Millisecond, Max: 10 * time.Second}

// source reads one shard by polling, from a position on. One goroutine uses it
// at a time.
type source struct {
	client Kinesis
	stream stream
	shard  string
	size   int32 // records a read
	pace   pace
	due    time.Time // of the next read
	budget *budget
	hooks  Hooks
	log    *zap.Logger
	rnd    *rand.Rand                 // of its pauses
	tip    func(behind time.Duration) // told after each read
	unpack unpacker

	from     checkpoint.Position       // where reading begins
	last     checkpoint.SequenceNumber // of the Kinesis record read last
	iterator *string                   // nil when one is to be got
	refused  int                       // invalid iterators in a row
}

// restart has the next run read from a position on.
func (s *source) restart(from checkpoint.Position) {
	s.from, s.last, s.iterator, s.refused = from, "", nil, 0
	s.unpack.after = from
}

// most is the memory that one read may take.
func (s *source) most() int64 { return maxRead + int64(s.size)*(maxKey+recordOverhead) }

// run sends the pages of the shard, in order, to out until the shard ends, for
// which it returns nil, or ctx does. It reads one page ahead: the page that
// nobody has taken yet. Failures that may pass are retried for as long as it
// takes; the others are returned.
func (s *source) run(ctx context.Context, out chan<- *page) error {
	failed := 0
	for {
		if wait := time.Until(s.due); wait > 0 {
			if err := backoff.Sleep(ctx, wait); err != nil {
				return err
			}
		}
		a, err := s.readOne(ctx)
		switch {
		case err != nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			failed++
			pause, err := s.afterError(err, failed)
			if err != nil {
				return err
			}
			s.due = time.Now().Add(pause)
			continue
		}
		failed = 0
		idle := len(a.raw) == 0 && a.behind == 0
		s.due = a.started.Add(s.pace.next(a.event.Bytes, idle))
		if err := s.send(ctx, out, a); err != nil || a.last {
			return err
		}
	}
}

// readOne waits for memory and reads. What the answer counts in the budget is
// then taken.
func (s *source) readOne(ctx context.Context) (*answer, error) {
	held, err := s.budget.acquire(ctx, s.most())
	if err != nil {
		return nil, err
	}
	var got int64
	defer func() { s.budget.landed(held, got) }()
	a, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	got = int64(a.size)
	return a, nil
}

// read gets one answer, and an iterator before it if there is none.
func (s *source) read(ctx context.Context) (*answer, error) {
	if s.iterator == nil {
		if err := s.seek(ctx); err != nil {
			return nil, &ShardError{s.stream.name, s.shard, "get shard iterator of", err}
		}
	}
	start := time.Now()
	a, err := s.getRecords(ctx)
	if err != nil {
		if ctx.Err() == nil {
			call(s.hooks.Read, ReadEvent{Shard: s.shard, Took: time.Since(start), Err: err})
		}
		return nil, &ShardError{s.stream.name, s.shard, "get records of", err}
	}
	a.started = start
	a.event.Shard, a.event.Took = s.shard, a.read.Sub(start)
	return a, nil
}

func (s *source) getRecords(ctx context.Context) (*answer, error) {
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
	if err := check(out.Records); err != nil {
		return nil, err
	}
	s.checkFirst(out.Records)
	s.refused = 0
	s.iterator = out.NextShardIterator
	if n := len(out.Records); n > 0 {
		s.last = checkpoint.SequenceNumber(aws.ToString(out.Records[n-1].SequenceNumber))
	}
	a := &answer{raw: out.Records}
	a.read = time.Now()
	a.behind = time.Duration(aws.ToInt64(out.MillisBehindLatest)) * time.Millisecond
	a.last, a.children = out.NextShardIterator == nil, out.ChildShards
	a.size, a.event.Bytes = rawSize(out.Records)
	a.event.Raw, a.event.Behind = len(out.Records), a.behind
	return a, nil
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
	pause := readRetry.Next(failed, s.rnd)
	class := awserr.Classify(err)
	message, fields := "read failed, will try again", []zap.Field{zap.Stringer("class", class)}
	switch class {
	case awserr.ExpiredIterator:
		s.iterator = nil
		if failed == 1 {
			pause = 0 // a slow handler let it expire; nothing is overloaded
		}
	case awserr.Gone:
		return 0, err
	case awserr.Fatal:
		fields = nil // those that are tried again are not
		switch {
		case s.iterator != nil && awserr.Code(err) == "InvalidArgumentException" && s.refused < refusals:
			// A server may forget the key that it signed its iterators with.
			s.iterator = nil
			s.refused++
		case s.iterator == nil && s.last == "" && !s.from.Since.IsZero() && awserr.Code(err) == "InvalidArgumentException":
			message = "the time to read from has not come yet by the clock of the service, will try again"
			fields = append(fields, zap.Time("from", s.from.Since))
		default:
			return 0, err
		}
	}
	s.log.Warn(message, append(fields, zap.Duration("pause", pause), zap.Error(err))...)
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
