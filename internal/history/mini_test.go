package history

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/aggregate"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// mini is a small simulation of a correct run: a stream with reshards, producers
// whose answers get lost, a lease store that loses what it has and whose calls
// and answers take their time, workers that are taken over from without knowing
// it while they are paused. It tells a history, and is its own truth.
type mini struct {
	h      *History
	rnd    *rand.Rand
	shards []*miniShard
	rows   map[string]miniRow
	saved  []miniSave // what the store may fall back to
	held   []*miniTenure
	paused map[string]bool   // workers
	top    map[string]uint64 // by lease: the highest epoch that was granted
	late   []func()          // calls and answers on their way
	seq    int
	data   int
	epoch  uint64
	hashes map[string]string // of keys that are put with one
}

type miniShard struct {
	Shard
	keys  hashkey.Range
	users []miniUser // of the shard's range
}

type miniUser struct {
	id        ID
	key, hash string // the hash key is shown in aggregates
	data      []byte
}

type miniRow struct {
	token, last string
	epoch       uint64
	at          checkpoint.Position
	worker      string
	parents     []string
}

type miniSave struct {
	at   time.Time
	rows map[string]miniRow
}

type miniTenure struct {
	worker, token string
	epoch         uint64
	shard         *miniShard
	from          checkpoint.Position
	next          int  // the first user record not handled
	over          bool // somebody else was granted the lease, and the worker is paused
}

func (t *miniTenure) lease() string { return prefix + t.shard.ID }

// at is the position of the tenure.
func (t *miniTenure) at() checkpoint.Position {
	if t.next == 0 {
		return t.from
	}
	id := t.shard.users[t.next-1].id
	at := checkpoint.At(checkpoint.SequenceNumber(id.Sequence), id.Subsequence)
	if at.Compare(t.from) < 0 {
		return t.from
	}
	return at
}

// play tells the whole history of a seed, in a bubble.
func play(seed uint64, steps int) []byte {
	var out bytes.Buffer
	m := &mini{
		h: NewRecorder(&out), rnd: rand.New(rand.NewPCG(seed, 7)), rows: map[string]miniRow{}, paused: map[string]bool{}, top: map[string]uint64{},
		seq: 1000, hashes: map[string]string{"key-0": "12345", "key-1": hashkey.Max.String()},
	}
	m.open(hashkey.Full)
	m.create()
	for range steps {
		time.Sleep(time.Duration(1+m.rnd.IntN(20)) * time.Millisecond)
		switch m.rnd.IntN(50) {
		case 0:
			if seed%3 > 0 { // else leases live longer
				m.reshard()
			}
		case 1, 2, 3:
			m.put()
		case 4, 5, 6:
			m.putAggregate()
		case 7, 8, 9:
			m.acquire(m.worker())
		case 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21:
			m.handle()
		case 22, 23, 24, 25, 26, 27:
			m.save(false)
		case 28:
			m.save(true)
		case 29, 30, 31, 32:
			m.complete()
		case 33:
			m.audit()
		case 34:
			m.owners()
		case 35:
			m.saved = append(m.saved, miniSave{time.Now(), maps.Clone(m.rows)})
		case 36:
			if seed%3 > 1 {
				m.lose()
			}
		case 37:
			m.pause(m.worker())
		case 38, 39:
			m.resume(m.worker())
		default:
			m.arrive()
		}
	}
	m.settle()
	return out.Bytes()
}

// miniWorkers is how many workers there are.
const miniWorkers = 3

func (m *mini) worker() string { return "worker-" + strconv.Itoa(m.rnd.IntN(miniWorkers)) }

func (m *mini) number() string {
	m.seq += 1 + m.rnd.IntN(5)
	return strconv.Itoa(m.seq)
}

