// Package redis keeps a group's leases and positions in Redis 6.2 or later,
// Valkey, Sentinel or Cluster. Every operation is one Lua script, and so one
// atomic step; see internal/rediskeys for the keys.
//
// Let Redis keep what it is given: maxmemory-policy noeviction, an append-only
// file. State that is lost all the same costs records handled twice, never
// records skipped.
package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/shardrun/shardrun/checkpoint"
	checkpointredis "github.com/shardrun/shardrun/checkpoint/redis"
	"github.com/shardrun/shardrun/internal/rediskeys"
	"github.com/shardrun/shardrun/lease"
)

const (
	// chunkRows bounds the leases in one call of a script.
	chunkRows = 250
	// beatRows and viewRows are the changed rows that one answer has at most.
	beatRows = 200
	viewRows = 500
)

// Config says how to reach Redis. One of Client and Addr is required.
type Config struct {
	// Client is a *redis.Client, also of a Sentinel set, or a
	// *redis.ClusterClient. The store takes its options (address, user, TLS,
	// database, OnConnect) and makes connections of its own, with time-outs of
	// its own; hooks are not taken. The client stays the caller's. One of a
	// Sentinel set must stay open as long as the store: by it the store finds
	// the primary.
	Client redis.UniversalClient
	// Addr is host:port of a server without a password.
	Addr string
	// Timeout bounds dialing, reading and writing of each call. Defaults to 1 s.
	Timeout time.Duration
	// ReplicaAcks are the replicas that must have what an acquire, a completion,
	// a creation or a seed wrote: with fewer in time (half of what the call has left)
	// it fails with [ErrReplicas], and nothing that was granted is used. Redis
	// replicates what it has answered later, so without it a failover may forget
	// a grant; that costs records handled twice. As long as fewer replicas are
	// there, leases that are held go on, but none is acquired or completed.
	// Defaults to 0, to wait for none.
	ReplicaAcks int
	// Logger gets rows that cannot be read and settings of the server that can
	// lose state, at Warn. Defaults to none.
	Logger *zap.Logger
}

// ErrReplicas means that a call did what it should, but that fewer replicas than
// Config.ReplicaAcks had it in time. The call may be repeated.
var ErrReplicas = rediskeys.ErrReplicas

// Store is a [lease.Store] in Redis. Its methods may be called concurrently.
type Store struct {
	*checkpointredis.Store // Load, Save, Close

	db  *rediskeys.DB
	log *zap.Logger

	mu    sync.Mutex // guards all below
	notes []note     // that were logged of the server
}

var _ lease.Store = (*Store)(nil)

// New checks cfg; it dials nothing, so a server that is away is reported by the
// first call.
func New(cfg Config) (*Store, error) {
	db, err := rediskeys.Open(rediskeys.Options{
		Client: cfg.Client, Addr: cfg.Addr, Timeout: cfg.Timeout, ReplicaAcks: cfg.ReplicaAcks,
	})
	if err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	return On(db, cfg.Logger), nil
}

// On is a store over connections that another package made and closes.
func On(db *rediskeys.DB, log *zap.Logger) *Store {
	return &Store{Store: checkpointredis.On(db, refusal), db: db, log: log.Named("redis")}
}

// call runs a script whose answer must be OK.
func (s *Store) call(ctx context.Context, op string, script rediskeys.Script, scope checkpoint.Scope, args ...any) (rediskeys.Reply, error) {
	reply, err := s.db.Run(ctx, script, scope.Group, scope.Incarnation, args...)
	err = reached(err)
	if err == nil && reply.Status != "OK" {
		err = refusal(reply)
	}
	if err != nil {
		return reply, fmt.Errorf("%s group %q: %w", op, scope.Group, err)
	}
	return reply, nil
}

