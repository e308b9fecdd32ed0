package history

import (
	"slices"
	"sort"
)

// making is one making of a group's first leases.
type making struct {
	call, answer int    // events; answer is none while nobody knows the outcome
	actor        uint32 // name
	since        int64  // Unix milliseconds; 0 is the oldest record
	refused      bool
	restored     bool // some of what was lost before it was given back
}

// makings finds how the group began, in the order of the calls.
func (j *judge) makings() []making {
	var out []making
	number := map[int]int{} // by call
	restored := false
	for e, ev := range j.t.events {
		switch ev.kind {
		case kindLost:
			restored = restored && j.t.losses[ev.i].since > 0
		case kindCall:
			c := &j.t.calls[ev.i]
			if c.op == OpSeed {
				r, told := j.outcome(int(ev.i), 0)
				restored = restored || !told || r.Err == ""
			}
			if c.op != OpCreate || len(c.items) == 0 {
				continue
			}
			m := making{call: e, answer: none, actor: c.actor, restored: restored}
			if at := c.items[0].Position; !at.Since.IsZero() {
				m.since = at.Since.UnixMilli()
			}
			number[int(ev.i)] = len(out)
			out = append(out, m)
		case kindAnswer:
			c := int(j.t.answers[ev.i].call)
			n, known := number[c]
			if !known || j.answerOf[c] != int(ev.i) {
				continue
			}
			if r, told := j.outcome(c, 0); told {
				out[n].answer, out[n].refused = e, r.Err != ""
			}
		}
	}
	return out
}

// beginning judges the part of H1 that is about where a group begins: not at a
// time to come, and once it has begun, not later than that; and the part of H11
// that nothing is delivered that arrived before. It finds what a group may skip,
// which is what arrived before it began.
//
// A store that lost everything makes a group anew. What living workers give back
// goes on where it was, and skips what it skipped before. A worker that knew the old one
// begins where nothing is skipped, and so does any other when one that knew it came
// to the store before: the store remembers it. When nobody did, one that is new
// cannot tell it from a first start, and what arrived before the new beginning may
// be skipped.
func (j *judge) beginning() {
	all := j.makings()
	var made []making
	for _, m := range all {
		if at := j.t.events[m.call].at / 1e6; m.since > at {
			j.broken(H1, "%s begins the group %s at a time %d ms later", j.t.text(m.actor), j.when(m.call), m.since-at)
		}
		if !m.refused {
			j.border = max(j.border, m.since)
		}
		switch {
		case m.refused:
		case m.answer == none: // counts while no making is known to be done
			j.skippable = max(j.skippable, m.since)
		default:
			made = append(made, m)
		}
	}
	slices.SortStableFunc(made, func(a, b making) int { return a.answer - b.answer })
	for n, m := range made {
		if n > 0 && m.since > j.skippable && j.knew(m) {
			j.broken(H1, "%s, which knew that the group is not new, begins it anew %s, and skips what arrived in %d ms",
				j.t.text(m.actor), j.when(m.call), m.since-j.skippable)
			continue
		}
		if !m.restored { // else leases go on from where they were
			j.skippable = m.since
		}
	}
	j.early(all)
}

// knew reports whether a worker that makes a group could know that there was one
// before the loss that made it necessary: it had an answer of the store then, or
// the store was told since by another who had.
func (j *judge) knew(m making) bool {
	loss := none
	for e := range j.t.events[:m.call] {
		if j.t.events[e].kind == kindLost {
			loss = e
		}
	}
	if loss == none {
		return true
	}
	for _, ev := range j.t.events[loss:m.call] {
		if ev.kind != kindActor {
			continue
		}
		if a := j.t.actors[ev.i]; j.t.text(a.state) == "told" && a.began >= j.t.events[loss].at {
			return true
		}
	}
	for _, ev := range j.t.events[:loss] {
		if ev.kind != kindAnswer {
			continue
		}
		if a := &j.t.answers[ev.i]; a.err == 0 && j.t.calls[a.call].actor == m.actor {
			return true
		}
	}
	return false
}

// early finds deliveries of what arrived before the group began. What no put was
// told of may come up later than it arrived, behind where the group began: a server
// that could not write it finds it when it starts anew.
func (j *judge) early(all []making) {
	if j.truth == nil {
		return
	}
	next, lowest, some := 0, int64(0), false
	told := map[uint32]bool{} // tenures
	for e, ev := range j.t.events {
		for next < len(all) && all[next].call < e {
			if m := all[next]; !m.refused && (!some || m.since < lowest) {
				lowest, some = m.since, true
			}
			next++
		}
		if ev.kind != kindDelivered || !some {
			continue
		}
		d := &j.t.deliveries[ev.i]
		at, known := j.arrival(d.place)
		if known && at < lowest && j.ackedAs[d.place] != none && !told[d.tenure] {
			told[d.tenure] = true
			j.broken(H11, "%s delivers %s, which arrived %d ms before the group began", j.who(d.tenure), j.at(d.place), lowest-at)
		}
	}
}

// arrival is when a user record arrived, in Unix milliseconds, as far as the truth
// has it.
func (j *judge) arrival(place uint32) (int64, bool) {
	if j.truth == nil || j.truth.at[place].shard == nil {
		return 0, false
	}
	at := j.truth.at[place]
	raws := at.shard.raws
	i := sort.Search(len(raws), func(i int) bool { return int(raws[i].users) > at.i })
	return raws[i].arrival, true
}

// maySkip reports whether a record arrived before the group began.
func (j *judge) maySkip(place uint32) bool {
	if j.truth == nil {
		return j.skippable > 0 // when it arrived is not known
	}
	at, known := j.arrival(place)
	return known && at < j.skippable
}

// outOfOrder reports whether a record may be delivered after later ones: it
// arrived before a beginning of the group, which was made anew at the oldest
// record when the store had lost everything.
func (j *judge) outOfOrder(place uint32) bool {
	if j.truth == nil {
		return j.border > 0
	}
	at, known := j.arrival(place)
	return known && at < j.border
}
