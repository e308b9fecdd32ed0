package localstream

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/state"
	"github.com/shardrun/shardrun/localstream/internal/wal"
	"github.com/shardrun/shardrun/localstream/internal/wire"
)

// The limits of a subscription.
const (
	subscriptionLife = 5 * time.Minute
	subscriptionBeat = 5 * time.Second // an event comes at least that often

	// An event has as many records and as many bytes of keys and data at most,
	// or one record that has more. It is what a client that does not read holds.
	maxRecordsPerEvent = 1000
	maxBytesPerEvent   = 256 << 10
)

// subscription reads a shard for a consumer, as the records come. While it waits
// for them it holds no memory but its few fields, and it never holds a lock that
// those who put have to wait for.
type subscription struct {
	server   *Server
	peer     netip.Prefix // whose it is
	st       *stream
	consumer state.Consumer
	shard    uint32 // its number
	key      seatKey
	seat     *seat

	from    uint64         // the index of the next record
	reached state.Sequence // AFTER_SEQUENCE_NUMBER goes on where the subscription is
	behind  int64          // the latest record, in milliseconds, as of the last page
	due     time.Time      // when the next event has to be sent
	rate    bucket         // of bytes, with LimitsAWS
}

// send sends the events of the shard until its end, or the end of the
// subscription: by ctx, by its age, or by an error that the client is told.
func (s *subscription) send(ctx context.Context, to *eventStream) error {
	gone := false
	defer func() { s.st.seats.free(s.key, s.seat, time.Now(), gone) }()
	share := &share{server: s.server, peer: s.peer}
	defer share.free()
	end := time.Now().Add(subscriptionLife)
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	timer := time.NewTimer(subscriptionBeat)
	defer timer.Stop()
	for {
		v, changed := s.st.view.Load(), s.st.log.Changed(s.shard) // before reading: what comes later is heard of
		if s.seat.isLost() {
			return s.anotherActive()
		}
		if ctx.Err() != nil || !time.Now().Before(end) {
			return nil
		}
		sh, err := s.alive(v)
		if err != nil {
			gone = true
			return err
		}
		p, rest, err := s.read(ctx, share, v, sh)
		if err != nil {
			return err
		}
		ended := p.End && sh.IsClosed() // the log knows of the end before the view does
		if len(p.Records) > 0 || ended || !time.Now().Before(s.due) {
			err := s.event(ctx, to, s.describe(v, sh, &p, ended))
			p.Free()
			share.free()
			if err != nil {
				return err
			}
			s.due = time.Now().Add(subscriptionBeat) // from when it was taken, which may have lasted
		}
		switch {
		case ended:
			return nil
		case p.Behind > 0 && rest == 0:
			continue
		case rest > 0: // what comes meanwhile has to wait, and a shard that is damaged has always changed
			changed = nil
		}
		timer.Reset(min(time.Until(s.due), cmp.Or(rest, subscriptionBeat)))
		select {
		case <-changed:
		case <-v.replaced:
		case <-timer.C:
		case <-s.seat.lost:
		case <-ctx.Done():
		}
	}
}

// alive gives the shard, unless there is no reason any more to read it.
func (s *subscription) alive(v *view) (state.Shard, error) {
	if v.gone || v.Status == state.Deleting {
		return state.Shard{}, noStream(s.st.key)
	}
	consumer, ok := v.Consumer(s.consumer.Name)
	if !ok || consumer.Created != s.consumer.Created || v.statusOf(consumer) != types.ConsumerStatusActive {
		return state.Shard{}, noConsumer(s.st.key, s.consumer.Name)
	}
	sh, ok := v.Shard(s.shard)
	if !ok {
		return state.Shard{}, missingShard(s.st.key, s.shard)
	}
	return sh, nil
}

