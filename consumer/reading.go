package consumer

import (
	"context"
	"sync"
	"time"

	"github.com/shardrun/shardrun/internal/entropy"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// startSpread spaces the first reads of shards that were acquired in one step, so
// that they do not call in one burst, then and at each poll after.
const startSpread = time.Millisecond

// reading is the goroutine that reads a shard ahead of what is handled.
type reading struct {
	pages chan *page // without room: one page ahead is enough
	stop  context.CancelFunc
	ended sync.WaitGroup
	err   error // why it ended, nil at the shard's end; set before pages is closed
}

// source is where the shard is read from.
func (s *shard) source() (*source, error) {
	cfg := s.c.cfg
	l := s.held.Lease()
	keys := hashkey.Full
	if l.Shard.StartingHashKey != "" || l.Shard.EndingHashKey != "" {
		var err error
		if keys, err = hashkey.ParseRange(l.Shard.StartingHashKey, l.Shard.EndingHashKey); err != nil {
			return nil, s.fail("read the lease of", err)
		}
	}
	rnd := entropy.Of(s.c.seed, "reading "+s.name, l.Epoch)
	return &source{
		client: cfg.Client, stream: s.stream, shard: s.name, size: int32(cfg.PageSize),
		pace:   pace{reads: cfg.ReadsPerSecond, bytes: cfg.ReadBytesPerSecond, minGap: cfg.IdleDelay, maxGap: cfg.MaxIdleDelay},
		budget: s.c.budget, hooks: cfg.Hooks, log: s.log,
		rnd: rnd, due: time.Now().Add(time.Duration(rnd.Int64N(int64(startSpread)))),
		tip:    s.progress.tip,
		unpack: unpacker{keys: keys},
	}, nil
}

// startReading reads on behind what is in the queue, unless that goes on or has
// come to the shard's end.
func (s *shard) startReading(ctx context.Context) {
	if s.reading != nil || s.queue.last {
		return
	}
	s.src.restart(s.queue.end)
	ctx, stop := context.WithCancel(ctx)
	r := &reading{pages: make(chan *page), stop: stop, err: errExited}
	r.ended.Go(func() {
		defer close(r.pages)
		r.err = s.src.run(ctx, r.pages)
	})
	s.reading, s.feed = r, r.pages
}

// stopReading ends the reading, waits for it, and gives back a page that was
// read ahead.
func (s *shard) stopReading() {
	r := s.reading
	if r == nil {
		return
	}
	r.stop()
	for p := range r.pages {
		s.c.budget.release(int64(p.size))
	}
	r.ended.Wait()
	s.reading, s.feed = nil, nil
}

// shed makes room for other shards while the batch waits to be tried again: what
// was read behind it is let go of, and read again afterwards.
func (s *shard) shed() {
	if s.parked > 0 {
		return
	}
	if s.reading != nil {
		s.log.Info("what was read behind a batch that is retried is let go of: other shards need the memory")
	}
	s.stopReading()
	s.c.budget.release(int64(s.queue.cut(s.batch)))
	s.parked = int64(s.queue.held(s.batch))
	s.c.budget.park(s.parked)
}

// unpark ends what shed began: the batch is on its way again.
func (s *shard) unpark() {
	if s.parked == 0 {
		return
	}
	s.c.budget.park(-s.parked)
	s.parked = 0
}

// take puts a page in the queue; ok is false when there are no more.
func (s *shard) take(p *page, ok bool) {
	if !ok {
		s.feed = nil
		return
	}
	s.progress.page(p)
	if s.queue.add(p) {
		s.held.Save(s.queue.end, 0, nil)
		s.progress.moved(s.queue.end, 0)
	}
}

// readAhead takes a page if one is there, and reports whether the queue changed.
func (s *shard) readAhead() bool {
	select {
	case p, ok := <-s.feed:
		s.take(p, ok)
		return true
	default:
		return false
	}
}
