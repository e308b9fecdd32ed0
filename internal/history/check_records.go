package history

// loss judges H1: what was acknowledged is in the stream, and was handled.
func (j *judge) loss() {
	if len(j.t.puts) == 0 || len(j.t.deliveries) == 0 {
		j.broken(H1, "no put or no delivery was recorded")
	}
	for n, p := range j.t.puts {
		e, acked := j.acked(n)
		if !acked {
			continue
		}
		j.v.Sent++
		first := j.ackedAs[e.place]
		switch {
		case first != n:
			j.v.Lost++
			j.broken(H1, "lost: puts %d and %d were both acknowledged as %s", first, n, j.at(e.place))
		case j.handledAt[e.place] == none && j.maySkip(e.place):
			j.v.Skipped++
		case j.handledAt[e.place] == none:
			j.v.Lost++
			j.broken(H1, "lost: put %d, key %s, acknowledged as %s in %s %s, was never handled",
				n, j.key(p.key), j.at(e.place), j.t.text(e.shard), j.when(j.endAt[n]))
		default:
			j.v.Handled++
		}
		if j.truth == nil {
			continue
		}
		switch at := j.truth.at[e.place]; {
		case at.shard == nil:
			j.broken(H1, "put %d, key %s, acknowledged as %s in %s, is not in the stream", n, j.key(p.key), j.at(e.place), j.t.text(e.shard))
		case e.shard != 0 && at.shard.name != e.shard:
			j.broken(H1, "put %d, acknowledged as %s in %s, is in %s", n, j.at(e.place), j.t.text(e.shard), j.t.text(at.shard.name))
		}
	}
	if len(j.t.puts) > 0 && j.v.Sent == 0 {
		j.broken(H1, "none of %d puts was acknowledged, so that nothing could be lost", len(j.t.puts))
	}
}

// unsure counts the puts that failed and may have been written, and those of them
// that were. Of one of them nothing can be said: it may have been lost on its way.
func (j *judge) unsure() {
	maybe := map[content]bool{}
	for n, p := range j.t.puts {
		if e := j.endOf[n]; e == none || j.t.ends[e].acked || !j.t.ends[e].maybe {
			continue
		}
		j.v.Unsure++
		if c := (content{p.key, p.sum}); j.like(c).n == 1 { // else the record may be another's
			maybe[c] = true
		}
	}
	if j.truth == nil {
		return
	}
	for s := range j.truth.shards {
		for _, u := range j.truth.shards[s].users {
			if c := (content{u.key, u.sum}); maybe[c] {
				delete(maybe, c)
				j.v.Written++
			}
		}
	}
}

// content judges H2: what was delivered is what was put, and what the stream has.
func (j *judge) content() {
	if len(j.t.deliveries) == 0 {
		j.broken(H2, "no delivery was recorded")
	}
	for i := range j.t.deliveries {
		d := &j.t.deliveries[i]
		if !j.likeFirst(d, i) || !j.likePut(d, i) {
			continue
		}
		j.likeTruth(d)
	}
	if j.truth == nil {
		return
	}
	for s := range j.truth.shards {
		for _, u := range j.truth.shards[s].users {
			if n := j.ackedAs[u.place]; n != none {
				p := &j.t.puts[n]
				if u.key != p.key || u.sum != p.sum || u.aggregated && u.hash != p.hash {
					j.broken(H2, "altered: put %d, key %s, is in the stream as %s with other bytes or keys", n, j.key(p.key), j.at(u.place))
				}
			}
		}
	}
}

// likeFirst compares a delivery with the first of its place.
func (j *judge) likeFirst(d *delivery, i int) bool {
	first := j.first[d.place]
	if first == i {
		return true
	}
	j.v.Duplicates++
	f := &j.t.deliveries[first]
	if f.key != d.key || f.sum != d.sum || f.hash != d.hash {
		j.v.Altered++
		j.broken(H2, "altered: %s was delivered to %s with other bytes or keys than before", j.at(d.place), j.who(d.tenure))
		return false
	}
	return true
}

