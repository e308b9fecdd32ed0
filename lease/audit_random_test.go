package lease

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/hashkey"
)

var lineages = flag.Int("lineages", 150, "how many random lineages the audits are tried on")

const auditGroup, auditedStream = "g", "acc:eu:orders:1"

// line is a stream that is resharded at random, and a worker that handles its
// shards as the table lets it.
type line struct {
	t       *testing.T
	rnd     *rand.Rand
	store   *Memory
	scope   checkpoint.Scope
	sent    uint64 // beats
	numbers uint64

	shards  []*piece // oldest first
	byName  map[string]*piece
	held    map[string]Grant
	expires bool
	calm    bool // whatever can be handled is
	log     []string
}

type piece struct {
	Row
	keys     hashkey.Range
	children []*piece
	expired  bool
	begun    int // how often it was acquired
	done     bool
}

func (l *line) logf(format string, args ...any) { l.log = append(l.log, fmt.Sprintf(format, args...)) }

func (l *line) fatalf(format string, args ...any) {
	l.t.Helper()
	for _, text := range l.log {
		l.t.Log(text)
	}
	l.t.Fatalf(format, args...)
}

func (l *line) must(err error) {
	l.t.Helper()
	if err != nil {
		l.fatalf("%v", err)
	}
}

func (l *line) open(keys hashkey.Range, parents ...*piece) {
	p := &piece{keys: keys, Row: Row{Name: Name(auditedStream, fmt.Sprintf("s%02d", len(l.shards)))}}
	p.Shard.StartingHashKey, p.Shard.EndingHashKey = keys.Start.String(), keys.End.String()
	for _, parent := range parents {
		p.Shard.Parents = append(p.Shard.Parents, parent.Name)
		parent.children = append(parent.children, p)
	}
	l.shards, l.byName[p.Name] = append(l.shards, p), p
}

func (l *line) leaves() []*piece {
	out := slices.DeleteFunc(slices.Clone(l.shards), func(p *piece) bool { return len(p.children) > 0 })
	slices.SortFunc(out, func(a, b *piece) int { return a.keys.Start.Compare(b.keys.Start) })
	return out
}

func (l *line) reshard() {
	leaves := l.leaves()
	i := l.rnd.IntN(len(leaves))
	p := leaves[i]
	if l.rnd.IntN(2) == 0 && i+1 < len(leaves) {
		q := leaves[i+1]
		l.logf("merge %s %s into %d", p.Name, q.Name, len(l.shards))
		l.open(hashkey.Range{Start: p.keys.Start, End: q.keys.End}, p, q)
		return
	}
	l.logf("split %s into %d", p.Name, len(l.shards))
	l.open(hashkey.Range{Start: p.keys.Start, End: p.keys.Middle().Prev()}, p)
	l.open(hashkey.Range{Start: p.keys.Middle(), End: p.keys.End}, p)
}

// listing is what the stream has now.
func (l *line) listing() Listing {
	var out Listing
	for _, p := range l.shards {
		if !p.expired {
			out.Shards = append(out.Shards, p.Row)
		}
	}
	return out
}

// expire lets some of the oldest shards expire that are closed.
func (l *line) expire() {
	for _, p := range l.shards {
		old := !slices.ContainsFunc(p.Shard.Parents, func(n string) bool { return !l.byName[n].expired })
		if old && !p.expired && len(p.children) > 0 && l.rnd.IntN(2) == 0 {
			l.logf("%s expires", p.Name)
			p.expired = true
		}
	}
}

func (l *line) table() *table { return l.store.groups[auditGroup] }

// take takes the row of a shard away: one that was never started, or one of which
// it can be told that it was handled.
func (l *line) take() {
	p := l.shards[l.rnd.IntN(len(l.shards))]
	row, t := l.table().rows[p.Name], l.table()
	if row == nil || l.held[p.Name].Token != "" || row.epoch > 0 && !row.entry.Position.IsEnd() {
		return
	}
	if row.entry.Position.IsEnd() && (p.expired || !l.listedAfter(p)) {
		return
	}
	if row.epoch == 0 && len(row.shard.Parents) == 0 && !row.entry.Position.IsEnd() {
		return // by it the shards before it are known to be handled
	}
	l.logf("the row of %s is taken away", p.Name)
	delete(t.rows, p.Name)
	t.bury(p.Name)
}

// listedAfter reports whether a shard that follows p has begun.
func (l *line) listedAfter(p *piece) bool {
	return slices.ContainsFunc(p.children, func(c *piece) bool {
		row := l.table().rows[c.Name]
		return row != nil && (row.entry.Position.IsEnd() || row.epoch > 0) && l.held[c.Name].Token == "" && c.begun > 0 || l.listedAfter(c)
	})
}

func (l *line) beat() {
	l.sent++
	_, err := l.store.Beat(l.t.Context(), auditGroup, Beat{
		Incarnation: l.scope.Incarnation, NewIncarnation: "inc", Session: Session{ID: "w", Name: "w", State: StateUp, Streams: []string{auditedStream}},
		Number: l.sent, TTL: time.Minute,
	})
	l.must(err)
	l.scope = checkpoint.Scope{Group: auditGroup, Incarnation: "inc"}
}

