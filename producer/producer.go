package producer

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/internal/entropy"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// Producer writes records to one stream. Its methods may be called
// concurrently. It owns goroutines until Close: one that decides (run), one for
// each PutRecords call in flight, one while it lists the shards, and one for
// each shard that gave up records, while their Dones run.
type Producer struct {
	cfg    Config
	log    *zap.Logger
	ctx    context.Context // of calls; ends when Close gives up or is done
	stop   context.CancelCauseFunc
	hashes *hashkey.Cache
	wake   chan struct{} // tells run to look again; capacity 1, so a signal is never lost and never waits
	work   sync.WaitGroup

	closing chan struct{} // closed when Close begins: Puts that wait give up
	closed  chan struct{} // closed when Close has ended

	mu       sync.Mutex // guards the fields below; never held over a call, a wait or a promise
	core     *core
	isClosed bool
}

// New starts a producer, which lists the stream's shards at once and calls
// Kinesis until it is closed. It returns an error if cfg is not accepted, and
// makes no call itself: a stream that does not exist is an error of the records.
func New(cfg Config) (*Producer, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancelCause(context.Background())
	p := &Producer{
		cfg:     cfg,
		log:     cfg.Logger.Named("producer").With(zap.String("stream", cfg.Stream)),
		ctx:     ctx,
		stop:    stop,
		hashes:  hashkey.NewCache(),
		wake:    make(chan struct{}, 1),
		closing: make(chan struct{}),
		closed:  make(chan struct{}),
		core:    newCore(cfg, time.Now(), entropy.Uint64()),
	}
	p.work.Go(p.run)
	return p, nil
}

// Put accepts a record, copies its data, and returns before it is written: its
// Done is called when its fate is known. While the buffer is full Put waits,
// until ctx ends. After an error the record was not accepted, and Done is not
// called.
//
// An error wraps ErrClosed, ErrTooLarge or the cause of ctx's end, or says what
// is wrong with the record.
func (p *Producer) Put(ctx context.Context, r Record) error {
	hash, err := r.check(&p.cfg, p.hashes)
	if err != nil {
		return err
	}
	p.mu.Lock()
	if p.isClosed {
		p.mu.Unlock()
		return errClosedPut
	}
	if !p.core.room.take(r.size()) {
		w := &waiter{record: r, hash: hash, granted: make(chan struct{})}
		p.core.room.wait(w)
		p.mu.Unlock()
		p.signal() // lingering now only keeps this Put waiting
		return p.wait(ctx, w)
	}
	p.accept(&r, hash)
	return nil
}

var errClosedPut = fmt.Errorf("put record: %w", ErrClosed)

// accept gives the core a record for which room was taken. It is called with the
// lock held, and lets go of it.
func (p *Producer) accept(r *Record, hash hashkey.Key) {
	wake := p.core.accept(time.Now(), r, hash)
	p.mu.Unlock()
	if wake {
		p.signal()
	}
}

// wait is the rest of a Put that found no room.
func (p *Producer) wait(ctx context.Context, w *waiter) error {
	var err error
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
		err = fmt.Errorf("put record: wait for room in the buffer: %w", context.Cause(ctx))
	case <-p.closing:
		err = errClosedPut
	}
	accepted := false
	p.step(func(c *core) {
		if accepted = w.accepted; !accepted {
			c.room.leave(w) // others may have waited behind it only
		}
	})
	if accepted {
		return nil
	}
	return err
}

// TryPut is Put that does not wait: when the buffer is full it returns an error
// that wraps ErrBufferFull.
func (p *Producer) TryPut(r Record) error {
	hash, err := r.check(&p.cfg, p.hashes)
	if err != nil {
		return err
	}
	p.mu.Lock()
	if p.isClosed {
		p.mu.Unlock()
		return errClosedPut
	}
	if !p.core.room.take(r.size()) {
		p.mu.Unlock()
		return fmt.Errorf("put record: %w: %d records and %d bytes are accepted (BufferRecords, BufferBytes)",
			ErrBufferFull, p.cfg.BufferRecords, p.cfg.BufferBytes)
	}
	p.accept(&r, hash)
	return nil
}

