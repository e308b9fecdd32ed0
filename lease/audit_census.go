package lease

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// census is a survey, put in order.
type census struct {
	survey
	rows     map[string]Lease         // of the stream, afterwards
	had      map[string]bool          // names that had rows, or were waited for, before
	waiting  map[string][]string      // name → the leases that wait for it
	listed   map[string]Row           // of the second listing
	both     map[string]bool          // names in both listings
	either   map[string]bool          // names in any of the two
	children map[string][]string      // name → what followed it, by the listings and the rows
	begun    map[string]bool          // name → whether a descendant has started, where that was asked
	open     map[string]hashkey.Range // unfinished rows: their keys, all keys where those are not known
	living   map[string]bool          // sessions
}

func (s survey) census() (*census, error) {
	for _, l := range []Listing{s.first, s.second} {
		if err := l.validate(s.stream); err != nil {
			return nil, fmt.Errorf("list the shards of %s: %w", s.stream, err)
		}
	}
	c := &census{
		survey: s, rows: map[string]Lease{}, had: map[string]bool{}, waiting: map[string][]string{},
		listed: map[string]Row{}, both: map[string]bool{}, either: namesOf(s.first.Shards),
		children: map[string][]string{}, begun: map[string]bool{}, open: map[string]hashkey.Range{}, living: map[string]bool{},
	}
	for _, row := range s.second.Shards {
		row.Position = checkpoint.Start()
		c.listed[row.Name] = row
		c.both[row.Name] = c.either[row.Name]
		c.either[row.Name] = true
		c.follows(row.Name, row.Shard.Parents)
	}
	for _, l := range s.before.Leases {
		c.had[l.Name] = true
		for _, parent := range l.Shard.Parents {
			c.had[parent] = true
		}
	}
	for _, l := range s.after.Leases {
		if StreamOf(l.Name) == s.stream {
			c.add(l)
		}
	}
	for _, m := range s.after.Sessions {
		deadline, late := s.after.Late[m.ID]
		c.living[m.ID] = !late || deadline > s.after.Now
	}
	return c, nil
}

func (c *census) add(l Lease) {
	c.rows[l.Name] = l
	c.follows(l.Name, l.Shard.Parents)
	for _, parent := range l.Shard.Parents {
		c.waiting[parent] = append(c.waiting[parent], l.Name)
	}
	c.children[l.Name] = append(c.children[l.Name], l.Shard.Children...)
	if l.Finished() {
		return
	}
	keys, err := keysOf(l.Name, l.Shard)
	if err != nil {
		keys = hashkey.Full
	}
	c.open[l.Name] = keys
}

func (c *census) follows(name string, parents []string) {
	for _, parent := range parents {
		c.children[parent] = append(c.children[parent], name)
	}
}

// started reports whether a shard's parents were handled to their ends, because it
// has begun itself.
func (c *census) started(name string) bool {
	l, exists := c.rows[name]
	return exists && (l.Finished() || l.Epoch > 0 || len(l.Shard.Parents) == 0)
}

// over reports whether a shard was handled to its end, because one that followed it
// has started.
func (c *census) over(name string) bool {
	if known, asked := c.begun[name]; asked {
		return known
	}
	c.begun[name] = false // against circles
	c.begun[name] = slices.ContainsFunc(c.children[name], func(child string) bool { return c.started(child) || c.over(child) })
	return c.begun[name]
}

// line is a shard and all that follow it.
func (c *census) line(name string) map[string]bool {
	out := map[string]bool{name: true}
	for queue := []string{name}; len(queue) > 0; queue = queue[1:] {
		for _, child := range c.children[queue[0]] {
			if !out[child] {
				out[child] = true
				queue = append(queue, child)
			}
		}
	}
	return out
}

// hindered reports whether a shard that is not handled to its end was before name,
// and shares hash keys with it. Those in but do not count.
func (c *census) hindered(name string, s Shard, but []string) bool {
	keys, err := keysOf(name, s)
	if err != nil {
		return true
	}
	for other, its := range c.open {
		if other != name && its.Overlaps(keys) && !slices.Contains(but, other) && c.precedes(other, name) {
			return true
		}
	}
	return false
}

// precedes tells which of two shards with a common hash key was first: one of them
// descends from the other. Where nothing is left of what was between them, the one
// that is gone was before the one that is listed, and of two that are gone the one
// with the lower number.
func (c *census) precedes(name, other string) bool {
	switch {
	case c.line(name)[other]:
		return true
	case c.line(other)[name]:
		return false
	case c.either[name] != c.either[other]:
		return c.either[other]
	}
	return cmp.Or(cmp.Compare(len(name), len(other)), cmp.Compare(name, other)) < 0
}

// gone reports whether a lease, or one that is waited for, was there before, and
// is in neither listing.
func (c *census) gone(name string) bool { return c.had[name] && !c.either[name] }
