package lease

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

const (
	// beatRows is how many changed rows one beat returns.
	beatRows = 200
	// reserved is how long, in session time, a released lease waits for the
	// session that had asked for it.
	reserved = 1000
	// weightQuiet is the least session time between two logged weights of one
	// lease.
	weightQuiet = 60_000
	// lapsedABeat is how many long lapsed sessions one beat removes.
	lapsedABeat = 20
	// trimmedABeat is how many removals of long ago one beat forgets.
	trimmedABeat = 100
)

// table is one group in a [Memory]. Its methods run under Memory.mu.
type table struct {
	incarnation string
	lost        bool   // it was made because the one before was lost
	sync        int64  // until when it takes seeds and grants nothing
	void        string // the incarnation of which it takes none
	paused      bool   // by hand
	byHand      bool   // paused or resumed by hand, in this incarnation
	asOf        int64  // of the seed that said whether it is paused
	ttl         int64  // milliseconds
	seq         uint64
	vt, last    int64 // session time, and the clock when it was stored
	now         int64 // session time of the step that runs
	rows        map[string]*row
	sessions    map[string]*member
	names       map[string]string // worker name → session
	ready       map[string]bool   // streams whose first set is complete
	generation  map[string]int64  // of the leases of each stream, 0 for one that is not known
	log         []change          // by seq; an entry is stale when its subject changed again
	changed     map[string]uint64 // subject → seq of its last change
	floor       uint64            // up to where removals are forgotten
	tombs       []tomb            // what was removed
	announce    bool
}

// change is a line of the log; its subject is a lease name or "@" + session.
type change struct {
	seq     uint64
	subject string
}

// tomb is a removal that the log still has.
type tomb struct {
	subject string
	at      int64
}

type row struct {
	token, last checkpoint.Token
	epoch       uint64
	want        string
	wantUntil   int64
	entry       checkpoint.Entry
	weight      uint8
	weightAt    int64 // when the weight was last logged
	shard       Shard
	flags       string // with commas between them
	seeded      bool
	asOf        int64 // of the seed that said whether it is paused
}

type member struct {
	info    Session
	number  uint64 // of its last beat
	stamp   int64  // when that was executed
	base    uint64 // the floor when its view began
	numbers uint64 // the highest token number given
	bye     bool
}

func newTable(incarnation string, ttl time.Duration, clock int64) *table {
	return &table{
		incarnation: incarnation,
		ttl:         ttl.Milliseconds(),
		last:        clock,
		rows:        map[string]*row{},
		sessions:    map[string]*member{},
		names:       map[string]string{},
		ready:       map[string]bool{},
		generation:  map[string]int64{},
		changed:     map[string]uint64{},
	}
}

// lose notes that a table is made after a loss. It takes seeds for a lease time,
// but none of a void incarnation.
func (t *table) lose(void string) { t.lost, t.void, t.sync = true, void, t.ttl }

// syncing reports whether the table takes seeds and grants nothing.
func (t *table) syncing() bool { return t.now < t.sync }

// sessionTime follows the clock, but never by more than half a lease time
// since the last beat: an outage lapses nobody.
func (t *table) sessionTime(clock int64) int64 {
	return t.vt + min(max(clock-t.last, 0), t.ttl/2)
}

// tick stores the session time, as beats do.
func (t *table) tick(clock int64) {
	t.vt, t.last = t.sessionTime(clock), clock
	t.now = t.vt
}

// touch logs a change of a lease or "@"-session.
func (t *table) touch(subject string) {
	t.seq++
	t.changed[subject] = t.seq
	t.log = append(t.log, change{t.seq, subject})
	if len(t.log) > 64 && len(t.log) > 2*len(t.changed) {
		t.log = slices.DeleteFunc(t.log, func(c change) bool { return t.changed[c.subject] != c.seq })
	}
}

