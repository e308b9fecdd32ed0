package protocol

// What may happen to what is on its way: it is lost, late, executed twice, answered.

// callSteps is what may happen to a call that is on its way.
func (m *Model) callSteps(w *world, k int, out emit) {
	c, id := &w.calls[k], uint8(k)
	t := *w
	t.calls[k] = call{}
	if c.state&awaited != 0 {
		m.failed(&t, c)
	}
	out(step{evLost, id, 0}, &t)
	if c.state&executed != 0 {
		m.replySteps(w, k, out)
		return
	}
	if c.state&awaited != 0 {
		t := *w
		t.calls[k].state &^= awaited
		m.failed(&t, c)
		out(step{evGivenUp, id, 0}, &t)
	}
	if w.down != 0 {
		return
	}
	t = *w
	m.executeCall(&t, k)
	if m.left(w, repeats) && m.room(&t) {
		t := t
		copied := *c
		copied.state &^= awaited
		m.send(&t, copied)
		t.spent[repeats]++
		out(step{evTwice, id, 0}, &t)
	}
	out(step{evExecuted, id, 0}, &t)
}

// executeCall is the store's part of a call. What nobody waits for is gone then.
func (m *Model) executeCall(w *world, k int) {
	c := w.calls[k]
	switch c.op {
	case opAcquire:
		c.status = m.acquire(w, &c)
	case opSave:
		c.status = m.save(w, &c)
	case opComplete:
		c.status = m.complete(w, &c)
	case opRequest:
		c.status = m.request(w, &c)
	case opRefuse:
		c.status = m.refuse(w, &c)
	case opSeed:
		c.status = m.seed(w, &c)
	case opBeat:
		b := beat{k: c.pos, seen: c.lease, inc: c.inc, good: uint8(c.status) >> 4, stamp: uint8(c.status) & 15}
		c.status = m.executeBeat(w, c.token, false, &b)
		w.chance[c.token] = 0
	}
	if c.state&awaited == 0 {
		w.calls[k] = call{}
		return
	}
	c.state |= executed
	w.calls[k] = c
}

func (m *Model) replySteps(w *world, k int, out emit) {
	t := *w
	m.deliver(&t, k)
	out(step{evReply, uint8(k), 0}, &t)
}

// deliver brings an answer to its caller.
func (m *Model) deliver(w *world, k int) {
	c := w.calls[k]
	w.calls[k] = call{}
	m.reply(w, &c)
}
