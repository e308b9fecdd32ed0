package localstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// Action is what a [Fault] does to a request.
type Action uint8

// The actions.
const (
	// Throttle refuses with ProvisionedThroughputExceededException. In
	// PutRecords, with a Shard, it refuses the records of that shard alone.
	Throttle Action = iota
	// Fail refuses with the error type and message of the Fault.
	Fail
	// ExpireIterator refuses with ExpiredIteratorException.
	ExpireIterator
	// Drop cuts the connection before anything is done.
	Drop
	// Delay waits for the Delay of the Fault, then goes on.
	Delay
	// LoseReply does what was asked for and then cuts the connection, so that
	// the client does not learn of it.
	LoseReply
)

// actionNames are the actions as [ParseFault] reads them.
var actionNames = [...]string{Throttle: "throttle", Fail: "error", ExpireIterator: "expire", Drop: "drop", Delay: "delay", LoseReply: "lose-reply"}

// String is the name that [ParseFault] reads as a kind.
func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return fmt.Sprintf("Action(%d)", uint8(a))
}

// Fault is something bad that [Server.Inject] makes happen. A client that
// retries, as those of the SDK do, hides most of it: three attempts by default
// want a Count of 3, or a client with RetryMaxAttempts 1.
type Fault struct {
	// Operation is the API operation, such as "PutRecords". Empty means any. The
	// events of a subscription are "SubscribeToShardEvent", of which each is hit
	// by itself: Drop and LoseReply cut the connection in place of the event, and
	// an error ends the subscription. Empty does not mean them. A client that
	// talks the JSON of the SDK for Go cannot tell a cut from the good end of a
	// subscription: the Err of its stream is nil. [Server.Client] and
	// shardrun.NewClient give io.ErrUnexpectedEOF.
	Operation string
	// Stream is the name of the stream. Empty means any.
	Stream string
	// Shard is the id of the shard, such as "shardId-000000000000", for
	// PutRecord, PutRecords, GetShardIterator, GetRecords, SubscribeToShard and
	// its events. [EveryShard] means any: each record that PutRecords puts is then
	// hit by itself. Empty means the fault is not about a shard. Drop, Delay and
	// LoseReply need it empty in PutRecord and PutRecords, or an Operation that is
	// neither.
	Shard string
	// Count is how many requests (or records of a shard) are hit. Negative
	// means all until the fault is removed. Defaults to 1.
	Count int
	// Action is what happens. Defaults to Throttle.
	Action Action
	// Delay is the time for the action Delay.
	Delay time.Duration
	// Type is the error type for the action Fail. Defaults to InternalFailure.
	Type string
	// Message is the error message for the action Fail.
	Message string
}

// faults are the faults that are waiting for their requests. The zero value is
// ready.
type faults struct {
	number atomic.Int32 // of those that wait, for who does not want to wait for mu

	// mu guards waiting and the counts in it.
	mu      sync.Mutex
	waiting []*WaitingFault
}

// WaitingFault is a fault that was injected and has not happened as often as it
// is to.
type WaitingFault struct {
	// Fault is what was injected. Its Count is how often it is still to happen,
	// negative without end.
	Fault
	// Happened is how often it has happened.
	Happened int
}

// Inject makes a fault happen to the next requests that it fits, and returns a
// function that takes back what is left of it. Of several faults that fit, the
// one that was injected first happens. It is for tests: it panics at a fault
// that could never happen, or not as it says, with what is wrong and what is
// accepted. [ParseFault] refuses the same with an error, and [Server.Faults]
// says what has not happened yet.
func (s *Server) Inject(f Fault) (remove func()) {
	if err := f.validate(); err != nil {
		panic(fmt.Sprintf("localstream: inject %+v: %v", f, err))
	}
	if f.Count == 0 {
		f.Count = 1
	}
	w := &WaitingFault{Fault: f}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.waiting = append(s.faults.waiting, w)
	s.faults.number.Add(1)
	return func() {
		s.faults.mu.Lock()
		defer s.faults.mu.Unlock()
		s.faults.remove(w)
	}
}

