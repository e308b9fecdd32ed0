package history

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// on puts a call or an answer on its way; it may never arrive.
func (m *mini) on(f func()) {
	if m.rnd.IntN(10) > 0 {
		m.late = append(m.late, f)
	}
}

// arrive lets something that is on its way arrive.
func (m *mini) arrive() {
	if len(m.late) > 0 {
		i := m.rnd.IntN(len(m.late))
		f := m.late[i]
		m.late = slices.Delete(m.late, i, i+1)
		f()
	}
}

func (m *mini) create() {
	name := prefix + m.shards[0].ID
	c := m.h.Began(StoreCall{Actor: "worker-0", Op: OpCreate, Items: []Item{{Lease: name}}})
	m.rows[name] = miniRow{}
	m.h.Answered(c, []Result{{}}, nil)
}

// startable are the leases that can be acquired.
func (m *mini) startable() []string {
	var out []string
	for name, r := range m.rows {
		if !r.at.IsEnd() && !slices.ContainsFunc(r.parents, func(p string) bool { return !m.rows[p].at.IsEnd() }) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// acquire asks for a lease; the one who has it is taken to have lapsed.
func (m *mini) acquire(worker string) {
	if m.paused[worker] {
		return
	}
	names := m.startable()
	m.acquires(worker, names[m.rnd.IntN(len(names))])
}

func (m *mini) acquires(worker, name string) {
	m.epoch++
	epoch := m.epoch
	token := fmt.Sprintf("%s#%d", worker, epoch)
	c := m.h.Began(StoreCall{Actor: worker, Op: OpAcquire, Items: []Item{{Lease: name, Token: token}}})
	m.on(func() {
		r, known := m.rows[name]
		if !known || r.at.IsEnd() || r.epoch > epoch || slices.ContainsFunc(r.parents, func(p string) bool { return !m.rows[p].at.IsEnd() }) {
			m.on(func() { m.h.Answered(c, []Result{{Err: "held"}}, nil) })
			return
		}
		r.token, r.epoch, r.worker, r.parents = token, epoch, worker, nil
		m.rows[name] = r
		m.on(func() {
			m.h.Answered(c, []Result{{Token: token, Epoch: epoch, Position: r.at, Stored: true}}, nil)
			m.hold(worker, token, epoch, name, r.at)
		})
	})
}

// hold begins a tenure, unless the grant comes too late. Those before of the lease
// are over: the store grants a lease when its former owner, by its own clock, has
// stopped. One that is paused does not know.
func (m *mini) hold(worker, token string, epoch uint64, name string, from checkpoint.Position) {
	t := &miniTenure{worker: worker, token: token, epoch: epoch, from: from}
	t.shard = m.shards[slices.IndexFunc(m.shards, func(s *miniShard) bool { return prefix+s.ID == name })]
	if from.Rank == checkpoint.RankRecord {
		for t.next < len(t.shard.users) && position(t.shard.users[t.next].id).Compare(from) <= 0 {
			t.next++
		}
	}
	if m.top[name] > epoch {
		return
	}
	m.top[name] = epoch
	for _, o := range slices.Clone(m.held) {
		if o.lease() != name {
			continue
		}
		o.over = true
		if o.worker == worker || !m.paused[o.worker] {
			m.end(o)
		}
	}
	m.held = append(m.held, t)
}

// end ends a tenure that another has taken over from. It may yet try to save.
func (m *mini) end(t *miniTenure) {
	m.held = slices.DeleteFunc(m.held, func(o *miniTenure) bool { return o == t })
	if m.rnd.IntN(2) == 0 {
		m.saves(t, false)
	}
}

// pause stops a worker where it is.
func (m *mini) pause(worker string) {
	if !m.paused[worker] {
		m.h.Held(worker)
		m.paused[worker] = true
	}
}

// resume lets a worker go on: of each lease it may deliver the batch that it was
// about to, and then it sees which ones it has no more.
func (m *mini) resume(worker string) {
	if !m.paused[worker] {
		return
	}
	m.h.Resumed(worker)
	m.paused[worker] = false
	for _, t := range slices.Clone(m.held) {
		if t.worker != worker || !t.over {
			continue
		}
		if m.rnd.IntN(2) == 0 {
			n := min(len(t.shard.users)-t.next, 1+m.rnd.IntN(12))
			m.handles(t, n, m.rnd.IntN(n+1))
		}
		m.end(t)
	}
}

func position(id ID) checkpoint.Position {
	return checkpoint.At(checkpoint.SequenceNumber(id.Sequence), id.Subsequence)
}

// any is one of the tenures whose workers run, nil for none.
func (m *mini) any() *miniTenure {
	awake := slices.DeleteFunc(slices.Clone(m.held), func(t *miniTenure) bool { return m.paused[t.worker] })
	if len(awake) == 0 {
		return nil
	}
	return awake[m.rnd.IntN(len(awake))]
}

// handle gives a batch to a handler, which may handle a part of it only.
func (m *mini) handle() {
	if t := m.any(); t != nil {
		n := min(len(t.shard.users)-t.next, 1+m.rnd.IntN(12))
		handled := n
		if m.rnd.IntN(4) == 0 {
			handled = m.rnd.IntN(n + 1)
		}
		m.handles(t, n, handled)
	}
}

func (m *mini) handles(t *miniTenure, n, handled int) {
	batch := t.shard.users[t.next : t.next+n]
	for _, u := range batch {
		m.h.Delivered(Delivery{Worker: t.worker, Lease: t.lease(), Epoch: t.epoch, ID: u.id, Key: u.key, HashKey: u.hash, Data: u.data})
	}
	time.Sleep(time.Duration(m.rnd.IntN(3)) * time.Millisecond)
	for _, u := range batch[:handled] {
		m.h.Handled(t.worker, t.lease(), t.epoch, u.id)
	}
	t.next += handled
}

// save sends a tenure's position, and with release sends it until it is answered.
func (m *mini) save(release bool) {
	t := m.any()
	if t == nil {
		return
	}
	if release {
		m.held = slices.DeleteFunc(m.held, func(o *miniTenure) bool { return o == t })
	}
	m.saves(t, release)
}

func (m *mini) saves(t *miniTenure, release bool) {
	at, token, name, again := t.at(), t.token, t.lease(), m.rnd.IntN(2) == 0
	send := func() {
		c := m.h.Began(StoreCall{Actor: t.worker, Op: OpSave, Items: []Item{{Lease: name, Token: token, Position: at, Release: release}}})
		m.on(func() {
			r, known := m.rows[name]
			var res Result
			switch {
			case !known:
				res.Err = "not found"
			case r.token != token && r.last == token && at.Compare(r.at) <= 0:
				res = Result{Position: r.at, Stored: true}
			case r.token != token:
				res.Err = "fenced"
			case at.Compare(r.at) < 0:
				res = Result{Err: "regress", Position: r.at, Stored: true}
			default:
				r.at = at
				if release {
					r.token, r.last, r.worker = "", token, ""
				}
				m.rows[name] = r
				res = Result{Position: at, Stored: true}
			}
			m.on(func() { m.h.Answered(c, []Result{res}, nil) })
		})
	}
	send()
	if release && again {
		m.on(send)
	}
}

// complete ends a closed shard of which everything was handled.
func (m *mini) complete() {
	for _, t := range m.held {
		if t.shard.EndSequence != "" && t.next == len(t.shard.users) && !m.paused[t.worker] {
			m.completes(t)
			return
		}
	}
}

func (m *mini) completes(t *miniTenure) {
	m.held = slices.DeleteFunc(m.held, func(o *miniTenure) bool { return o == t })
	item := Item{Lease: t.lease(), Token: t.token, Position: checkpoint.ShardEnd()}
	children := map[string][]string{}
	for _, s := range m.shards {
		if slices.Contains(s.Parents, t.shard.ID) {
			item.Children = append(item.Children, prefix+s.ID)
			for _, p := range s.Parents {
				children[prefix+s.ID] = append(children[prefix+s.ID], prefix+p)
			}
		}
	}
	c := m.h.Began(StoreCall{Actor: t.worker, Op: OpComplete, Items: []Item{item}})
	m.on(func() {
		r := m.rows[item.Lease]
		if r.token != t.token {
			m.on(func() { m.h.Answered(c, []Result{{Err: "fenced"}}, nil) })
			return
		}
		m.rows[item.Lease] = miniRow{last: t.token, epoch: r.epoch, at: checkpoint.ShardEnd()}
		for name, parents := range children {
			if _, known := m.rows[name]; !known {
				m.rows[name] = miniRow{parents: parents}
			}
		}
		m.on(func() { m.h.Answered(c, []Result{{}}, nil) })
	})
}

// lose has the store lose its last writes, or all of them.
func (m *mini) lose() {
	switch {
	case m.rnd.IntN(6) == 0:
		m.h.StoreLost("all", time.Time{})
		m.rows = map[string]miniRow{prefix + m.shards[0].ID: {}}
	case len(m.saved) > 0 && m.rnd.IntN(3) == 0:
		i := m.rnd.IntN(len(m.saved))
		m.h.StoreLost("suffix", m.saved[i].at)
		m.rows = maps.Clone(m.saved[i].rows)
		m.saved = m.saved[:i]
	}
}

func (m *mini) owners() {
	var table []Owner
	for name, r := range m.rows {
		s := m.shards[slices.IndexFunc(m.shards, func(s *miniShard) bool { return prefix+s.ID == name })]
		table = append(table, Owner{
			Lease: name, Worker: r.worker, Position: r.at, Parents: r.parents, StartHashKey: s.StartHashKey, EndHashKey: s.EndHashKey,
		})
	}
	slices.SortFunc(table, func(a, b Owner) int { return cmp.Compare(a.Lease, b.Lease) })
	m.h.Owners(table)
}