// work acquires what it may, and handles some of it to the end.
func (l *line) work() (progress bool) {
	l.beat()
	for _, name := range sortedKeys(l.table().rows) {
		p := l.byName[name]
		if p.expired || l.held[name].Token != "" {
			continue
		}
		l.numbers++
		grants, err := l.store.Acquire(l.t.Context(), l.scope, Acquire{Session: "w", First: l.numbers, Names: []string{name}})
		l.must(err)
		if grants[0].Err != nil {
			continue
		}
		l.logf("%s begins", name)
		progress = true
		if p.begun++; p.begun > 1 {
			l.fatalf("%s begins again", name)
		}
		l.older(p, p)
		l.held[name] = grants[0]
	}
	for _, name := range sortedKeys(l.held) {
		p := l.byName[name]
		if len(p.children) == 0 || !l.calm && l.rnd.IntN(3) == 0 {
			continue
		}
		progress = true
		var children []Row
		if p.expired { // as consumers do
			v, err := l.store.View(l.t.Context(), auditGroup)
			l.must(err)
			children, err = Heirs(l.lease(v, name), l.listing().Shards, v.Leases)
			if err != nil {
				l.fatalf("%v", err)
			}
		} else {
			for _, c := range p.children {
				children = append(children, c.Row)
			}
		}
		l.logf("%s ends, %q follow", name, textOf(children))
		l.must(l.store.Complete(l.t.Context(), l.scope, Completion{Name: name, Token: l.held[name].Token, Children: children}))
		p.done = true
		delete(l.held, name)
	}
	return progress
}

func (l *line) lease(v View, name string) Lease {
	return v.Leases[slices.IndexFunc(v.Leases, func(r Lease) bool { return r.Name == name })]
}

// older fails the test when a shard before p, with hash keys of it, is yet to be
// handled.
func (l *line) older(p, at *piece) {
	for _, name := range at.Shard.Parents {
		parent := l.byName[name]
		row := l.table().rows[name]
		open := row != nil && !row.entry.Position.IsEnd() || !parent.expired && !parent.done
		if open && parent.keys.Overlaps(p.keys) {
			l.fatalf("%s begins before %s has ended", p.Name, name)
		}
		l.older(p, parent)
	}
}

func (l *line) audit() int {
	cfg := Config{Store: l.store, List: func(context.Context, string) (Listing, error) {
		if l.expires && l.rnd.IntN(2) == 0 {
			l.expire() // between two listings
		}
		return l.listing(), nil
	}}.withDefaults()
	cfg.Hooks.Event = func(e Event) { l.logf("%s %s", e.Lease.Name, e.Repair) }
	p := &pace{}
	p.set(time.Minute)
	a := &auditor{cfg: cfg, events: newEvents(cfg.Hooks.Event), log: zap.NewNop(), pace: p, scope: l.scope, stream: auditedStream}
	n, err := a.audit(l.t.Context())
	l.must(err)
	return n
}

// TestAuditsMendRandomLineages has rows taken away and shards expire while a stream
// is resharded and handled. After all that, and some audits, every shard that the
// stream has is handled or being handled, once, and none was begun before those
// that it follows.
func TestAuditsMendRandomLineages(t *testing.T) {
	for seed := range uint64(*lineages) {
		synctest.Test(t, func(t *testing.T) {
			l := &line{t: t, rnd: rand.New(rand.NewPCG(seed, 6)), store: NewMemory(), byName: map[string]*piece{}, held: map[string]Grant{}}
			l.logf("seed %d", seed)
			for _, keys := range hashkey.Split(1 + l.rnd.IntN(3)) {
				l.open(keys)
			}
			l.beat()
			l.must(l.store.Create(t.Context(), l.scope, Create{Session: "w", Stream: auditedStream, Rows: l.listing().Shards}))
			l.expires = seed%3 > 0
			for range 40 {
				switch l.rnd.IntN(6) {
				case 0, 1:
					if len(l.shards) < 40 {
						l.reshard()
					}
				case 2:
					l.take()
				case 3:
					if l.expires {
						l.expire()
					}
				case 4:
					l.work()
				case 5:
					l.audit()
				}
			}
			l.expires, l.calm = false, true
			for round := 0; ; round++ {
				worked, repaired := l.work(), l.audit()
				if !worked && repaired == 0 {
					break
				}
				if round == 200 {
					l.fatalf("it comes to no end")
				}
			}
			for _, p := range l.shards {
				if p.expired {
					if row := l.table().rows[p.Name]; row != nil && l.held[p.Name].Token == "" {
						l.fatalf("%s is gone and has a row: %+v", p.Name, row)
					}
					continue
				}
				if p.begun != 1 || p.done != (len(p.children) > 0) {
					l.fatalf("%s was begun %d times, ended: %v", p.Name, p.begun, p.done)
				}
			}
		})
	}
}
