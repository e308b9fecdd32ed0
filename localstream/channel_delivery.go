package localstream

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// Delivery of channels. Nothing is gathered in memory: the records stay in the
// log, which keeps them for far longer than any channel lets them get old, and
// each time that they have come of age they are read and written page by page.
//
// A record is delivered once, whatever ends the server when. A delivery is made
// known first, with the names of its objects; then the objects are written and
// synced under temporary names; then the new positions are made known; and then
// the objects get their names. What an interruption left is either thrown away
// and done anew from the old positions, or only wants its names.

// The bounds of a delivery.
const (
	// deliveryPage is how much is read at a time, but at least one record.
	deliveryPage        = 1 << 20
	deliveryPageRecords = 2000
	// maxObjectBytes is when an object is large enough, before compression.
	// Records that come of age together make more than one then.
	maxObjectBytes = 128 << 20
	// deliverAgain is the time between a delivery that failed and the next.
	deliverAgain = 10 * time.Second
)

// startDelivery delivers what comes to a channel, until the channel or the
// server ends. It does nothing for a channel whose destination is not emulated.
func (s *Server) startDelivery(ch *state.Channel) {
	if s.folder != nil && ch.S3 != nil {
		s.background.Go(func() { s.deliver(ch.ID) })
	}
}

// deliver is the loop of a channel's delivery.
func (s *Server) deliver(id string) {
	var since time.Time // undelivered records are no older
	var again time.Time // not earlier than this
	waits := false      // for a KMS key, which was logged
	for {
		ch := (*s.channels.Load())[id]
		if ch == nil || !ch.Delivers() {
			return
		}
		if since.IsZero() {
			since = s.oldestUndelivered(ch)
		}
		due := since.Add(s.freshness(ch))
		if due.Before(again) {
			due = again
		}
		timer := time.NewTimer(time.Until(due))
		select {
		case <-timer.C:
		case <-ch.replaced:
			timer.Stop()
			continue
		case <-s.closing.Done():
			timer.Stop()
			return
		}
		now := time.Now()
		switch err := s.deliverAll(ch); {
		case err == nil:
			since = now
			if waits {
				waits = false
				s.logger.Info("channel delivers again", zap.String("channel", ch.Name))
			}
		case s.closing.Err() != nil, errors.Is(err, errNoDelivery):
		case errors.Is(err, errInDoubt):
			s.logger.Error("channel delivers no more until the server is opened again", zap.String("channel", ch.Name), zap.Error(err))
			return
		case errors.Is(err, errKey):
			if again = now.Add(deliverAgain); !waits {
				waits = true
				s.logger.Warn("channel waits for a KMS key", zap.String("channel", ch.Name), zap.Error(err))
			}
		default:
			s.logger.Warn("channel could not deliver and will try again", zap.String("channel", ch.Name), zap.Error(err))
			again = now.Add(deliverAgain)
		}
	}
}

// freshness is how old undelivered records of a channel get.
func (s *Server) freshness(ch *channel) time.Duration {
	if s.cfg.ChannelFreshness > 0 {
		return s.cfg.ChannelFreshness
	}
	return time.Duration(ch.FreshSecs) * time.Second
}

// oldestUndelivered is when the oldest record came that is not delivered, or
// now if there is none.
func (s *Server) oldestUndelivered(ch *channel) time.Time {
	now := time.Now()
	oldest := now
	v := ch.stream.view.Load()
	for _, sh := range v.Shards {
		if from, ok := ch.From(sh.Number); ok {
			p, err := ch.stream.log.Read(sh.Number, from, v.TrimHorizon(now), 1, 1)
			if err == nil && len(p.Records) > 0 { // the delivery will tell of errors
				if came := time.UnixMilli(p.Records[0].Arrival); came.Before(oldest) {
					oldest = came
				}
			}
		}
	}
	return oldest
}

// deliverAll delivers everything that is there now. Only one channel does at a
// time, which bounds the memory of all.
func (s *Server) deliverAll(ch *channel) error {
	select {
	case s.delivering <- struct{}{}:
		defer func() { <-s.delivering }()
	case <-s.closing.Done():
		return s.closing.Err()
	}
	// The newest, because ch was there before its last delivery.
	if ch = (*s.channels.Load())[ch.ID]; ch == nil {
		return errNoDelivery
	}
	if err := s.folder.settle(ch.Delivery); err != nil {
		return err
	}
	d, err := newDeliverer(s, ch)
	if err != nil {
		return err
	}
	defer d.abandon()
	if err := d.key(); err != nil {
		return err
	}
	v := ch.stream.view.Load()
	var waits error // for the key of a shard
	for _, sh := range v.Shards {
		from, ok := ch.From(sh.Number)
		if !ok {
			continue
		}
		switch err := d.shard(sh, from, v.TrimHorizon(time.Now())); {
		case err == nil:
		case errors.Is(err, errKey): // that of the others may work
			waits = err
		case isDamage(err): // the others are none the worse
			s.logger.Warn("channel cannot read a shard", zap.String("channel", ch.Name),
				zap.String("shard", state.ShardID(sh.Number)), zap.Error(err))
		default:
			return err
		}
	}
	if err := d.commit(); err != nil {
		return err
	}
	return waits
}

// errKey means that a KMS key does not work: that of the channel, or of records
// that are to be delivered. They wait until it does.
var errKey = errors.New("a KMS key does not work")

// errNoDelivery means that a channel was deleted while it delivered.
var errNoDelivery = errors.New("the channel does not deliver any more")

// errInDoubt means that the journal failed to take the end of a delivery, and
// may have it all the same. Only the next opening finds out whether the objects
// are to get their names or to be thrown away, so until then they stay.
var errInDoubt = errors.New("whether the last delivery counts is not known")
