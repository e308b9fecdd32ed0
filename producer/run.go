package producer

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"

	"github.com/shardrun/shardrun/internal/awserr"
)

// run does what the core decides until the producer is stopped.
func (p *Producer) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := time.Now()
		var pl plan
		p.step(func(c *core) { pl = c.next(now) })
		for _, s := range pl.settled {
			p.work.Go(func() { p.settle(s) })
		}
		for _, cl := range pl.calls {
			p.work.Go(func() { p.send(cl) })
		}
		if pl.list {
			p.work.Go(p.list)
		}
		if !pl.wake.IsZero() {
			timer.Reset(time.Until(pl.wake))
		} else {
			timer.Stop()
		}
		select {
		case <-p.wake:
		case <-timer.C:
		case <-p.ctx.Done():
			return
		}
	}
}

// once turns the client's own retries off: the producer's keep the order and
// count the attempts.
func once(o *kinesis.Options) { o.Retryer = aws.NopRetryer{} }

// send makes one PutRecords call and deals with its answer.
func (p *Producer) send(cl *call) {
	in := &kinesis.PutRecordsInput{Records: make([]types.PutRecordsRequestEntry, len(cl.entries))}
	in.StreamName, in.StreamARN = p.stream()
	for i, e := range cl.entries {
		e.seal(p.cfg.FirstKey)
		in.Records[i].PartitionKey = &e.key
		if e.hashKey != "" {
			in.Records[i].ExplicitHashKey = &e.hashKey
		}
		in.Records[i].Data = e.data // never nil, which would leave the member out
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(p.ctx, p.cfg.RequestTimeout)
	out, err := p.cfg.Client.PutRecords(ctx, in, once)
	cancel()
	now := time.Now()
	answers, err := answersOf(out, err, len(cl.entries))

	var settled []outcome
	p.step(func(c *core) { settled = c.landed(now, cl, answers, err) })
	p.logCall(cl, err)
	if p.cfg.Hooks.Call != nil {
		p.cfg.Hooks.Call(CallEvent{
			Entries: len(cl.entries), Records: cl.records, Bytes: cl.bytes,
			Throttled: cl.throttled, Limit: cl.limit, Failed: cl.failed, Misplaced: cl.misplaced,
			Duration: now.Sub(start), Err: err,
		})
	}
	p.keep(settled)
	p.step(func(c *core) { c.ended(cl) })
	p.signal()
}

// settle keeps the promises of records whose end was not a call's to tell.
func (p *Producer) settle(s settlement) {
	p.keep(s.outcomes)
	p.step(func(*core) { s.lane.busy = false })
	p.signal()
}

// answersOf reads the answer to a call of n entries.
func answersOf(out *kinesis.PutRecordsOutput, err error, n int) ([]answer, error) {
	if err != nil {
		return nil, fmt.Errorf("put records: %w", awserr.Named(err))
	}
	if len(out.Records) != n {
		return nil, fmt.Errorf("put records: %d answers to %d records", len(out.Records), n)
	}
	answers := make([]answer, n)
	for i, r := range out.Records {
		answers[i] = answer{
			aws.ToString(r.ShardId), aws.ToString(r.SequenceNumber),
			aws.ToString(r.ErrorCode), aws.ToString(r.ErrorMessage),
		}
	}
	return answers, nil
}

func (p *Producer) logCall(cl *call, err error) {
	switch {
	case p.ctx.Err() != nil:
	case err != nil:
		p.log.Warn("call failed", zap.Int("entries", len(cl.entries)), zap.Stringer("class", awserr.Classify(err)), zap.Error(err))
	case cl.failed+cl.throttled > 0:
		p.log.Warn("call failed in part", zap.Int("entries", len(cl.entries)),
			zap.Int("throttled", cl.throttled), zap.Int("failed", cl.failed))
	case cl.misplaced > 0:
		p.log.Info("shards have changed", zap.Int("misplaced", cl.misplaced))
	}
}

// keep calls the promises of outcomes, and then counts them as settled.
func (p *Producer) keep(outcomes []outcome) {
	if len(outcomes) == 0 {
		return
	}
	now := time.Now()
	for _, o := range outcomes {
		var err error
		if o.err != nil {
			err = o.err
			p.log.Error("records not written", zap.String("shard", o.shard),
				zap.Int("records", len(o.entry.records)), zap.Error(err))
		}
		res := Result{Shard: o.at.shard, Sequence: o.at.sequence, Attempts: o.entry.attempts}
		for i := range o.entry.records {
			if done := o.entry.records[i].done; done != nil {
				if err != nil {
					done(Result{}, err)
				} else {
					res.Subsequence = uint64(i)
					done(res, nil)
				}
			}
		}
		if p.cfg.Hooks.Settled != nil {
			shard := o.shard
			if err == nil {
				shard = o.at.shard
			}
			p.cfg.Hooks.Settled(SettledEvent{
				Shard: shard, Records: len(o.entry.records), Bytes: len(o.entry.data),
				Attempts: o.entry.attempts, Age: now.Sub(o.entry.oldest), Err: err,
			})
		}
	}
	p.step(func(c *core) { c.kept(outcomes) })
}

// stream is the stream as the API wants it: by name or by ARN.
func (p *Producer) stream() (name, arn *string) {
	if strings.HasPrefix(p.cfg.Stream, "arn:") {
		return nil, &p.cfg.Stream
	}
	return &p.cfg.Stream, nil
}