// likePut compares the first delivery of a place with the put that it is.
func (j *judge) likePut(d *delivery, i int) bool {
	if j.first[d.place] != i {
		return true
	}
	if j.ackedAs[d.place] == none {
		n, known := j.putOf(d)
		if !known {
			j.v.Unknown++
			j.broken(H2, "unknown: %s, key %s, was delivered to %s and never put", j.at(d.place), j.key(d.key), j.who(d.tenure))
			return false
		}
		j.v.Repeated++
		j.v.Duplicates++
		if n != none && d.hash != 0 && d.hash != j.t.puts[n].hash {
			j.v.Altered++
			j.broken(H2, "altered: %s, a copy of put %d, was delivered to %s with another hash key", j.at(d.place), n, j.who(d.tenure))
			return false
		}
		return true
	}
	n := j.ackedAs[d.place]
	p := &j.t.puts[n]
	if d.key != p.key || d.sum != p.sum || d.hash != 0 && d.hash != p.hash {
		j.v.Altered++
		j.broken(H2, "altered: put %d, key %s, was delivered to %s with key %s, hash key %q, or other bytes",
			n, j.key(p.key), j.who(d.tenure), j.key(d.key), j.t.text(d.hash))
		return false
	}
	return true
}

// likeTruth compares a delivery with the user record in the stream.
func (j *judge) likeTruth(d *delivery) {
	if j.truth == nil {
		return
	}
	at := j.truth.at[d.place]
	if at.shard == nil {
		j.broken(H2, "%s was delivered to %s, and is none of the stream's user records in their shards' ranges", j.at(d.place), j.who(d.tenure))
		return
	}
	u := &at.shard.users[at.i]
	switch {
	case at.shard.name != j.shardName[d.tenure]:
		j.broken(H2, "%s of %s was delivered to %s", j.at(d.place), j.t.text(at.shard.name), j.who(d.tenure))
	case u.key != d.key || u.sum != d.sum || u.hash != d.hash:
		j.v.Altered++
		j.broken(H2, "altered: %s was delivered to %s with other bytes or keys than the stream has", j.at(d.place), j.who(d.tenure))
	case d.arrival != 0:
		if at, _ := j.arrival(d.place); at != d.arrival {
			j.v.Altered++
			j.broken(H2, "altered: %s was delivered to %s with a time of arrival that is %+d ms off", j.at(d.place), j.who(d.tenure), d.arrival-at)
		}
	}
}

// promises judges H10: each put ends once, and an error hides no success.
func (j *judge) promises() {
	if len(j.t.puts) == 0 {
		j.broken(H10, "no put was recorded")
	}
	ended := make([]uint8, len(j.t.puts))
	refused := map[content]int{} // puts that failed and are said not to be written
	for i, e := range j.t.ends {
		p := &j.t.puts[e.put]
		if ended[e.put]++; ended[e.put] == 2 {
			j.broken(H10, "put %d of %s, key %s, ended twice", e.put, j.t.text(p.producer), j.key(p.key))
		}
		if !e.acked && !e.maybe && j.endOf[e.put] == i {
			c := content{p.key, p.sum}
			if same := j.like(c); same.n == 1 { // else the record may be another's
				refused[c] = int(e.put)
			}
		}
	}
	for n, times := range ended {
		p := &j.t.puts[n]
		crash, died := j.crashed[p.producer]
		if times == 0 && (!died || crash < j.putAt[n]) {
			j.broken(H10, "put %d of %s, key %s, begun %s, never ended", n, j.t.text(p.producer), j.key(p.key), j.when(j.putAt[n]))
		}
	}
	if len(refused) == 0 {
		return
	}
	hidden := func(c content, at uint32) {
		if n, ok := refused[c]; ok {
			delete(refused, c)
			j.broken(H10, "put %d of %s failed for good (%s), and its record is in the stream as %s",
				n, j.t.text(j.t.puts[n].producer), j.t.text(j.t.ends[j.endOf[n]].err), j.at(at))
		}
	}
	for _, d := range j.t.deliveries {
		hidden(content{d.key, d.sum}, d.place)
	}
	if j.truth != nil {
		for s := range j.truth.shards {
			for _, u := range j.truth.shards[s].users {
				hidden(content{u.key, u.sum}, u.place)
			}
		}
	}
}
