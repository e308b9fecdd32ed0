package history

import (
	"slices"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// trace is the list of events in memory. All its slices and tables only ever
// grow, and what is in them never changes.
type trace struct {
	events []event

	puts       []put
	ends       []end
	deliveries []delivery
	handlings  []handling
	returns    []uint32 // tenures
	calls      []call
	answers    []answer
	actors     []actorChange
	losses     []lost
	states     map[string]bool // incarnations of the store's state
	tables     [][]Owner
	notes      []note
	streams    []stream
	reads      []read

	names   table // of everything but sequence numbers
	seqs    table // sequence numbers
	places  []place
	placeOf map[place]uint32
	tenures []tenure
	tenOf   map[tenure]uint32
}

// kind says which slice of the trace an event is in.
type kind uint8

const (
	kindPut kind = iota
	kindEnd
	kindDelivered
	kindHandled
	kindReturned
	kindCall
	kindAnswer
	kindActor
	kindLost
	kindAnew
	kindHealed
	kindOwners
	kindNote
	kindStream
	kindRead
)

// event is one event: when, and where the rest of it is.
type event struct {
	at   int64 // Unix nanoseconds
	i    uint32
	kind kind
}

type put struct {
	producer, key, hash uint32 // names
	sum                 sum
	ordered             bool
}

type end struct {
	put          uint32
	place        uint32 // of one that was acknowledged
	shard, err   uint32 // names
	acked, maybe bool
}

type delivery struct {
	tenure, place uint32
	key, hash     uint32 // names
	sum           sum
	arrival       int64 // Unix milliseconds, 0 when it was not told
}

type handling struct{ tenure, place uint32 }

type call struct {
	actor uint32 // name
	op    Op
	items []Item
}

type answer struct {
	call    uint32
	err     uint32 // name
	results []Result
}

type actorChange struct {
	name, state uint32
	began       int64 // Unix nanoseconds, of one that was told
}

type lost struct {
	what  uint32 // name
	since int64  // Unix nanoseconds, 0 for everything
}

type note struct {
	actor uint32 // name
	text  string
	log   bool // the actor's own
}

// place is an [ID]: the number of its sequence number, and the sub-sequence number.
type place struct{ seq, sub uint32 }

// tenure is one ownership of one lease.
type tenure struct {
	worker, lease uint32 // names
	epoch         uint64
}

// stream is the truth.
type stream struct {
	name   uint32
	shards []shard
}

type shard struct {
	name       uint32 // its id
	parents    []uint32
	keys       hashkey.Range
	badKeys    error // why keys cannot be read
	start, end checkpoint.SequenceNumber
	raws       []raw
	users      []user
}

// raw is a Kinesis record; its user records end before users.
type raw struct {
	seq     uint32
	users   uint32
	arrival int64 // Unix milliseconds
}

type user struct {
	place, key, hash uint32
	sum              sum
	aggregated       bool
}

type read struct {
	*Read
	got   []uint32 // sequence numbers
	from  uint32   // Read.Sequence
	shard uint32
}

// apply appends an event. It returns the place of a record that was
// acknowledged, delivered or handled.
func (t *trace) apply(l *line) (at uint32, known bool) {
	add := func(k kind, i int) { t.events = append(t.events, event{at: l.At, kind: k, i: uint32(i)}) }
	switch {
	case l.Put != nil:
		p := l.Put
		t.puts = append(t.puts, put{t.name(p.Producer), t.name(p.Key), t.name(p.HashKey), p.Sum, p.Ordered})
		add(kindPut, len(t.puts)-1)
	case l.End != nil:
		e := end{put: uint32(l.End.No), acked: l.End.Acked, maybe: l.End.Maybe, shard: t.name(l.End.Shard), err: t.name(l.End.Err)}
		if e.acked {
			e.place = t.place(l.End.ID)
		}
		t.ends = append(t.ends, e)
		add(kindEnd, len(t.ends)-1)
		return e.place, e.acked
	case l.Delivered != nil:
		d := l.Delivered
		at := t.place(d.ID)
		t.deliveries = append(t.deliveries, delivery{t.tenure(d.Worker, d.Lease, d.Epoch), at, t.name(d.Key), t.name(d.HashKey), d.Sum, d.Arrival})
		add(kindDelivered, len(t.deliveries)-1)
		return at, true
	case l.Handled != nil:
		d := l.Handled
		at := t.place(d.ID)
		t.handlings = append(t.handlings, handling{t.tenure(d.Worker, d.Lease, d.Epoch), at})
		add(kindHandled, len(t.handlings)-1)
		return at, true
	case l.Returned != nil:
		d := l.Returned
		t.returns = append(t.returns, t.tenure(d.Worker, d.Lease, d.Epoch))
		add(kindReturned, len(t.returns)-1)
	case l.Call != nil:
		t.calls = append(t.calls, call{t.name(l.Call.Actor), l.Call.Op, t.items(l.Call.Items)})
		add(kindCall, len(t.calls)-1)
	case l.Answer != nil:
		t.answers = append(t.answers, answer{uint32(l.Answer.Call), t.name(l.Answer.Err), t.results(l.Answer.Results)})
		add(kindAnswer, len(t.answers)-1)
	case l.Actor != nil:
		t.actors = append(t.actors, actorChange{t.name(l.Actor.Name), t.name(l.Actor.State), l.Actor.Began})
		add(kindActor, len(t.actors)-1)
		if t.isAnew(l.Actor.Incarnation) {
			add(kindAnew, len(t.actors)-1)
		}
	case l.Lost != nil:
		t.losses = append(t.losses, lost{t.name(l.Lost.What), l.Lost.Since})
		add(kindLost, len(t.losses)-1)
	case l.Healed:
		add(kindHealed, 0)
	case l.Owners != nil:
		t.tables = append(t.tables, *l.Owners)
		add(kindOwners, len(t.tables)-1)
	case l.Note != nil:
		t.notes = append(t.notes, note{t.name(l.Note.Actor), l.Note.Text, l.Note.Log})
		add(kindNote, len(t.notes)-1)
	case l.Stream != nil:
		t.streams = append(t.streams, t.stream(l.Stream))
		add(kindStream, len(t.streams)-1)
	case l.Read != nil:
		t.reads = append(t.reads, t.read(l.Read))
		add(kindRead, len(t.reads)-1)
	}
	return 0, false
}

// isAnew reports whether an incarnation of the store's state is seen for the first
// time, and is not the first.
func (t *trace) isAnew(incarnation string) bool {
	if incarnation == "" || t.states[incarnation] {
		return false
	}
	if t.states == nil {
		t.states = map[string]bool{}
	}
	t.states[incarnation] = true
	return len(t.states) > 1
}

// items keeps texts that occur again and again once.
func (t *trace) items(items []Item) []Item {
	items = slices.Clone(items)
	for i := range items {
		items[i].Lease, items[i].Token = t.same(items[i].Lease), t.same(items[i].Token)
	}
	return items
}

func (t *trace) results(results []Result) []Result {
	results = slices.Clone(results)
	for i := range results {
		results[i].Err, results[i].Token = t.same(results[i].Err), t.same(results[i].Token)
	}
	return results
}

func (t *trace) stream(l *streamLine) stream {
	out := stream{name: t.name(l.Name), shards: make([]shard, len(l.Shards))}
	for i, sl := range l.Shards {
		s := shard{name: t.name(sl.ID), start: checkpoint.SequenceNumber(sl.StartSequence), end: checkpoint.SequenceNumber(sl.EndSequence)}
		s.keys, s.badKeys = hashkey.ParseRange(sl.StartHashKey, sl.EndHashKey)
		for _, p := range sl.Parents {
			s.parents = append(s.parents, t.name(p))
		}
		s.raws = make([]raw, 0, len(sl.Records))
		for _, r := range sl.Records {
			for _, u := range r.Users {
				s.users = append(s.users, user{
					place: t.place(ID{r.Sequence, u.Subsequence}), key: t.name(u.Key), hash: t.name(u.HashKey),
					sum: u.Sum, aggregated: u.Aggregated,
				})
			}
			s.raws = append(s.raws, raw{t.seqs.number(r.Sequence), uint32(len(s.users)), r.Arrival})
		}
		out.shards[i] = s
	}
	return out
}

func (t *trace) read(r *Read) read {
	own := *r
	out := read{Read: &own, shard: t.name(r.Shard), from: t.seqs.number(r.Sequence)}
	for _, s := range r.Got {
		out.got = append(out.got, t.seqs.number(s))
	}
	own.Got = nil
	return out
}