func (m *mini) open(keys hashkey.Range, parents ...string) *miniShard {
	s := &miniShard{keys: keys}
	s.ID, s.Parents = fmt.Sprintf("shard-%03d", len(m.shards)), parents
	s.StartHashKey, s.EndHashKey, s.StartSequence = keys.Start.String(), keys.End.String(), m.number()
	m.shards = append(m.shards, s)
	return s
}

func (m *mini) opened() []*miniShard {
	var out []*miniShard
	for _, s := range m.shards {
		if s.EndSequence == "" {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b *miniShard) int { return a.keys.Start.Compare(b.keys.Start) })
	return out
}

func (m *mini) reshard() {
	open := m.opened()
	i := m.rnd.IntN(len(open))
	if m.rnd.IntN(2) == 0 && i+1 < len(open) {
		a, b := open[i], open[i+1]
		a.EndSequence, b.EndSequence = m.number(), m.number()
		m.open(hashkey.Range{Start: a.keys.Start, End: b.keys.End}, a.ID, b.ID)
		return
	}
	s := open[i]
	s.EndSequence = m.number()
	middle := s.keys.Middle()
	m.open(hashkey.Range{Start: s.keys.Start, End: middle.Prev()}, s.ID)
	m.open(hashkey.Range{Start: middle, End: s.keys.End}, s.ID)
}

// draft is a record that is being put.
type draft struct {
	no        int
	key, hash string
	data      []byte
}

func (d draft) place() hashkey.Key { return aggregate.Record{Key: d.key, HashKey: d.hash}.Hash() }

func (m *mini) begin(key string) draft {
	m.data++
	d := draft{key: key, hash: m.hashes[key], data: []byte(strconv.Itoa(m.data))}
	d.no = m.h.Put(Put{Producer: "producer", Key: key, HashKey: d.hash, Data: d.data, Ordered: true})
	return d
}

// of is the open shard of a hash key.
func (m *mini) of(k hashkey.Key) *miniShard {
	open := m.opened()
	return open[slices.IndexFunc(open, func(s *miniShard) bool { return s.keys.Contains(k) })]
}

// store appends a Kinesis record and returns its number.
func (m *mini) store(s *miniShard, key string, data []byte) string {
	seq := m.number()
	s.Records = append(s.Records, Raw{Sequence: seq, Key: key, Arrival: time.Now(), Data: data})
	return seq
}

// alone stores a record as it is, and returns its id.
func (m *mini) alone(d draft) (*miniShard, ID) {
	s := m.of(d.place())
	id := ID{Sequence: m.store(s, d.key, d.data)}
	s.users = append(s.users, miniUser{id, d.key, "", d.data})
	return s, id
}

// packed stores an aggregate in a shard, which may not have all of its members.
func (m *mini) packed(s *miniShard, members []draft) string {
	var b aggregate.Builder
	for _, d := range members {
		b.Add(d.key, d.hash, d.data)
	}
	seq := m.store(s, "a", b.Append(nil))
	for i, d := range members {
		if s.keys.Contains(d.place()) {
			s.users = append(s.users, miniUser{ID{seq, uint64(i)}, d.key, d.hash, d.data})
		}
	}
	return seq
}

func (m *mini) key(i int) string { return "key-" + strconv.Itoa(i) }

// put puts a few records of different keys at the same time.
func (m *mini) put() {
	var drafts []draft
	for _, k := range m.rnd.Perm(8)[:1+m.rnd.IntN(4)] {
		drafts = append(drafts, m.begin(m.key(k)))
	}
	time.Sleep(time.Millisecond)
	var ends []func()
	for _, d := range drafts {
		switch m.rnd.IntN(12) {
		case 0: // it was not written
			ends = append(ends, func() { m.h.Failed(d.no, failure("refused"), false) })
		case 1: // it was written, and nobody knows
			m.alone(d)
			ends = append(ends, func() { m.h.Failed(d.no, failure("time-out"), true) })
		default:
			for m.rnd.IntN(6) == 0 { // the answer was lost
				m.alone(d)
			}
			s, id := m.alone(d)
			ends = append(ends, func() { m.h.Acked(d.no, s.ID, id) })
		}
	}
	for _, i := range m.rnd.Perm(len(ends)) {
		ends[i]()
	}
}

