package wal

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Appends are committed in groups. A caller that finds the log idle becomes its
// leader and commits its own records; those that come meanwhile queue, and when
// the leader is done, the first of them leads for all. So a batch is as large
// as the disk is slow, and an idle log needs no goroutine.

// call is one Append that waits for its commit. One without records waits for
// all before it.
type call struct {
	recs   []Record
	shards []*shard // of recs
	bytes  int
	close  bool // end the log's last batch with proof that all is synced
	roll   bool // seal the active segment
	err    error

	// turn hears true when the call is to lead, false when it was committed.
	// It has room for the one message that can be under way.
	turn chan bool
}

// Append writes records to their shards and returns when they are as durable as
// configured. It sets Seq and Arrival of each: numbers follow one another in the
// order of the records, and arrivals never fall within a shard. The records of
// one call are recovered together or not at all. Keys and data are not retained.
//
// When a record names a shard that is sealed, unknown or damaged
// ([*SealedError], [*UnknownShardError], [*DamageError]) nothing of the call is
// written. Nor is it when a write failed and could be taken back, as on a full
// disk. After any other error the log refuses appends until it is opened again,
// as [Log.Err] says, and some of the records may be found then.
func (l *Log) Append(recs []Record) error {
	if len(recs) == 0 {
		return nil
	}
	bytes, err := checkSize(recs)
	if err != nil {
		return err
	}
	c := l.newCall()
	c.recs, c.bytes = recs, bytes

	l.mu.Lock()
	for l.queued > 0 && l.queued+bytes > maxQueuedBytes && l.refusal() == nil {
		l.room.Wait()
	}
	if err := l.admit(c); err != nil {
		l.mu.Unlock()
		l.freeCall(c)
		return err
	}
	lead := l.enqueue(c)
	l.mu.Unlock()

	if err := l.await(c, lead); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	return nil
}

// admit gives the records of a call their numbers, or returns why it cannot be
// taken. mu is held.
func (l *Log) admit(c *call) error {
	if err := l.refusal(); err != nil {
		return err
	}
	for i := range c.recs {
		id := c.recs[i].Shard
		if i > 0 && c.recs[i-1].Shard == id {
			c.shards = append(c.shards, c.shards[i-1])
			continue
		}
		s, err := l.usable(id)
		if err != nil {
			return err
		}
		if s.closed {
			return &SealedError{id}
		}
		c.shards = append(c.shards, s)
	}
	now := time.Now().UnixMilli()
	for i, s := range c.shards {
		s.arrival = max(s.arrival, now)
		c.recs[i].Seq, c.recs[i].Arrival = s.next, s.arrival
		s.next++
	}
	return nil
}

// barrier returns when all calls before it are committed.
func (l *Log) barrier(closing bool) error {
	c := l.newCall()
	c.close = closing
	l.mu.Lock()
	lead := l.enqueue(c)
	l.mu.Unlock()
	return l.await(c, lead)
}

// enqueue adds a call, and reports whether it is to lead. mu is held.
func (l *Log) enqueue(c *call) (lead bool) {
	l.queue = append(l.queue, c)
	l.queued += c.bytes
	lead = !l.leading
	l.leading = true
	return lead
}

// await returns when c was committed, or failed.
func (l *Log) await(c *call, lead bool) error {
	if !lead {
		lead = <-c.turn
	}
	if lead {
		l.lead(c)
	}
	err := c.err
	l.freeCall(c)
	return err
}

// lead commits the calls at the head of the queue, of which own is the first,
// and passes the lead on.
func (l *Log) lead(own *call) {
	l.mu.Lock()
	group := l.take()
	err := l.err
	l.mu.Unlock()

	if err == nil {
		err = l.commit(group)
	}

	l.mu.Lock()
	if err == nil {
		l.publish()
	} else if _, ok := errors.AsType[*notWrittenError](err); ok {
		l.skip()
	} else {
		l.fail(err)
		l.w.release()
	}
	for _, c := range group {
		l.queued -= c.bytes
	}
	l.room.Broadcast()
	l.mu.Unlock()

	for _, c := range group {
		c.err = err
		if c != own {
			c.turn <- false
		}
	}
	clear(group)

	// Only now: the next leader uses what this one used.
	l.mu.Lock()
	var next *call
	if len(l.queue) > 0 {
		next = l.queue[0]
	}
	l.leading = next != nil
	l.mu.Unlock()
	if next != nil {
		next.turn <- true
	}
}

// take removes the calls of the next batch from the queue. mu is held.
func (l *Log) take() []*call {
	n, bytes := 0, 0
	for n < len(l.queue) && (n == 0 || bytes+l.queue[n].bytes <= maxBatchBytes) {
		bytes += l.queue[n].bytes
		n++
	}
	group := l.w.group[:0]
	group = append(group, l.queue[:n]...)
	l.w.group = group
	l.queue = slices.Delete(l.queue, 0, n)
	return group
}

func (l *Log) newCall() *call {
	if c, ok := l.calls.Get().(*call); ok {
		return c
	}
	return &call{turn: make(chan bool, 1)}
}

// freeCall keeps a call for the next one that needs one.
func (l *Log) freeCall(c *call) {
	clear(c.shards)
	*c = call{shards: c.shards[:0], turn: c.turn}
	l.calls.Put(c)
}