// Beat implements [lease.Store].
func (s *Store) Beat(ctx context.Context, group string, b lease.Beat) (lease.View, error) {
	load := strconv.FormatFloat(b.Session.Load, 'g', -1, 64)
	b.Session.Load = 0 // a change of it alone is not logged
	info, err := json.Marshal(b.Session)
	if err != nil {
		return lease.View{}, fmt.Errorf("beat group %q: %w", group, err)
	}
	reply, err := s.call(ctx, "beat", rediskeys.Beat, checkpoint.Scope{Group: group, Incarnation: b.Incarnation},
		b.NewIncarnation, b.Session.ID, b.Session.Name, strconv.FormatUint(b.Number, 10),
		strconv.FormatUint(b.Good, 10), strconv.FormatInt(b.Stamp, 10), flag(b.First), strconv.FormatUint(b.Seen, 10),
		info, load, b.TTL.Milliseconds(), beatRows)
	if err != nil {
		return lease.View{Incarnation: reply.Text(0)}, err
	}
	v, err := s.view(reply)
	if err != nil {
		return v, err
	}
	if v.Stamp, err = strconv.ParseInt(reply.Text(11), 10, 64); err != nil {
		return lease.View{}, fmt.Errorf("beat group %q: unreadable answer: %w", group, err)
	}
	return v, nil
}

// View implements [lease.Store]. It reads page by page; a row that changes on
// the way is read again.
func (s *Store) View(ctx context.Context, group string) (lease.View, error) {
	var whole lease.View
	leases, sessions := map[string]lease.Lease{}, map[string]lease.Session{}
	base := ""
	for from := uint64(0); ; from = whole.Through {
		reply, err := s.db.Run(ctx, rediskeys.View, group, "", strconv.FormatUint(from, 10), viewRows, base)
		switch {
		case err == nil && reply.Status == "RESYNC":
			// What a page told of was removed since, and forgotten.
			clear(leases)
			clear(sessions)
			whole, base = lease.View{}, ""
			continue
		case err != nil:
			return lease.View{}, fmt.Errorf("view group %q: %w", group, reached(err))
		case reply.Status == "NONE":
			return lease.View{}, nil
		case reply.Status == "LOST":
			return lease.View{Paused: reply.Text(0) == "1"}, fmt.Errorf("view group %q: %w", group, lease.ErrStateLost)
		case reply.Status != "OK":
			return lease.View{}, fmt.Errorf("view group %q: %w", group, refusal(reply))
		}
		page, err := s.view(reply)
		if err != nil {
			return lease.View{}, fmt.Errorf("view group %q: %w", group, err)
		}
		if whole.Incarnation != "" && page.Incarnation != whole.Incarnation {
			return lease.View{}, fmt.Errorf("view group %q: %w", group, lease.ErrReset)
		}
		if base == "" {
			base = reply.Text(11)
		}
		merge(leases, sessions, page)
		whole = page
		if !page.More {
			break
		}
	}
	whole.Leases, whole.Sessions, whole.Gone, whole.Left = nil, nil, nil, nil
	for _, name := range slices.Sorted(maps.Keys(leases)) {
		whole.Leases = append(whole.Leases, leases[name])
	}
	for _, id := range slices.Sorted(maps.Keys(sessions)) {
		whole.Sessions = append(whole.Sessions, sessions[id])
	}
	return whole, nil
}

// merge takes a page over what earlier pages said.
func merge(leases map[string]lease.Lease, sessions map[string]lease.Session, page lease.View) {
	for _, l := range page.Leases {
		leases[l.Name] = l
	}
	for _, m := range page.Sessions {
		sessions[m.ID] = m
	}
	for _, name := range page.Gone {
		delete(leases, name)
	}
	for _, id := range page.Left {
		delete(sessions, id)
	}
}

// Acquire implements [lease.Store].
func (s *Store) Acquire(ctx context.Context, scope checkpoint.Scope, a lease.Acquire) ([]lease.Grant, error) {
	grants := make([]lease.Grant, 0, len(a.Names))
	for first := a.First; len(a.Names) > 0; {
		n := min(len(a.Names), chunkRows)
		args := append(make([]any, 0, n+2), a.Session, strconv.FormatUint(first, 10))
		for _, name := range a.Names[:n] {
			args = append(args, name)
		}
		reply, err := s.call(ctx, "acquire", rediskeys.Acquire, scope, args...)
		if err != nil {
			return nil, err
		}
		for i := range n {
			grants = append(grants, grant(reply.Texts(i)))
		}
		a.Names, first = a.Names[n:], first+uint64(n)
	}
	return grants, nil
}

