package protocol

// Model is what is explored: how many of everything, which faults, and which of
// the rules are left out.
type Model struct {
	Name string
	// Workers and Sessions bound the processes, and how often they start anew.
	// Workers that have joined at the beginning are Workers; the sessions that are
	// left are for restarts.
	Workers, Sessions int
	// Shards are the stream: for each shard its parents. Its children follow.
	Shards [][]int
	// Records is how many records each shard has, at most 3.
	Records int
	// Tokens is how many acquires a session sends, Calls how many calls are on
	// their way at once.
	Tokens, Calls int
	// TTL is the lease time in ticks; 0 leaves time out: then a session may lapse,
	// and a wish may end, at any moment.
	TTL int
	// Steady lets no session lapse while its worker is there.
	Steady bool
	// Views has workers see the table through beats only; Beats bounds those of all
	// workers, the first ones by which they have joined among them.
	Views bool
	Beats int
	// Faults bounds each fault.
	Faults [faults]uint8
	// Wants lets workers ask for leases, Drains lets them end in good order,
	// Memory has them keep what they would seed.
	Wants, Drains, Memory bool
	// Audit lets the auditor act: adopt, retire, gc.
	Audit bool
	// Damage lets the store lose a row that the auditor has to make again.
	Damage bool
	// Held has worker 0 hold lease 0 at the beginning, and take no other.
	Held bool
	// Exclusive checks that no two workers believe in one lease. It holds where
	// the store loses nothing and the clock does not jump.
	Exclusive bool
	// Mistake is the rule that is left out.
	Mistake Mistake
	// Lean leaves out what shows nothing new: saves, releases, and the steps
	// between the records of a shard. Passive shards, a bit each, nobody takes.
	Lean    bool
	Passive uint8
	// Sample has a fair schedule without faults tried from one in so many states;
	// 0 from none.
	Sample int
	// Most bounds the states; an exploration that meets it is not exhaustive.
	Most int

	children [][]int
}

// prepare derives what follows from the rest.
func (m *Model) prepare() {
	m.children = make([][]int, len(m.Shards))
	for s, parents := range m.Shards {
		for _, p := range parents {
			m.children[p] = append(m.children[p], s)
		}
	}
}

// all is the set of a shard's records.
func (m *Model) all() uint8 { return 1<<m.Records - 1 }

// reached tells whether every record up to a position was handled.
func (m *Model) reached(w *world, lease, pos uint8) bool {
	if pos == end {
		pos = uint8(m.Records)
	}
	want := uint8(1)<<pos - 1
	return w.handled[lease]&want == want
}

// initial is the world at the beginning: the first leases are there, and all
// workers have joined.
func (m *Model) initial() world {
	var w world
	w.incs = 1
	w.db.inc, w.db.state = 1, ready
	for l, parents := range m.Shards {
		if len(parents) == 0 {
			w.db.rows[l] = row{state: there}
			m.touch(&w.db, uint8(l))
		}
	}
	for i := range m.Workers {
		m.start(&w, i)
		m.renew(&w, uint8(i+1))
		x := &w.workers[i]
		x.inc = 1
		if m.Views {
			x.sent, x.k, w.db.sessions[i+1].k = 1, 1, 1
		}
		m.look(&w, x)
	}
	if m.Held {
		x := &w.workers[0]
		x.numbers = uint8(max(m.Tokens, 1))
		t := token(x.session, x.numbers)
		x.runners[0] = runner{token: t, state: running}
		w.db.rows[0].token = t
		w.db.sessions[x.session].n = x.numbers
		m.touch(&w.db, 0)
	}
	for i := range m.Workers {
		if m.Views {
			x := &w.workers[i]
			x.seen, x.state = w.db.seq, x.state|synced
			for l := range m.Shards {
				x.view[l] = shown(&w.db.rows[l])
			}
		}
	}
	return w
}
