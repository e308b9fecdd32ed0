package history

import (
	"slices"
	"sort"
	"time"
)

// reads judges H9: what an iterator gave is the stream's records from where it
// should begin, without a gap, and it said that it was at the tip only when it
// had given everything acknowledged before.
func (j *judge) reads() {
	if len(j.t.reads) == 0 || j.truth == nil {
		j.broken(H9, "no read of an iterator, or no stream, was recorded")
		return
	}
	a := auditor{j: j, acks: map[uint32][]tip{}, puts: map[uint32][]tip{}}
	a.index()
	for i := range j.t.reads {
		a.judge(&j.t.reads[i])
	}
	if j.o.Tips {
		a.tips()
	}
}

// tips demands of each shard a read, begun when the faults were over, that came
// to the tip, or to the shard's end. That it missed nothing is judged already.
func (a *auditor) tips() {
	j := a.j
	healed := slices.IndexFunc(j.t.events, func(e event) bool { return e.kind == kindHealed })
	if healed < 0 {
		return // H12 tells it
	}
	reached := map[uint32]bool{}
	for i := range j.t.reads {
		r := &j.t.reads[i]
		if r.Began.UnixNano() > j.t.events[healed].at && !r.Last.IsZero() && (r.Closed || r.Behind == 0) {
			reached[r.shard] = true
		}
	}
	for i := range j.truth.shards {
		if name := j.truth.shards[i].name; !reached[name] {
			j.broken(H9, "no read of %s came to its tip after the faults", j.t.text(name))
		}
	}
}

// tip is a record of a shard, by its index, and the time of its put.
type tip struct {
	at    int64 // Unix nanoseconds: acknowledged, or begun
	index int
}

type auditor struct {
	j    *judge
	acks map[uint32][]tip // by shard: after each time, the highest record acknowledged
	puts map[uint32][]tip // by shard: from each time on, the lowest record of a put begun then
}

// index finds where the tip of each shard was at a time, by what producers know:
// at or above what was acknowledged, and below what was not yet put.
func (a *auditor) index() {
	j := a.j
	raws := map[uint32]map[uint32]int{} // by shard and sequence number
	for i := range j.truth.shards {
		s := &j.truth.shards[i]
		m := make(map[uint32]int, len(s.raws))
		for k, r := range s.raws {
			m[r.seq] = k
		}
		raws[s.name] = m
	}
	for _, ev := range j.t.events {
		if ev.kind != kindEnd || !j.t.ends[ev.i].acked {
			continue
		}
		e := &j.t.ends[ev.i]
		k, ok := raws[e.shard][j.t.places[e.place].seq]
		if !ok {
			continue // H1 tells it
		}
		list := a.acks[e.shard]
		if len(list) == 0 || k > list[len(list)-1].index {
			a.acks[e.shard] = append(list, tip{ev.at, k})
		}
	}
	for n := range slices.Backward(j.t.puts) {
		e, acked := j.acked(n)
		if !acked {
			continue
		}
		k, ok := raws[e.shard][j.t.places[e.place].seq]
		if !ok {
			continue
		}
		list := a.puts[e.shard]
		if len(list) == 0 || k < list[len(list)-1].index {
			a.puts[e.shard] = append(list, tip{j.t.events[j.putAt[n]].at, k})
		}
	}
}

// acked is the highest index in a shard that was acknowledged before a time, -1
// for none.
func (a *auditor) acked(shard uint32, before time.Time) int {
	list, t := a.acks[shard], before.UnixNano()
	i := sort.Search(len(list), func(i int) bool { return list[i].at >= t })
	if i == 0 {
		return -1
	}
	return list[i-1].index
}

// put is the lowest index in a shard of a put that began after a time; the
// number of records when there is none.
func (a *auditor) put(s *shard, after time.Time) int {
	list, t := a.puts[s.name], after.UnixNano()
	i := sort.Search(len(list), func(i int) bool { return list[i].at <= t })
	if i == 0 {
		return len(s.raws)
	}
	return list[i-1].index
}

func (a *auditor) judge(r *read) {
	j := a.j
	s := j.truth.byName[r.shard]
	if s == nil {
		j.broken(H9, "%s of %s: there is no such shard in the stream", r.Type, r.Shard)
		return
	}
	low, high := a.begins(s, r) // where it may begin
	next := -1                  // the index behind what was read
	for n, seq := range r.got {
		k := j.rawAt(s, seq)
		switch {
		case k == len(s.raws) || s.raws[k].seq != seq:
			j.broken(H9, "%s: %s was read, and is not in the shard", what(r), brief(j.t.seqs.texts[seq]))
			return
		case n == 0 && (k < low || k > high):
			j.broken(H9, "%s: began with record %d of the shard, %s, and should with %d to %d", what(r), k, brief(j.t.seqs.texts[seq]), low, high)
			return
		case n > 0 && k != next:
			j.broken(H9, "%s: record %d of the shard, %s, came where %d was due", what(r), k, brief(j.t.seqs.texts[seq]), next)
			return
		}
		next = k + 1
	}
	if next < 0 {
		next = high // what is before may be left out
	}
	if r.Last.IsZero() {
		return
	}
	if due := a.acked(r.shard, r.Last); r.Behind == 0 && !r.Closed && next <= due {
		j.broken(H9, "%s: told to be at the tip behind record %d of the shard, and %d had been acknowledged", what(r), next-1, due)
	}
	if r.Closed && (next < len(s.raws) || s.end == "") {
		j.broken(H9, "%s: told that the shard ends behind record %d, and it has %d", what(r), next-1, len(s.raws))
	}
}

// begins is the first and the last index that an iterator may begin with.
func (a *auditor) begins(s *shard, r *read) (low, high int) {
	j := a.j
	switch r.Type {
	case "TRIM_HORIZON":
		return 0, 0
	case "AT_SEQUENCE_NUMBER":
		low = j.rawAt(s, r.from)
	case "AFTER_SEQUENCE_NUMBER":
		low = j.rawAt(s, r.from)
		if low < len(s.raws) && s.raws[low].seq == r.from {
			low++
		}
	case "AT_TIMESTAMP":
		since := r.Timestamp.UnixMilli()
		for low < len(s.raws) && s.raws[low].arrival < since {
			low++
		}
	case "LATEST":
		return a.acked(s.name, r.Began) + 1, a.put(s, r.Answered)
	default:
		j.broken(H9, "%s: unknown type of iterator", what(r))
		return 0, len(s.raws)
	}
	return low, low
}

// rawAt is the index of the first record of a shard that is not below a sequence
// number.
func (j *judge) rawAt(s *shard, seq uint32) int {
	return sort.Search(len(s.raws), func(i int) bool { return j.rank[s.raws[i].seq] >= j.rank[seq] })
}

// what describes a read.
func what(r *read) string {
	where := ""
	switch {
	case r.Sequence != "":
		where = " " + brief(r.Sequence)
	case !r.Timestamp.IsZero():
		where = " " + r.Timestamp.UTC().Format("15:04:05.000")
	}
	return r.Type + where + " of " + r.Shard
}