// PutSync puts a record and waits for its result; r.Done is called too if it is
// set. When ctx ends while the record is on its way, the error wraps
// ErrMaybeSent: it may be written yet.
func (p *Producer) PutSync(ctx context.Context, r Record) (Result, error) {
	type end struct {
		result Result
		err    error
	}
	ended := make(chan end, 1) // room for the one end, so that Done never waits
	done := r.Done
	r.Done = func(res Result, err error) {
		if done != nil {
			done(res, err)
		}
		ended <- end{res, err}
	}
	if err := p.Put(ctx, r); err != nil {
		return Result{}, err
	}
	select {
	case e := <-ended:
		return e.result, e.err
	case <-ctx.Done():
	}
	select {
	case e := <-ended: // as well
		return e.result, e.err
	default:
		return Result{}, fmt.Errorf("put record: %w: %w", ErrMaybeSent, context.Cause(ctx))
	}
}

// Flush sends what was accepted before the call without lingering and waits
// until the fate of all of it is known and every Done has returned. If ctx ends
// first, the error says how many records are left; they are still sent.
func (p *Producer) Flush(ctx context.Context) error {
	p.mu.Lock()
	p.core.hasten()
	mark := p.core.flushes.mark()
	p.mu.Unlock()
	if mark == nil {
		return nil
	}
	p.signal()
	select {
	case <-mark:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	left := p.core.flushes.leftUpTo(mark)
	p.mu.Unlock()
	if left == 0 {
		return nil // ended as well
	}
	return fmt.Errorf("flush: %d records are left: %w", left, context.Cause(ctx))
}

// Close refuses further records and waits, as Flush does, until the others have
// been written. If ctx ends first, calls in flight are cut off, the Done of
// each record that is left is called with an error that wraps ErrClosed, and
// Close returns how many there were. No goroutine of the producer is left when
// Close returns, and no Done is called later. Closing again waits for the first
// Close, or for the end of ctx.
func (p *Producer) Close(ctx context.Context) error {
	p.mu.Lock()
	first := !p.isClosed
	p.isClosed = true
	p.core.room.waiting = nil // they hear of it from closing
	p.mu.Unlock()
	if !first {
		select {
		case <-p.closed:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("close: wait for an earlier Close: %w", context.Cause(ctx))
		}
	}
	close(p.closing)
	defer close(p.closed)

	_ = p.Flush(ctx) // what it says is left may be written yet; counted below
	p.stop(ErrClosed)
	p.work.Wait()
	var left []outcome
	p.step(func(c *core) { left = c.failAll(ErrClosed) })
	n := count(left)
	p.keep(left)
	if n > 0 {
		return fmt.Errorf("close: %d records were not sent: %w", n, context.Cause(ctx))
	}
	return nil
}

// Buffered is the number of records accepted and not settled, and the bytes of
// their keys and data.
func (p *Producer) Buffered() (records, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.core.flushes.left, p.core.room.bytes
}

// signal makes run look again.
func (p *Producer) signal() {
	select {
	case p.wake <- struct{}{}:
	default: // it has not looked since the last signal
	}
}

// step runs f on the core under the lock, accepts what f made room for, and
// lets those go that waited for it.
func (p *Producer) step(f func(*core)) {
	p.mu.Lock()
	f(p.core)
	wake := p.core.admit(time.Now())
	free := p.core.takeFreed()
	p.mu.Unlock()
	for _, ch := range free {
		close(ch)
	}
	if wake {
		p.signal()
	}
}

func count(outcomes []outcome) (records int) {
	for _, o := range outcomes {
		records += len(o.entry.records)
	}
	return records
}