// Faults gives the faults that still wait for a request, in the order in which
// they were injected. At the end of a test that is none, unless some did not
// happen, or are to happen without end.
func (s *Server) Faults() []WaitingFault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	waiting := make([]WaitingFault, len(s.faults.waiting))
	for i, w := range s.faults.waiting {
		waiting[i] = *w
	}
	return waiting
}

// remove needs f.mu.
func (f *faults) remove(gone *WaitingFault) {
	for i, w := range f.waiting {
		if w == gone {
			f.waiting = append(f.waiting[:i:i], f.waiting[i+1:]...)
			f.number.Add(-1)
			return
		}
	}
}

// EveryShard is the [Fault].Shard that fits every shard.
const EveryShard = "*"

// eventOperation stands for the events of a subscription.
const eventOperation = "SubscribeToShardEvent"

// fits reports whether the fault is about such a request, such a record, or such
// an event.
func (f *Fault) fits(operation, stream, shard string) bool {
	return (f.Operation == operation || f.Operation == "" && operation != eventOperation) && (f.Stream == "" || f.Stream == stream) &&
		(f.Shard == shard || f.Shard == EveryShard && shard != anyShard)
}

// anyShard asks for the faults that are not about a shard.
const anyShard = ""

// take gives the fault that is to happen, if there is one, and counts it.
func (f *faults) take(operation, stream, shard string) (Fault, bool) {
	if f.number.Load() == 0 {
		return Fault{}, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.waiting {
		if !w.fits(operation, stream, shard) {
			continue
		}
		w.Happened++
		if w.Count > 0 {
			w.Count--
		}
		if w.Count == 0 {
			f.remove(w)
		}
		return w.Fault, true
	}
	return Fault{}, false
}

// errDropped makes the front door cut the connection.
var errDropped = errors.New("connection dropped by an injected fault")

// fault does what a fault wants, if there is one for this request, which is about
// the stream of that key.
func (c *call) fault(ctx context.Context, key state.Key, shardID string) error {
	c.stream = key.Name
	f, ok := c.server.strike(c.op.name, key, shardID)
	if !ok {
		return nil
	}
	if f.Action == LoseReply {
		c.loseReply = true
		return nil
	}
	return c.server.suffer(ctx, &f, key, shardID)
}

// suffer does what a fault wants.
func (s *Server) suffer(ctx context.Context, f *Fault, key state.Key, shardID string) error {
	switch f.Action {
	case Drop, LoseReply:
		return errDropped
	case Delay:
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-s.closing.Done():
			return unavailable()
		}
	}
	return f.apiError(key, shardID)
}

// recordFault gives the error of a fault for one record that is put.
func (c *call) recordFault(key state.Key, shardID string) *apiError {
	if f, ok := c.server.strike(c.op.name, key, shardID); ok {
		return f.apiError(key, shardID)
	}
	return nil
}

// apiError is the error that a fault refuses with.
func (f *Fault) apiError(key state.Key, shardID string) *apiError {
	switch {
	case f.Action == ExpireIterator:
		now := time.Now()
		return expiredIterator(now.Add(-tokenLife), now)
	case f.Action == Fail && (f.Type == "" || f.Type == typeInternal):
		return &apiError{Type: typeInternal, Message: f.Message, Status: http.StatusInternalServerError}
	case f.Action == Fail && f.Type == typeUnavailable:
		return &apiError{Type: f.Type, Message: f.Message, Status: http.StatusServiceUnavailable}
	case f.Action == Fail:
		return &apiError{Type: f.Type, Message: f.Message, Status: http.StatusBadRequest}
	}
	if shardID == anyShard {
		return throttled("Rate exceeded for stream %s under account %s.", key.Name, key.Account)
	}
	return rateExceeded(key, shardID)
}