// read reads the next page and goes behind it. With nothing read there may
// still be more: when there is no room for it in memory until an event is due,
// or when the rates of AWS want a rest.
func (s *subscription) read(ctx context.Context, share *share, v *view, sh state.Shard) (p wal.Page, rest time.Duration, err error) {
	now := time.Now()
	later := wal.Page{Next: s.from, Behind: max(1, s.behind)}
	if rest = s.rest(now); rest > 0 {
		return later, rest, nil
	}
	_, arrival := s.st.log.Tip(s.shard)
	room := func(n wal.Need) error {
		bytes := needed(n) + n.Bytes // the event holds the data again
		if share.tryResize(bytes) || n.Has == 0 && s.waits(ctx, share, bytes) {
			return nil
		}
		return errNoRoom
	}
	p, err = s.st.log.ReadWithin(room, sh.Number, s.from, v.TrimHorizon(now), maxRecordsPerEvent, maxBytesPerEvent)
	switch {
	case errors.Is(err, errNoRoom):
		share.free()
		return later, 0, nil
	case err != nil:
		return later, 0, s.st.logError(err)
	}
	if err := s.server.mayRead(v, sh.Number, p.Records); err != nil {
		p.Free()
		return later, 0, err
	}
	bytes := 0
	for i := range p.Records {
		bytes += len(p.Records[i].Data) + len(p.Records[i].Key)
	}
	share.tryResize(pageMemory(&p) + int64(bytes)) // to less
	switch n := len(p.Records); {
	case n > 0:
		s.reached = sh.At(p.Records[n-1].Seq, p.Records[n-1].Arrival)
	case p.Next > s.from: // what was there has expired
		s.reached = sh.At(p.Next-1, arrival)
	}
	s.from, s.behind = p.Next, behind(&p, now)
	s.rate.left -= float64(bytes)
	return p, 0, nil
}

// errNoRoom means that a page has to wait for others to be sent.
var errNoRoom = errors.New("no room for a page")

// waits makes the share as large as this many bytes, and waits for that no
// longer than until the next event is due.
func (s *subscription) waits(ctx context.Context, share *share, bytes int64) bool {
	ctx, cancel := context.WithDeadline(ctx, s.due)
	defer cancel()
	return share.resize(ctx, bytes) == nil
}

// rest is how long the subscription has to wait until it may read, because of
// what it has read.
func (s *subscription) rest(now time.Time) time.Duration {
	if s.server.cfg.Limits != LimitsAWS {
		return 0
	}
	s.rate.fill(shardReadBytes, now)
	if s.rate.left > 0 {
		return 0
	}
	return time.Duration((1-s.rate.left)/shardReadBytes*float64(time.Second)) + 1
}

// describe gives a page as an event.
func (s *subscription) describe(v *view, sh state.Shard, p *wal.Page, ended bool) *wire.ShardEvent {
	e := &wire.ShardEvent{Behind: max(s.behind, p.Behind)}
	var d describer
	e.Records, _ = d.describe(v, sh, p.Records)
	if ended {
		e.Children = v.childShards(sh.Number)
	} else {
		e.Continuation = s.reached.Append(make([]byte, 0, sequenceDigits+1))
	}
	return e
}

// event sends an event, unless a fault wants something else.
func (s *subscription) event(ctx context.Context, to *eventStream, e *wire.ShardEvent) error {
	for _, shard := range [...]string{anyShard, state.ShardID(s.shard)} {
		if f, ok := s.server.strike(eventOperation, s.st.key, shard); ok {
			to.pause(f.Delay)
			if err := s.server.suffer(ctx, &f, s.st.key, shard); err != nil {
				return err
			}
		}
	}
	return to.event("SubscribeToShardEvent", e)
}

// anotherActive is the error of a subscription that cannot begin, or go on,
// beside another one.
func (s *subscription) anotherActive() error {
	return inUse("Another active subscription exists for this consumer: %s:%s:%s:%s",
		s.st.key.Account, s.st.key.Name, state.ShardID(s.shard), s.consumer.Name)
}
