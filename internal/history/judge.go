package history

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// none stands for an index that there is not.
const none = -1

// judge is one judgement: the trace, what is looked up in it, and the verdict.
type judge struct {
	t *trace
	o Options
	v Verdict

	rank      []uint32        // by sequence number: its rank among all
	putAt     []int           // by put: its event
	endAt     []int           // by put: the event of its first end, none while there is none
	endOf     []int           // by put: that end
	ackedAs   []int           // by place: the first put acknowledged there, or none
	first     []int           // by place: its first delivery, or none
	handledAt []int           // by place: the event of its first handling, or none
	answerOf  []int           // by call: its answer, or none
	crashed   map[uint32]int  // by actor: the event of its last crash
	truth     *truth          // nil when it was not recorded
	copies    map[content]who // puts by what they are; nil before it is needed
	shardName []uint32        // by tenure: the name of its shard
	skippable int64           // what arrived before this, in Unix milliseconds, the group need not handle
	border    int64           // the latest at which it ever began
}

// truth is the stream, with where its user records are.
type truth struct {
	*stream
	byName map[uint32]*shard
	at     []spot // by place
}

// spot is the index of a user record in a shard; a nil shard for none.
type spot struct {
	shard *shard
	i     int
}

// content is what a record is, apart from its place.
type content struct {
	key uint32
	sum sum
}

// who says which puts have one content: how many, and the first.
type who struct{ first, n int }

func newJudge(t *trace, o Options) *judge {
	j := &judge{
		t: t, o: o,
		putAt: filled(len(t.puts)), endAt: filled(len(t.puts)), endOf: filled(len(t.puts)),
		ackedAs: filled(len(t.places)), first: filled(len(t.places)), handledAt: filled(len(t.places)),
		answerOf: filled(len(t.calls)), crashed: map[uint32]int{},
	}
	j.rank = ranks(t.seqs.texts)
	for e, ev := range t.events {
		i := int(ev.i)
		switch ev.kind {
		case kindPut:
			j.putAt[i] = e
		case kindEnd:
			n := t.ends[i].put
			if j.endAt[n] == none {
				j.endAt[n], j.endOf[n] = e, i
			}
			if t.ends[i].acked && j.endOf[n] == i && j.ackedAs[t.ends[i].place] == none {
				j.ackedAs[t.ends[i].place] = int(n)
			}
		case kindDelivered:
			if at := t.deliveries[i].place; j.first[at] == none {
				j.first[at] = i
			}
		case kindHandled:
			if at := t.handlings[i].place; j.handledAt[at] == none {
				j.handledAt[at] = e
			}
		case kindAnswer:
			if c := t.answers[i].call; j.answerOf[c] == none {
				j.answerOf[c] = i
			}
		case kindActor:
			if t.text(t.actors[i].state) == "crashed" {
				j.crashed[t.actors[i].name] = e
			}
		}
	}
	if n := len(t.streams); n > 0 {
		j.truth = newTruth(&t.streams[n-1], len(t.places))
	}
	names := map[string]uint32{}
	if j.truth != nil {
		for i := range j.truth.shards {
			names[t.text(j.truth.shards[i].name)] = j.truth.shards[i].name
		}
	}
	j.shardName = make([]uint32, len(t.tenures))
	for i, u := range t.tenures {
		j.shardName[i] = names[shardOf(t.text(u.lease))] // 0 for one that the truth does not have
	}
	return j
}

func newTruth(s *stream, places int) *truth {
	out := &truth{stream: s, byName: map[uint32]*shard{}, at: make([]spot, places)}
	for i := range s.shards {
		sh := &s.shards[i]
		out.byName[sh.name] = sh
		for k, u := range sh.users {
			if out.at[u.place].shard == nil {
				out.at[u.place] = spot{sh, k}
			}
		}
	}
	return out
}

// filled is n times none.
func filled(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = none
	}
	return out
}

// ranks gives each sequence number its rank among all.
func ranks(seqs []string) []uint32 {
	order := make([]uint32, len(seqs))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int { return compare(seqs[a], seqs[b]) })
	out := make([]uint32, len(seqs))
	for r, i := range order {
		out[i] = uint32(r)
	}
	return out
}

// compare orders sequence numbers.
func compare(a, b string) int {
	return checkpoint.SequenceNumber(a).Compare(checkpoint.SequenceNumber(b))
}

// height is a number that orders places as a shard does.
func (j *judge) height(at uint32) uint64 {
	p := j.t.places[at]
	return uint64(j.rank[p.seq])<<32 | uint64(p.sub)
}

// position is the position of a place.
func (j *judge) position(at uint32) checkpoint.Position {
	id := j.t.id(at)
	return checkpoint.At(checkpoint.SequenceNumber(id.Sequence), id.Subsequence)
}

// shardOf is the shard id in a lease name.
func shardOf(lease string) string { return lease[strings.LastIndexByte(lease, '/')+1:] }

// when is the time of an event since the first.
func (j *judge) when(e int) moment {
	if e == none {
		return moment{"never", none}
	}
	return moment{"at " + elapsed(j.t.events[e].at-j.t.events[0].at), e}
}

func elapsed(ns int64) string { return fmt.Sprintf("%.6fs", time.Duration(ns).Seconds()) }

// at describes a place.
func (j *judge) at(n uint32) mention {
	id := j.t.id(n)
	return mention{fmt.Sprintf("%s:%d", brief(id.Sequence), id.Subsequence), n}
}

// brief is a sequence number of which the end, which is what changes, is shown.
func brief(seq string) string {
	const most = 16
	if len(seq) <= most {
		return seq
	}
	return "…" + seq[len(seq)-most:]
}

// who describes a tenure.
func (j *judge) who(n uint32) holder {
	u := j.t.tenures[n]
	return holder{fmt.Sprintf("%s on %s epoch %d", j.t.text(u.worker), shardOf(j.t.text(u.lease)), u.epoch), n}
}

// key describes a put's or delivery's key.
func (j *judge) key(n uint32) string { return fmt.Sprintf("%q", j.t.text(n)) }

// putOf is the put that a delivered record is: the one acknowledged in its place
// or, if there is only one, the one with the same content. known is false when
// there is no put like it; n is none when it cannot be told which one it is.
func (j *judge) putOf(d *delivery) (n int, known bool) {
	if n := j.ackedAs[d.place]; n != none {
		return n, true
	}
	same := j.like(content{d.key, d.sum})
	switch same.n {
	case 0:
		return none, false
	case 1:
		return same.first, true
	default:
		return none, true
	}
}

// like finds the puts of a content.
func (j *judge) like(c content) who {
	if j.copies == nil {
		j.copies = make(map[content]who, len(j.t.puts))
		for n, p := range j.t.puts {
			c := content{p.key, p.sum}
			w, some := j.copies[c]
			if !some {
				w.first = n
			}
			w.n++
			j.copies[c] = w
		}
	}
	return j.copies[c]
}

// acked is the end of a put that was acknowledged.
func (j *judge) acked(n int) (*end, bool) {
	if j.endOf[n] == none {
		return nil, false
	}
	e := &j.t.ends[j.endOf[n]]
	return e, e.acked
}

// outcome is what is known of an item of a call.
func (j *judge) outcome(call, item int) (r Result, known bool) {
	a := j.answerOf[call]
	if a == none || item >= len(j.t.answers[a].results) {
		return Result{}, false
	}
	return j.t.answers[a].results[item], true
}