// Complete implements [lease.Store].
func (s *Store) Complete(ctx context.Context, scope checkpoint.Scope, c lease.Completion) error {
	args, err := rows([]any{c.Name, string(c.Token)}, c.Children)
	if err != nil {
		return err
	}
	_, err = s.call(ctx, "complete "+c.Name+" in", rediskeys.Complete, scope, args...)
	return err
}

// rows appends name, d and c of each new row.
func rows(args []any, rows []lease.Row) ([]any, error) {
	for _, r := range rows {
		d, c, err := values(r)
		if err != nil {
			return nil, err
		}
		args = append(args, r.Name, d, c)
	}
	return args, nil
}

// values are the values of the keys d and c of a new row.
func values(r lease.Row) (d []byte, c string, err error) {
	if err := r.Position.Validate(); err != nil {
		return nil, "", fmt.Errorf("create %s: %w", r.Name, err)
	}
	if r.Shard.Created.IsZero() {
		r.Shard.Created = time.UnixMilli(time.Now().UnixMilli()).UTC()
	}
	d, err = json.Marshal(r.Shard)
	if err != nil {
		return nil, "", fmt.Errorf("create %s: %w", r.Name, err)
	}
	return d, checkpointredis.Position(r.Position).Row(), nil
}

// Create implements [lease.Store].
func (s *Store) Create(ctx context.Context, scope checkpoint.Scope, c lease.Create) error {
	if err := c.Validate(); err != nil {
		return err
	}
	set := c.Session + "#" + uuid.NewString() // a repeat begins again
	order, children := descending(c.Rows)
	for at := 0; at < len(c.Rows); at += chunkRows {
		n := min(chunkRows, len(c.Rows)-at)
		args := []any{c.Session, c.Stream, set, flag(at == 0), flag(at+n == len(c.Rows))}
		args, err := listed(args, c.Rows, order[at:at+n], children)
		if err != nil {
			return err
		}
		if _, err := s.call(ctx, "create leases of "+c.Stream+" in", rediskeys.Create, scope, args...); err != nil {
			return err
		}
	}
	return nil
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// Request implements [lease.Store].
func (s *Store) Request(ctx context.Context, scope checkpoint.Scope, r lease.Request) ([]error, error) {
	out := make([]error, 0, len(r.Names))
	for len(r.Names) > 0 {
		n := min(len(r.Names), chunkRows)
		args := append(make([]any, 0, n+2), r.Session, r.For.Milliseconds())
		for _, name := range r.Names[:n] {
			args = append(args, name)
		}
		reply, err := s.call(ctx, "request leases of", rediskeys.Request, scope, args...)
		if err != nil {
			return nil, err
		}
		for i := range n {
			out = append(out, itemError(reply.Text(i)))
		}
		r.Names = r.Names[n:]
	}
	return out, nil
}

// Refuse implements [lease.Store].
func (s *Store) Refuse(ctx context.Context, scope checkpoint.Scope, r lease.Refusal) error {
	_, err := s.call(ctx, "refuse "+r.Name+" in", rediskeys.Refuse, scope, r.Name, string(r.Token), r.Session)
	return err
}

// Bye implements [lease.Store].
func (s *Store) Bye(ctx context.Context, scope checkpoint.Scope, session string) error {
	_, err := s.call(ctx, "bye", rediskeys.Bye, scope, session)
	return err
}

// Watch implements [lease.Store]. It begins with a look at the server's settings.
func (s *Store) Watch(ctx context.Context, group string, notify func()) error {
	s.inspect(ctx, group)
	return s.db.Watch(ctx, group, notify)
}
