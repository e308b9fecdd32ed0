package protocol

// How large a world can be. The zero of everything is "none", so that what a
// model does not use takes no room in a packed state.
const (
	maxWorkers  = 3
	maxLeases   = 7
	maxSessions = 8 // number 0 is nobody's
	maxCalls    = 4
)

// end is the position of a shard that was handled to its end; before it stand 0,
// the start, and the numbers of the records.
const end = 7

// world is one state of everything: the store, the copy that a failover falls back
// to, the workers, the calls that are on their way, and the facts that no failover
// undoes. It has only bytes in it, so its memory is its value.
type world struct {
	db, replica store
	workers     [maxWorkers]worker
	calls       [maxCalls]call
	handled     [maxLeases]uint8   // by shard, a bit for each record that somebody handled
	ran         [maxSessions]uint8 // by session, a bit for each token that a runner was started with
	chance      [maxSessions]uint8 // by session, ticks since its last beat in which the store was there
	expired     uint8              // shards that the stream has dropped, a bit each
	session     uint8              // the last session number given
	down        uint8              // 1 while the store is away
	spent       [faults]uint8      // how often each fault happened
	bad         violation          // what a step broke
	incs        uint8              // incarnations that were made
	_           [3]uint8           // keeps the size a multiple of 8
}

// store is what Redis keeps, the keys in parentheses.
type store struct {
	rows     [maxLeases]row      // o, c, d
	sessions [maxSessions]member // s, i
	inc      uint8               // incarnation, 0 when there are no keys (m)
	seq      uint8               // of the last change, in models with views (m)
	since    uint8               // ticks since the last beat by the store's clock, at most half a lease time (m.last)
	sync     uint8               // session time that is left of m.sync
	state    uint8               // ready, paused, lost … (m)
	removed  uint8               // not the store's: rows that gc removed, a bit each
	void     uint8               // an incarnation that was begun without knowledge of a loss
	_        [1]uint8            // keeps the size a multiple of 8
}

// The bits of store.state.
const (
	ready   = 1 << iota // the first set of leases is complete
	paused              // by hand
	lost                // this incarnation was made because the one before was lost
	young               // the incarnation is not a lease time old
	remnant             // some keys were lost, not all
)

// behind is the value of store.since after the clock was put back: session time
// stands still until the next beat.
const behind = 255

// row is a lease.
type row struct {
	token uint8 // 0 is free
	last  uint8 // the token that it was released under
	want  uint8 // session
	until uint8 // session time that is left of the wish, or of its reservation
	c     uint8 // position
	state uint8
	seq   uint8 // of its last change (g)
	epoch uint8 // counted only where the fence is by epoch
}

// The bits of row.state.
const (
	there      = 1 << iota // the row exists
	waiting                // never acquired: d.parents is not empty
	rewound                // not the store's: reset since it was last acquired
	incomplete             // not the store's: its end was written without its children
)

// member is a session in the store.
type member struct {
	left   uint8 // session time until it lapses
	k      uint8 // the number of its last beat
	stamp  uint8 // when that was executed, told apart in different histories
	n      uint8 // the highest token number seen
	state  uint8
	issued uint8 // not the store's: a bit for each token granted in this history
}

// The bits of member.state.
const (
	known = 1 << iota
	bye
	draining
)

// worker is a process.
type worker struct {
	state   uint8 // up, synced, leaving
	session uint8
	inc     uint8 // the incarnation it joined
	sent    uint8 // beats sent
	k       uint8 // the number of the last that was answered
	stamp   uint8 // when that was executed
	seen    uint8
	age     uint8 // ticks since the start of the last good beat
	numbers uint8 // the last token number used
	touched uint8 // leases about which a call ended since the last beat was sent, a bit each
	runners [maxLeases]runner
	view    [maxLeases]seenRow
	living  uint8            // sessions that the view knows, a bit each
	lapsed  uint8            // those of them that are past their deadline
	memory  [maxLeases]uint8 // what it would seed: position and row bits, by lease
	from    uint8            // the incarnation of that
	beat    beat
}

// The bits of worker.state.
const (
	up      = 1 << iota
	synced  // the view is whole
	leaving // it drains
)

// runner is one tenure of a lease in a worker.
type runner struct {
	token uint8 // 0 is no tenure
	pos   uint8 // handled up to
	saved uint8 // known to be stored
	state uint8
	epoch uint8
}

// The states of a runner.
const (
	running   = 1
	releasing = 2 // returned; its last position is saved and the lease given back
	asked     = 4 // a bit beside running: it should return, for a hand-over or a drain
)

// seenRow is a row in a worker's view.
type seenRow struct {
	token, want uint8
	c           uint8 // position, with rowThere when there is a row
}

// rowThere and rowWaits stand beside a position in one byte.
const (
	rowThere = 1 << 7
	rowWaits = 1 << 6
	rowPos   = 1<<4 - 1
)

// beat is a worker's beat that is on its way.
type beat struct {
	phase   uint8 // 0 none, else one of these
	age     uint8 // ticks since its start
	k, seen uint8
	good    uint8 // the last answered one
	stamp   uint8 // of that; in the answer, of this
	status  status
	through uint8
	rows    uint8 // leases in the answer, a bit each
	inc     uint8
	view    [maxLeases]seenRow
}

// Phases of a beat, and of a call.
const (
	sent     = 1
	answered = 2 // executed, its answer on the way
)

// call is a call that is on its way to the store, or its answer back.
type call struct {
	op     op
	state  uint8
	worker uint8
	lease  uint8
	token  uint8 // what it acquires, or is sent under; of a request the session
	pos    uint8
	inc    uint8
	status status
}

// The bits of call.state.
const (
	awaited  = 1 << iota // the caller waits for the answer
	executed             // the store has answered
	release              // a save that gives the lease back
	second               // the second half of a complete that is made in two steps
	overrun  = second    // of an acquire: the caller's term ran out since it was sent
	epochBit = 4         // the epoch stands above these bits
)

// op is a script.
type op uint8

const (
	opAcquire op = iota + 1
	opSave
	opComplete
	opRequest
	opRefuse
	opSeed
	opBeat // an abandoned one
)

// status is what a script answered.
type status uint8

const (
	ok     status = iota
	denied        // any answer that leaves the caller without the lease: HELD, PARENT, STALE …
	fenced
	regress
	reset
	stateLost
	regressed
	gone
	stale
	superseded
)

// fault counts what a model bounds.
const (
	snapshots = iota
	failovers
	losses
	crashes
	repeats
	jumps
	outages
	operations // of the operator
	faults
)

// token makes a token of a session and a number.
func token(session, n uint8) uint8 { return session<<5 | n }

// sessionOf is the session of a token.
func sessionOf(t uint8) uint8 { return t >> 5 }

// numberOf is the number of a token.
func numberOf(t uint8) uint8 { return t & 31 }