func (t *table) acquire(a Acquire, grants []Grant) {
	s := t.sessions[a.Session]
	for i, name := range a.Names {
		r, number := t.rows[name], a.First+uint64(i)
		token := checkpoint.Token(a.Session + "#" + strconv.FormatUint(number, 10))
		switch {
		case t.paused:
			grants[i].Err = ErrPaused
		case !t.alive(a.Session):
			grants[i].Err = ErrExpired
		case t.syncing():
			grants[i].Err = ErrSyncing
		case !t.ready[StreamOf(name)]:
			grants[i].Err = ErrNotReady
		case r == nil:
			grants[i].Err = ErrGone
		case r.token == token:
			grants[i] = r.grant()
		case r.entry.Position.IsEnd():
			grants[i].Err = ErrGone
		case number <= s.numbers:
			grants[i].Err = ErrStale
		case marked(r.flags, FlagPaused):
			grants[i].Err = ErrPaused
		case t.waits(r):
			grants[i].Err = ErrParent
		case !t.open(r, a.Session):
			grants[i].Err = ErrHeld
		default:
			r.token, r.want, r.wantUntil = token, "", 0
			r.epoch = max(r.epoch+1, uint64(time.Now().UnixMicro()))
			r.shard.Parents = nil
			t.touch(name)
			grants[i] = r.grant()
		}
	}
	if s != nil && len(a.Names) > 0 {
		s.numbers = max(s.numbers, a.First+uint64(len(a.Names))-1)
	}
}

// waits reports whether a parent of r was not handled to its end; a parent
// without a row was not.
func (t *table) waits(r *row) bool {
	return slices.ContainsFunc(r.shard.Parents, func(parent string) bool {
		p := t.rows[parent]
		return p == nil || !p.entry.Position.IsEnd()
	})
}

// open reports whether session may take r: it is free and reserved for nobody
// else, or its own already, or its owner lapsed.
func (t *table) open(r *row, session string) bool {
	owner := SessionOf(r.token)
	if owner == "" {
		return !t.wanted(r) || r.want == session
	}
	return owner == session || !t.alive(owner)
}

// wanted reports whether a living session's wish for r stands.
func (t *table) wanted(r *row) bool {
	return r.want != "" && r.wantUntil > t.now && t.alive(r.want)
}

func (t *table) save(u checkpoint.Update) checkpoint.Outcome {
	r := t.rows[u.Lease]
	switch {
	case r == nil:
		return checkpoint.Outcome{Err: checkpoint.ErrNotFound}
	case r.token != u.Token && r.last == u.Token && u.Position.Compare(r.entry.Position) <= 0:
		return checkpoint.Outcome{Position: r.entry.Position} // a repeat
	case r.token != u.Token:
		return checkpoint.Outcome{Err: checkpoint.Fenced(r.token, r.last, r.epoch)}
	}
	next, err := r.entry.Apply(u)
	if err != nil {
		return checkpoint.Outcome{Err: err, Position: r.entry.Position}
	}
	older := u.Position.Compare(r.entry.Position) == 0 && u.Counter < r.entry.Counter
	// Who does not know the state cannot give the position back.
	news := !older && u.State != nil && !r.stateful()
	r.entry = next
	if !older && u.Weight != 0 && u.Weight != r.weight && (r.weight == 0 || t.now >= r.weightAt+weightQuiet) {
		r.weight, r.weightAt, news = u.Weight, t.now, true
	}
	if news && !u.Release {
		t.touch(u.Lease)
	}
	if u.Release {
		t.free(u.Lease, r)
	}
	return checkpoint.Outcome{Position: next.Position}
}

// free gives a lease up; one that was asked for waits for its thief.
func (t *table) free(name string, r *row) {
	if t.wanted(r) {
		r.wantUntil = t.now + reserved
	} else {
		r.want, r.wantUntil = "", 0
	}
	r.token, r.last = "", r.token
	t.touch(name)
	t.announce = true
}

func (t *table) complete(c Completion) error {
	r := t.rows[c.Name]
	switch {
	case r == nil:
		return checkpoint.ErrNotFound
	case r.token != c.Token && r.last == c.Token && r.entry.Position.IsEnd():
		return nil // a repeat
	case r.token != c.Token:
		return checkpoint.ErrFenced
	}
	t.finish(c.Name, r, c.Children)
	return nil
}