// putAggregate puts records in aggregates, one a shard. Now and then they go to
// one shard first that does not have them all, as after a split.
func (m *mini) putAggregate() {
	members := map[*miniShard][]draft{}
	var all []draft
	for range 1 + m.rnd.IntN(6) {
		d := m.begin(m.key(m.rnd.IntN(8)))
		all = append(all, d)
		members[m.of(d.place())] = append(members[m.of(d.place())], d)
	}
	time.Sleep(time.Millisecond)
	if m.rnd.IntN(3) == 0 {
		m.packed(m.of(all[0].place()), all)
	}
	for _, s := range m.shards {
		if drafts := members[s]; drafts != nil {
			seq := m.packed(s, drafts)
			for i, d := range drafts {
				m.h.Acked(d.no, s.ID, ID{seq, uint64(i)})
			}
		}
	}
}

// audit reads a part of a shard by an iterator of a random type.
func (m *mini) audit() {
	s := m.shards[m.rnd.IntN(len(m.shards))]
	n := len(s.Records)
	r := Read{Shard: s.ID, Began: time.Now()}
	from := 0
	switch {
	case n > 0 && m.rnd.IntN(4) == 0:
		r.Type, from = "AT_SEQUENCE_NUMBER", m.rnd.IntN(n)
		r.Sequence = s.Records[from].Sequence
	case n > 0 && m.rnd.IntN(4) == 0:
		r.Type, from = "AFTER_SEQUENCE_NUMBER", m.rnd.IntN(n)
		r.Sequence = s.Records[from].Sequence
		from++
	case n > 0 && m.rnd.IntN(4) == 0:
		r.Type, from = "AT_TIMESTAMP", m.rnd.IntN(n)
		r.Timestamp = s.Records[from].Arrival
		for from > 0 && !s.Records[from-1].Arrival.Before(r.Timestamp) {
			from--
		}
	case m.rnd.IntN(2) == 0:
		r.Type, from = "LATEST", n
	default:
		r.Type = "TRIM_HORIZON"
	}
	time.Sleep(time.Millisecond)
	r.Answered = time.Now()
	m.put()
	n = len(s.Records)
	time.Sleep(time.Millisecond)
	to := n
	if from < n && m.rnd.IntN(3) == 0 {
		to, r.Behind = from+m.rnd.IntN(n-from), time.Second
	}
	for _, rec := range s.Records[from:to] {
		r.Got = append(r.Got, rec.Sequence)
	}
	r.Last = time.Now()
	r.Closed = s.EndSequence != "" && to == n
	m.h.Read(r)
}

// settle ends the run: all leases are acquired, and all is handled.
func (m *mini) settle() {
	for len(m.late) > 0 {
		m.arrive()
	}
	for i := range miniWorkers {
		m.resume("worker-" + strconv.Itoa(i))
	}
	time.Sleep(time.Second)
	m.h.Healed()
	m.held = nil
	for range 1000 {
		done := true
		for _, name := range m.startable() {
			if r := m.rows[name]; !slices.ContainsFunc(m.held, func(t *miniTenure) bool { return t.token == r.token }) {
				done = false
				m.acquires(m.worker(), name)
			}
		}
		for _, t := range slices.Clone(m.held) {
			if n := len(t.shard.users) - t.next; n > 0 {
				done = false
				m.handles(t, n, n)
			}
			if t.shard.EndSequence != "" {
				done = false
				m.completes(t)
			}
		}
		for len(m.late) > 0 {
			m.arrive()
		}
		if done {
			break
		}
	}
	time.Sleep(15 * time.Second)
	m.owners()
	s := Stream{Name: "orders"}
	for _, sh := range m.shards {
		s.Shards = append(s.Shards, sh.Shard)
	}
	m.h.Stream(s)
}
