package history

// lane is what keeps its order: the records of a key that are placed by the
// same hash key and, for puts, that one producer put.
type lane struct{ producer, key, hash uint32 }

// order judges the first two parts of H3, which are about keys: first deliveries
// are in the stream's order, and those of an ordered producer in put order.
func (j *judge) order() {
	j.ackOrder()
	late := j.deliveryOrder()
	j.putOrder(late)
}

// ackOrder: the acknowledged ids of an ordered producer rise, by key.
func (j *judge) ackOrder() {
	type top struct {
		put    int
		height uint64
	}
	highest := map[lane]top{}
	for n, p := range j.t.puts {
		e, acked := j.acked(n)
		if !acked || !p.ordered {
			continue
		}
		l, height := lane{p.producer, p.key, p.hash}, j.height(e.place)
		last, some := highest[l]
		if some && height < last.height {
			j.broken(H3, "order: key %s: put %d of %s was acknowledged as %s, below %s of put %d before it",
				j.key(p.key), n, j.t.text(p.producer), j.at(e.place), j.at(j.t.ends[j.endOf[last.put]].place), last.put)
			continue
		}
		highest[l] = top{n, height}
	}
}

// deliveryOrder: the first deliveries of places are in the stream's order, by
// key. It returns the deliveries that are late.
func (j *judge) deliveryOrder() map[int]bool {
	highest, late := map[lane]int{}, map[int]bool{}
	for i := range j.t.deliveries {
		d := &j.t.deliveries[i]
		if j.first[d.place] != i || j.outOfOrder(d.place) {
			continue
		}
		l := lane{key: d.key, hash: d.hash}
		if n, _ := j.putOf(d); n != none {
			l.hash = j.t.puts[n].hash // which a record that came alone does not show
		}
		last, some := highest[l]
		if some && j.height(d.place) < j.height(j.t.deliveries[last].place) {
			late[i] = true
			j.v.OrderViolations++
			j.broken(H3, "order: key %s: %s was first delivered (to %s) after %s (to %s)", j.key(d.key),
				j.at(d.place), j.who(d.tenure), j.at(j.t.deliveries[last].place), j.who(j.t.deliveries[last].tenure))
			continue
		}
		highest[l] = i
	}
	return late
}

// putOrder: the acknowledged puts of an ordered producer are first delivered, as
// whatever copy, in the order of the puts. Those told late are not told again.
func (j *judge) putOrder(late map[int]bool) {
	latest := map[lane]int{}            // the latest put delivered
	seen := make([]bool, len(j.t.puts)) // puts delivered, under whatever id
	for i := range j.t.deliveries {
		d := &j.t.deliveries[i]
		if j.first[d.place] != i || j.outOfOrder(d.place) {
			continue
		}
		n, _ := j.putOf(d)
		if n == none || seen[n] {
			continue
		}
		seen[n] = true
		p := &j.t.puts[n]
		end, acked := j.acked(n)
		if !acked || !p.ordered || j.outOfOrder(end.place) { // of what may be skipped a later copy may come
			continue
		}
		l := lane{p.producer, p.key, p.hash}
		last, some := latest[l]
		if some && n < last {
			if !late[i] {
				j.v.OrderViolations++
				j.broken(H3, "order: key %s: put %d of %s was first delivered (to %s, as %s) after put %d",
					j.key(p.key), n, j.t.text(p.producer), j.who(d.tenure), j.at(d.place), last)
			}
			continue
		}
		latest[l] = n
	}
}
