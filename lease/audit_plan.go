package lease

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// Listing is what a stream has at one time.
type Listing struct {
	// Shards are all shards, also those that are closed, with all their parents and
	// with their hash keys. Positions are ignored.
	Shards []Row
	// Retention is how long the stream keeps its records, 0 when that is not known.
	// Rows of a stream of the same name that was there before are removed when
	// this one is as old.
	Retention time.Duration
}

// validate reports why a listing cannot be one of the whole stream: it has no
// shards, or names those of another stream, or the latest do not have all hash keys.
func (l Listing) validate(stream string) error {
	if err := validateRows(stream, l.Shards); err != nil {
		return err
	}
	followed := map[string]bool{}
	for _, row := range l.Shards {
		for _, parent := range row.Shard.Parents {
			followed[parent] = true
		}
	}
	var latest []hashkey.Range
	for _, row := range l.Shards {
		keys, err := keysOf(row.Name, row.Shard)
		if err != nil {
			return err
		}
		if !followed[row.Name] {
			latest = append(latest, keys)
		}
	}
	return hashkey.Tile(latest, hashkey.Full)
}

// survey is what an audit of a stream saw: the table, two listings some time apart,
// and the table again. What the table lacks now and a listing had before is missing
// from it; what was in the table before and is in neither listing is gone from the
// stream. In any other order a shard that is born meanwhile is taken for the one or
// the other.
type survey struct {
	stream        string
	before, after View
	first, second Listing
	now           time.Time
}

// repairs are what an audit has to do.
type repairs struct {
	// adopt are the rows to be made, and those that the store has to know of for it.
	adopt []Row
	// missing are the leases among adopt that have records which nobody has read.
	missing []string
	// retire are the shards that are gone, with what follows them.
	retire []retirement
	// collect are rows that nobody needs, and deleted those of a stream that had
	// the name before.
	collect, deleted []string
	// unknown says of which shards that are gone it is not known what follows.
	unknown []error
}

type retirement struct {
	lease Lease
	Retirement
}

func (r repairs) none() bool {
	return len(r.adopt)+len(r.retire)+len(r.collect)+len(r.deleted)+len(r.unknown) == 0
}

// decide is what is to be repaired. It is a pure function.
func (s survey) decide() (repairs, error) {
	c, err := s.census()
	if err != nil {
		return repairs{}, err
	}
	var r repairs
	c.adopt(&r)
	c.retire(&r)
	c.retireUnknown(&r)
	c.collect(&r)
	r.deleted = s.deleted()
	return r, nil
}

// adopt has rows made of the shards that are missing from the table: in both
// listings, with nothing that follows them begun, and with nobody left to make
// their rows, which the end of every shard before them does. The oldest of them are
// enough; with them goes all that follows them, by which the store decides anew.
func (c *census) adopt(r *repairs) {
	missing := map[string]bool{}
	for name := range c.both {
		if c.both[name] && c.lacking(name) {
			missing[name] = true
		}
	}
	add := map[string]bool{}
	for _, name := range sortedKeys(missing) {
		row := c.listed[name]
		if slices.ContainsFunc(row.Shard.Parents, func(p string) bool { return missing[p] }) || c.hindered(name, row.Shard, nil) {
			continue
		}
		r.missing = append(r.missing, name)
		for follower := range c.line(name) {
			add[follower] = true
		}
		c.bridge(row.Shard.Parents, add)
	}
	for parent := range c.waiting {
		c.bridge([]string{parent}, add)
	}
	for name := range add {
		if row, listed := c.listed[name]; listed {
			r.adopt = append(r.adopt, row)
		}
	}
	slices.SortFunc(r.adopt, func(a, b Row) int { return strings.Compare(a.Name, b.Name) })
}

// bridge adds those of the parents that were handled to their ends long ago and
// have no row that says so, with what shows it: the shards down to one that has
// begun.
func (c *census) bridge(parents []string, add map[string]bool) {
	for _, name := range parents {
		if _, exists := c.rows[name]; exists || !c.both[name] || !c.over(name) {
			continue
		}
		way := []string{name}
		for at := name; at == name || !c.started(at); way = append(way, at) {
			i := slices.IndexFunc(c.children[at], func(n string) bool { return c.both[n] && (c.started(n) || c.over(n)) })
			if i < 0 {
				way = nil // the store could not see it
				break
			}
			at = c.children[at][i]
		}
		for _, n := range way {
			add[n] = true
		}
	}
}

