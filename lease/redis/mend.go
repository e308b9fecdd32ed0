package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/shardrun/shardrun/checkpoint"
	checkpointredis "github.com/shardrun/shardrun/checkpoint/redis"
	"github.com/shardrun/shardrun/internal/rediskeys"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/lease/internal/lineage"
)

// chunkBytes bounds the rows with their states in one call of a script.
const chunkBytes = 4 << 20

// descending is the order in which shards are listed to the scripts, children
// before parents, and the children of each.
func descending(rows []lease.Row) (order []int, children map[string][]string) {
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = r.Name
	}
	return lineage.Descending(names, func(i int) []string { return rows[i].Shard.Parents })
}

// listed appends name, d, c and listed children of those rows that have the
// numbers.
func listed(args []any, rows []lease.Row, numbers []int, children map[string][]string) ([]any, error) {
	for _, i := range numbers {
		d, c, err := values(rows[i])
		if err != nil {
			return nil, err
		}
		args = append(args, rows[i].Name, d, c, strings.Join(children[rows[i].Name], "|"))
	}
	return args, nil
}

// Adopt implements [lease.Store]. Each 250 rows are one step.
func (s *Store) Adopt(ctx context.Context, scope checkpoint.Scope, a lease.Adoption) error {
	if err := a.Validate(); err != nil {
		return err
	}
	order, children := descending(a.Rows)
	for at := 0; at == 0 || at < len(order); at += chunkRows {
		args, err := listed([]any{a.Stream}, a.Rows, order[at:min(at+chunkRows, len(order))], children)
		if err != nil {
			return err
		}
		if _, err := s.call(ctx, "adopt shards of "+a.Stream+" in", rediskeys.Adopt, scope, args...); err != nil {
			return err
		}
	}
	return nil
}

// Retire implements [lease.Store].
func (s *Store) Retire(ctx context.Context, scope checkpoint.Scope, r lease.Retirement) error {
	d, _, err := values(lease.Row{Name: r.Name}) // of one that has no row yet
	if err != nil {
		return err
	}
	args, err := rows([]any{r.Name, d}, r.Children)
	if err != nil {
		return err
	}
	_, err = s.call(ctx, "retire "+r.Name+" in", rediskeys.Retire, scope, args...)
	return err
}

// Collect implements [lease.Store]. Each 250 names are one step.
func (s *Store) Collect(ctx context.Context, scope checkpoint.Scope, c lease.Collection) ([]error, error) {
	out := make([]error, 0, len(c.Names))
	for len(c.Names) > 0 {
		n := min(len(c.Names), chunkRows)
		args := append(make([]any, 0, n+1), flag(c.Deleted))
		for _, name := range c.Names[:n] {
			args = append(args, name)
		}
		reply, err := s.call(ctx, "collect leases of", rediskeys.Collect, scope, args...)
		if err != nil {
			return nil, err
		}
		for i := range n {
			out = append(out, itemError(reply.Text(i)))
		}
		c.Names = c.Names[n:]
	}
	return out, nil
}

// Seed implements [lease.Store]. Each 250 rows, or 4 MiB of state, are one step.
func (s *Store) Seed(ctx context.Context, scope checkpoint.Scope, seed lease.Seed) error {
	if err := seed.Validate(); err != nil {
		return err
	}
	for first := true; first || len(seed.Rows) > 0; first = false {
		args, n, size := []any{seed.From, flag(seed.Paused), seed.AsOf}, 0, 0
		for n < len(seed.Rows) && n < chunkRows && size < chunkBytes {
			row, states, err := remembered(seed.Rows[n])
			if err != nil {
				return err
			}
			args, n, size = append(args, row...), n+1, size+states
		}
		if _, err := s.call(ctx, "seed", rediskeys.Seed, scope, args...); err != nil {
			return err
		}
		seed.Rows = seed.Rows[n:]
	}
	return nil
}

// remembered is a row as the script takes it, and the size of its states.
func remembered(r lease.Remembered) (args []any, size int, err error) {
	d, err := json.Marshal(r.Shard)
	if err != nil {
		return nil, 0, fmt.Errorf("seed of %s: %w", r.Name, err)
	}
	p := checkpointredis.Position(r.Entry.Position)
	p.Counter, p.Weight = r.Entry.Counter, r.Weight
	p.Stateful = r.Entry.State != nil || len(r.Entry.Inherited) > 0
	args = []any{
		r.Name, d, p.Row(), strconv.FormatUint(r.Epoch, 10), r.Flags,
		flag(r.Entry.State != nil), r.Entry.State, len(r.Entry.Inherited),
	}
	size = len(r.Entry.State)
	for from, state := range r.Entry.Inherited {
		args, size = append(args, from, state), size+len(state)
	}
	return args, size, nil
}