// finish ends a shard: its children get rows where they have none, and what is left
// of its state, and the lease is freed.
func (t *table) finish(name string, r *row, children []Row) {
	r.shard.Parents, r.shard.Children = nil, nil
	for _, child := range children {
		r.shard.Children = append(r.shard.Children, child.Name)
		if t.rows[child.Name] == nil {
			t.insert(child)
		}
		had := t.rows[child.Name].stateful()
		t.rows[child.Name].inherit(name, r.entry)
		if had != t.rows[child.Name].stateful() {
			t.touch(child.Name)
		}
	}
	r.entry.Position, r.entry.State, r.entry.Inherited = checkpoint.ShardEnd(), nil, nil
	r.want, r.wantUntil = "", 0
	t.free(name, r)
}

// stateful reports whether the position is no place to go on from without the
// state that the row has.
func (r *row) stateful() bool { return r.entry.State != nil || len(r.entry.Inherited) > 0 }

// inherit takes what a lease that ended leaves: its state, or what it was left
// itself and never saved. A lease that was acquired has a state of its own.
func (r *row) inherit(from string, e checkpoint.Entry) {
	if r.epoch > 0 {
		return
	}
	left := maps.Clone(e.Inherited)
	if left == nil {
		left = map[string][]byte{}
	}
	if e.State != nil {
		left[from] = e.State
	}
	if len(left) == 0 {
		return
	}
	if r.entry.Inherited == nil {
		r.entry.Inherited = map[string][]byte{}
	}
	maps.Copy(r.entry.Inherited, left)
}

// stamped is when a row is made that is made now.
func stamped() time.Time { return time.UnixMilli(time.Now().UnixMilli()).UTC() }

func (t *table) insert(n Row) {
	n.Shard = n.Shard.clone()
	if n.Shard.Created.IsZero() {
		n.Shard.Created = stamped()
	}
	n.Shard.Generation = t.generation[StreamOf(n.Name)]
	t.rows[n.Name] = &row{shard: n.Shard, entry: checkpoint.Entry{Position: n.Position}}
	t.touch(n.Name)
}

func (t *table) create(c Create) error {
	switch {
	case !t.alive(c.Session):
		return ErrExpired
	case t.syncing():
		return ErrSyncing
	case t.ready[c.Stream]:
		return ErrExists
	}
	if _, known := t.generation[c.Stream]; !known { // else it is of the seeds
		t.generation[c.Stream] = stamped().UnixMilli()
	}
	descend(c.Rows, func(n Row, children []string) {
		r := t.rows[n.Name]
		if t.fill(n, children) || r.entry.Position.IsEnd() || !t.over(children) {
			return
		}
		// A seed from before its end.
		r.entry.Position, r.entry.State, r.entry.Inherited = checkpoint.ShardEnd(), nil, nil
		r.shard.Parents, r.shard.Children = nil, slices.Clone(children)
		t.touch(n.Name)
	})
	t.ready[c.Stream] = true
	t.announce = true
	return nil
}

func (t *table) request(r Request, name string) error {
	l := t.rows[name]
	switch {
	case !t.alive(r.Session):
		return ErrExpired
	case l == nil:
		return ErrGone
	case !t.alive(SessionOf(l.token)) || SessionOf(l.token) == r.Session:
		return nil // to be acquired, not asked for
	case t.wanted(l) && l.want != r.Session:
		return ErrHeld
	}
	l.want, l.wantUntil = r.Session, t.now+r.For.Milliseconds()
	t.touch(name)
	t.announce = true
	return nil
}

func (t *table) refuse(ref Refusal) error {
	r := t.rows[ref.Name]
	switch {
	case r == nil:
		return checkpoint.ErrNotFound
	case r.token != ref.Token:
		return checkpoint.ErrFenced
	case r.want == "" || r.want != ref.Session:
		return nil
	}
	r.want, r.wantUntil = "", 0
	t.touch(ref.Name)
	t.announce = true
	return nil
}

func (r *row) grant() Grant {
	return Grant{Token: r.token, Epoch: r.epoch, Entry: r.entry.Clone(), Shard: r.shard.clone()}
}