// retire ends the shards that are gone with records that nobody has handled, each
// after all that were before it: what follows them may have rows already, which wait
// for no others. One that the living hold is left to its runner, which finds out by
// itself.
func (c *census) retire(r *repairs) {
	expired := slices.DeleteFunc(sortedKeys(c.open), func(name string) bool {
		return !c.gone(name) || c.living[SessionOf(c.rows[name].Token)]
	})
	for more := true; more; {
		more = false
		expired = slices.DeleteFunc(expired, func(name string) bool {
			l := c.rows[name]
			if c.hindered(name, l.Shard, nil) {
				return false
			}
			heirs, err := Heirs(l, c.second.Shards, c.after.Leases)
			if err != nil {
				r.unknown = append(r.unknown, err)
				return true
			}
			r.retire = append(r.retire, retirement{l, Retirement{Name: name, Children: heirs}})
			delete(c.open, name)
			more = true
			return true
		})
	}
}

// retireUnknown ends the shards that are gone and never had a row, so that who
// waits for them may start: where nothing else before him is left to handle.
func (c *census) retireUnknown(r *repairs) {
	for _, name := range sortedKeys(c.waiting) {
		if _, exists := c.rows[name]; exists || !c.gone(name) {
			continue
		}
		if slices.ContainsFunc(c.waiting[name], func(n string) bool {
			return c.hindered(n, c.rows[n].Shard, c.rows[n].Shard.Parents)
		}) {
			continue
		}
		l := Lease{Name: name, Position: checkpoint.Start()}
		r.retire = append(r.retire, retirement{l, Retirement{Name: name}})
	}
}

// collect removes the rows of shards that are handled and gone, when all that
// followed them has begun.
func (c *census) collect(r *repairs) {
	for _, name := range sortedKeys(c.rows) {
		if !c.rows[name].Finished() || !c.gone(name) || len(c.waiting[name]) > 0 {
			continue
		}
		if !slices.ContainsFunc(c.children[name], c.lacking) {
			r.collect = append(r.collect, name)
		}
	}
}

// lacking reports whether a listed shard has no row, and needs one.
func (c *census) lacking(name string) bool {
	_, exists := c.rows[name]
	return !exists && c.either[name] && !c.over(name)
}

// deleted are the rows of streams that had the name before, when nobody reads them
// any more and the stream that took their place has run for its retention: whatever
// they could tell an operator has expired by then.
func (s survey) deleted() []string {
	base, created, ok := createdOf(s.stream)
	if !ok || s.second.Retention <= 0 || s.now.Sub(time.UnixMilli(created)) < s.second.Retention {
		return nil
	}
	read := map[string]bool{}
	for _, m := range s.after.Sessions {
		for _, stream := range m.Streams {
			read[stream] = true
		}
	}
	var out []string
	for _, l := range s.after.Leases {
		stream := StreamOf(l.Name)
		if b, ms, known := createdOf(stream); known && b == base && ms < created && !read[stream] {
			out = append(out, l.Name)
		}
	}
	slices.Sort(out)
	return out
}

// createdOf splits account:region:stream:creationEpochMs before its last part.
func createdOf(stream string) (base string, ms int64, ok bool) {
	i := strings.LastIndexByte(stream, ':')
	if i < 0 {
		return "", 0, false
	}
	ms, err := strconv.ParseInt(stream[i+1:], 10, 64)
	return stream[:i], ms, err == nil
}

// inLine is how many living workers that declare the stream come before a session:
// the first of them audits it, the others only when it does not.
func inLine(stream, session string, sessions []Session) int {
	hash, n := hashOf(stream), 0
	own := rendezvous(hash, hashOf(session))
	for _, s := range sessions {
		if s.State == StateUp && slices.Contains(s.Streams, stream) && rendezvous(hash, hashOf(s.ID)) > own {
			n++
		}
	}
	return n
}
