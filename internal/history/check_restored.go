package history

// restoring follows whether the store lost its table and has only part of it
// again: what the workers gave back. What no worker remembers is missing until
// one has made the rest, from a listing of the shards.
type restoring struct {
	j     *judge
	began int64 // when it was seen last, in Unix nanoseconds
	until int64 // when the rest was made, 0 for never
	now   bool
}

// event takes the next event, and reports whether the rest is made with it.
func (r *restoring) event(ev event) (whole bool) {
	switch ev.kind {
	case kindAnew:
		r.now, r.began, r.until = true, ev.at, 0
	case kindLost:
		switch since := r.j.t.losses[ev.i].since; {
		case since == 0: // seen when somebody joins
		case since < r.began:
			r.now, r.until = false, since // it fell back to the table before
		case since <= r.until:
			r.now, r.until = true, 0 // maybe to before the rest was made
		}
	case kindAnswer:
		c := int(r.j.t.answers[ev.i].call)
		if !r.now || r.j.t.calls[c].op != OpCreate {
			return false
		}
		if res, told := r.j.outcome(c, 0); !told || res.Err == "" {
			r.now, r.until = false, ev.at
			return true
		}
	}
	return false
}
