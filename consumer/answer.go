package consumer

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"
)

// answer is what one read brought.
type answer struct {
	raw           []types.Record // not yet unpacked
	size          int            // in the memory budget, of what was not yet sent
	started, read time.Time
	behind        time.Duration
	last          bool
	children      []types.ChildShard
	event         ReadEvent
}

// send hands the pages of an answer over, unless ctx ends first. A page with
// nothing in it is kept back, so that it does not take the place of a page read
// ahead.
func (s *source) send(ctx context.Context, out chan<- *page, a *answer) error {
	defer func() { s.budget.release(int64(a.size)) }() // of what was not sent
	s.tip(a.behind)
	for {
		p, rest := s.unpack.unpack(a.raw)
		a.raw = slices.Clone(rest) // lets go of the data before it
		s.budget.release(int64(p.cost - p.size))
		a.size += p.size - p.cost
		p.read, p.behind = a.read, a.behind
		a.count(p)
		s.report(p)
		more := len(a.raw) > 0
		if !more {
			p.last, p.children = a.last, a.children
			call(s.hooks.Read, a.event)
		}
		if p.counts.raw == 0 && !p.last {
			return nil
		}
		select {
		case out <- p:
			a.size -= p.size
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if !more {
			return nil
		}
	}
}

// count adds what was unpacked to the event.
func (a *answer) count(p *page) {
	a.event.Records += len(p.records)
	a.event.OutOfRange += p.counts.outOfRange
	a.event.Malformed += p.counts.malformed
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
