// Package redis keeps positions in Redis 6.2 or later, Valkey, Sentinel or
// Cluster, in the rows that lease/redis makes: a position is saved only under
// the token of the lease. Programs that hold leases use lease/redis, which has
// all of this; this package alone is for tools that look at positions.
package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/rediskeys"
)

const (
	// chunkRows and chunkBytes bound one call of a script, which keeps
	// everybody else waiting.
	chunkRows  = 250
	chunkBytes = 4 << 20
)

// ErrUnavailable stands for an answer by which nothing was done: the group's
// state is missing, in part or whole, or not the caller's.
var ErrUnavailable = errors.New("group state is not there, or not the caller's")

// Config says how to reach Redis. One of Client and Addr is required.
type Config struct {
	// Client is a *redis.Client, also of a Sentinel set, or a
	// *redis.ClusterClient. The store takes its options and makes connections
	// of its own; the client stays the caller's. One of a Sentinel set must stay
	// open as long as the store.
	Client redis.UniversalClient
	// Addr is host:port of a server without a password.
	Addr string
	// Timeout bounds dialing, reading and writing of each call. Defaults to 1 s.
	Timeout time.Duration
}

// Store is a [checkpoint.Store] in Redis. Its methods may be called
// concurrently.
type Store struct {
	db *rediskeys.DB
	// refuse makes the error of an answer other than OK.
	refuse func(rediskeys.Reply) error
}

var _ checkpoint.Store = (*Store)(nil)

// New checks cfg; it dials nothing.
func New(cfg Config) (*Store, error) {
	db, err := rediskeys.Open(rediskeys.Options{Client: cfg.Client, Addr: cfg.Addr, Timeout: cfg.Timeout})
	if err != nil {
		return nil, err
	}
	return On(db, func(r rediskeys.Reply) error { return fmt.Errorf("%w: %s", ErrUnavailable, r.Status) }), nil
}

// On is a store over connections that another package made and closes, with its
// errors for answers other than OK.
func On(db *rediskeys.DB, refuse func(rediskeys.Reply) error) *Store { return &Store{db, refuse} }

// Close closes the store's connections. Calls that are under way fail.
func (s *Store) Close() error { return s.db.Close() }

// Load implements [checkpoint.Store].
func (s *Store) Load(ctx context.Context, group string, leases ...string) (map[string]checkpoint.Entry, error) {
	out := make(map[string]checkpoint.Entry, len(leases))
	for len(leases) > 0 {
		n := min(len(leases), chunkRows)
		args := make([]any, n)
		for i, name := range leases[:n] {
			args[i] = name
		}
		reply, err := s.db.Run(ctx, rediskeys.Load, group, "", args...)
		switch {
		case err != nil:
			return nil, fmt.Errorf("load positions of %q: %w", group, err)
		case reply.Status == "NONE":
			return out, nil
		case reply.Status != "OK" || len(reply.Rest) < n:
			return nil, fmt.Errorf("load positions of %q: %w", group, s.refuse(reply))
		}
		for i, name := range leases[:n] {
			row := reply.Texts(i)
			if len(row) < 2 || row[0] == "" {
				continue
			}
			e, err := Entry(row[0], row[1])
			if err != nil {
				return nil, fmt.Errorf("load position of %s: %w", name, err)
			}
			out[name] = e
		}
		leases = leases[n:]
	}
	return out, nil
}

// Save implements [checkpoint.Store].
func (s *Store) Save(ctx context.Context, scope checkpoint.Scope, updates ...checkpoint.Update) ([]checkpoint.Outcome, error) {
	for _, u := range updates {
		if err := u.Validate(); err != nil {
			return nil, err
		}
	}
	out := make([]checkpoint.Outcome, 0, len(updates))
	for len(updates) > 0 {
		n := chunk(updates)
		done, err := s.save(ctx, scope, updates[:n])
		if err != nil {
			return out, fmt.Errorf("save %d positions of %q: %w", n, scope.Group, err)
		}
		out, updates = append(out, done...), updates[n:]
	}
	return out, nil
}

// chunk is how many updates go into the next call, one at least.
func chunk(updates []checkpoint.Update) int {
	size := 0
	for i, u := range updates {
		size += len(u.Lease) + len(u.Token) + len(u.Position.Sequence) + len(u.State)
		if i > 0 && (i == chunkRows || size > chunkBytes) {
			return i
		}
	}
	return len(updates)
}

