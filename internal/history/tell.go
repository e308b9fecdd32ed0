package history

import (
	"fmt"
	"slices"
	"time"
)

// Put notes that a record is about to be given to the producer, and returns the
// number of the put.
func (h *History) Put(p Put) int {
	return h.add(line{Put: &putLine{
		Producer: p.Producer, Key: p.Key, HashKey: p.HashKey, Sum: sumOf(p.Data), Ordered: p.Ordered,
	}})
}

// Acked notes that put n was acknowledged as id in a shard.
func (h *History) Acked(n int, shard string, id ID) {
	h.add(line{End: &endLine{No: n, Acked: true, Shard: shard, ID: id}})
}

// Failed notes that put n ended with an error; maybe says that the record may be
// in the stream nevertheless.
func (h *History) Failed(n int, err error, maybe bool) {
	text := "failed"
	if err != nil {
		text = err.Error()
	}
	h.add(line{End: &endLine{No: n, Err: text, Maybe: maybe}})
}

// Delivered notes that a worker's handler was given a record.
func (h *History) Delivered(d Delivery) {
	l := &deliveryLine{
		Worker: d.Worker, Lease: d.Lease, Epoch: d.Epoch, ID: d.ID, Key: d.Key, HashKey: d.HashKey, Sum: sumOf(d.Data),
	}
	if !d.Arrival.IsZero() {
		l.Arrival = d.Arrival.UnixMilli()
	}
	h.add(line{Delivered: l})
}

// Handled notes that a record of a tenure is done: the handler finished it
// without an error, or it was given up by policy. It must be told before its
// position can be saved.
func (h *History) Handled(worker, lease string, epoch uint64, id ID) {
	h.add(line{Handled: &handledLine{Worker: worker, Lease: lease, Epoch: epoch, ID: id}})
}

// Returned notes that a call of a tenure's handler, or of whoever takes the
// records that it gives up, is over, however it ended. The call began with the
// first delivery since the one before returned. It must be told before the worker
// can know. Of workers that never tell it, calls have no end to judge.
func (h *History) Returned(worker, lease string, epoch uint64) {
	h.add(line{Returned: &returnedLine{Worker: worker, Lease: lease, Epoch: epoch}})
}

// Began notes that a call of the store is about to be made, and returns the
// number of the call. The history keeps c.Items.
func (h *History) Began(c StoreCall) int { return h.add(line{Call: &callLine{StoreCall: c}}) }

// Answered notes the answer to a call: one result an item, from the first, as
// far as they are known, and the error of the whole call. An item without a
// result may have been done, also later. The history keeps results.
func (h *History) Answered(call int, results []Result, err error) {
	l := &answerLine{Call: call, Results: results}
	if err != nil {
		l.Err = err.Error()
	}
	h.add(line{Answer: l})
}

// Started notes that an actor, a worker or a producer, lives. Actors that are
// never told of count as living.
func (h *History) Started(actor string) {
	h.add(line{Actor: &actorLine{Name: actor, State: "started"}})
}

// Stopped notes that an actor ended in peace.
func (h *History) Stopped(actor string) {
	h.add(line{Actor: &actorLine{Name: actor, State: "stopped"}})
}

// Crashed notes that an actor died. What it put and has not been told the end
// of, it never will.
func (h *History) Crashed(actor string) {
	h.add(line{Actor: &actorLine{Name: actor, State: "crashed"}})
}

// Held notes that an actor is about to be stopped where it is (SIGSTOP, a long
// pause of its process), and does not know it.
func (h *History) Held(actor string) { h.add(line{Actor: &actorLine{Name: actor, State: "held"}}) }

// Resumed notes that an actor that was held goes on. Of each of its leases it
// may still deliver the batch that it was about to.
func (h *History) Resumed(actor string) {
	h.add(line{Actor: &actorLine{Name: actor, State: "resumed"}})
}

// Superseded notes that another worker is about to start under the name of an
// actor that still runs. The store takes the leases of the former away at once,
// which it need not see before its lease time is over.
func (h *History) Superseded(actor string) {
	h.add(line{Actor: &actorLine{Name: actor, State: "superseded"}})
}

// ClockJumped notes that the clock of the store is about to jump. Each jump ends
// leases by up to half a lease time early, of those that cannot reach the store
// then, and do not know.
func (h *History) ClockJumped() {
	h.add(line{Actor: &actorLine{Name: "store", State: "jumped"}})
}

// LossSeen notes that a worker that knew the group was told by the store, in
// answer to a beat begun then, that what the store had was lost: the store
// remembers that the group is not new, and says so to all who come.
func (h *History) LossSeen(actor string, began time.Time) {
	h.add(line{Actor: &actorLine{Name: actor, State: "told", Began: began.UnixNano()}})
}

// Joined notes that a worker was told which incarnation of the group's state the
// store has, before it makes a call in it. What the one before had is gone: the
// store began anew, because it lost what it had, or because it found out that it
// had lost it before.
func (h *History) Joined(actor, incarnation string) {
	h.add(line{Actor: &actorLine{Name: actor, State: "joined", Incarnation: incarnation}})
}

// StoreLost notes that the store is about to lose what it has, or has just lost
// it: what says how much, in a word. What it had answered before since it still
// has; the zero time means that it lost everything. What was stored and lost does
// not bind what is stored after.
func (h *History) StoreLost(what string, since time.Time) {
	l := &lostLine{What: what}
	if !since.IsZero() {
		l.Since = since.UnixNano()
	}
	h.add(line{Lost: l})
}

// Healed notes that no fault is active from here on, and no reshard under way.
func (h *History) Healed() { h.add(line{Healed: true}) }

// Owners notes the whole lease table at this instant, once the first leases of
// the stream are complete.
func (h *History) Owners(table []Owner) {
	table = slices.Clone(table)
	h.add(line{Owners: &table})
}

// Note notes anything for the timeline: a fault, a pause, a reshard.
func (h *History) Note(actor, format string, args ...any) {
	h.add(line{Note: &noteLine{Actor: actor, Text: fmt.Sprintf(format, args...)}})
}

// Logged notes a line that an actor logged, for the timeline. Unlike a note it is
// no part of the Digest.
func (h *History) Logged(actor, text string) {
	h.add(line{Note: &noteLine{Actor: actor, Text: text, Log: true}})
}

// Stream notes the truth, as a clean client read it when the run was over and
// nothing was put any more. The last call counts; a history is of one stream.
func (h *History) Stream(s Stream) { h.add(line{Stream: unpack(s)}) }

// Read notes what an auditor read.
func (h *History) Read(r Read) { h.add(line{Read: &r}) }