func (s *Store) save(ctx context.Context, scope checkpoint.Scope, updates []checkpoint.Update) ([]checkpoint.Outcome, error) {
	args := make([]any, 0, 10*len(updates))
	for _, u := range updates {
		p := Position(u.Position)
		args = append(args, u.Lease, string(u.Token), int(p.Rank), p.Sequence, strconv.FormatUint(p.Subsequence, 10),
			strconv.FormatUint(u.Counter, 10), int(u.Weight), flag(u.State != nil), u.State, flag(u.Release))
	}
	reply, err := s.db.Run(ctx, rediskeys.Checkpoint, scope.Group, scope.Incarnation, args...)
	if err != nil {
		return nil, err
	}
	out := make([]checkpoint.Outcome, len(updates))
	switch {
	case reply.Status == "NONE":
		for i := range out {
			out[i].Err = checkpoint.ErrNotFound
		}
		return out, nil
	case reply.Status != "OK" || len(reply.Rest) != len(updates):
		return nil, s.refuse(reply)
	}
	for i := range out {
		out[i] = outcome(reply.Texts(i))
	}
	return out, nil
}

// outcome reads {status, c}. An answer that cannot be read is the outcome of its
// lease alone, and stands for a row that is not there.
func outcome(row []string) checkpoint.Outcome {
	if len(row) == 0 {
		return checkpoint.Outcome{Err: checkpoint.ErrNotFound}
	}
	var o checkpoint.Outcome
	switch row[0] {
	case "OK":
	case "REGRESS":
		o.Err = checkpoint.ErrRegress
	case "FENCED":
		return checkpoint.Outcome{Err: fenced(row[1:])}
	case "NOTFOUND":
		return checkpoint.Outcome{Err: checkpoint.ErrNotFound}
	default:
		return checkpoint.Outcome{Err: fmt.Errorf("%w: unknown answer %q", checkpoint.ErrNotFound, row[0])}
	}
	if len(row) < 2 {
		return checkpoint.Outcome{Err: checkpoint.ErrNotFound}
	}
	e, err := Entry(row[1], "")
	if err != nil {
		return checkpoint.Outcome{Err: fmt.Errorf("%w: %w", checkpoint.ErrNotFound, err)}
	}
	o.Position = e.Position
	return o
}

// fenced reads {token, epoch, last} of a lease that is held otherwise.
func fenced(row []string) error {
	if len(row) < 3 {
		return checkpoint.ErrFenced
	}
	epoch, err := strconv.ParseUint(row[1], 10, 64)
	if err != nil {
		return checkpoint.ErrFenced // of a damaged row no more is said
	}
	return checkpoint.Fenced(checkpoint.Token(row[0]), checkpoint.Token(row[2]), epoch)
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// Entry reads a stored position and state.
func Entry(row, state string) (checkpoint.Entry, error) {
	p, err := rediskeys.ParsePosition(row)
	if err != nil {
		return checkpoint.Entry{}, err
	}
	e := checkpoint.Entry{Counter: p.Counter}
	if state != "" {
		e.State = []byte(state)
	}
	switch checkpoint.Rank(p.Rank) {
	case checkpoint.RankStart:
		ms, err := strconv.ParseInt(p.Sequence, 10, 64)
		if err != nil {
			return checkpoint.Entry{}, fmt.Errorf("position %q: start: %w", row, err)
		}
		if ms != 0 {
			e.Position = checkpoint.StartAt(time.UnixMilli(ms))
		}
	case checkpoint.RankRecord:
		e.Position = checkpoint.At(checkpoint.SequenceNumber(p.Sequence), p.Subsequence)
	default:
		e.Position = checkpoint.ShardEnd()
	}
	return e, e.Position.Validate()
}

// Position is how p is stored.
func Position(p checkpoint.Position) rediskeys.Position {
	out := rediskeys.Position{Rank: uint8(p.Rank), Sequence: string(p.Sequence), Subsequence: p.Subsequence}
	if p.Rank == checkpoint.RankStart {
		out.Sequence = "0"
		if !p.Since.IsZero() {
			out.Sequence = strconv.FormatInt(p.Since.UnixMilli(), 10)
		}
	}
	return out
}
