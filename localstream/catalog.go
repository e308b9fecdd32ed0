package localstream

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/shardrun/shardrun/localstream/internal/state"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// stream is a stream while the server runs: its log, and the newest view of
// its metadata. A stream that is created anew under the same name is another
// one.
type stream struct {
	key   state.Key
	id    string
	log   *wal.Log
	rates rates
	seats seats // of its subscriptions
	view  atomic.Pointer[view]

	daily  daily
	writes writes        // while it is on-demand
	turn   atomic.Uint64 // of the shards, when records are spread over them

	// Guarded by space.mu: whether the stream has room, and the bytes that were
	// let in and are not written yet.
	quota   gate
	pending int64
}

// view is the metadata of a stream at one moment. Requests load it once and
// work with it; it never changes.
type view struct {
	*state.Stream
	open []openShard // by hash key; they cover every key once

	replaced chan struct{} // closed when there is a newer view
	gone     bool          // the stream was removed
	broken   error         // the metadata could not be saved, so nothing can change or be put any more
}

// openShard is what a put needs to know of a shard.
type openShard struct {
	state.Shard
	id string
}

func newView(st *state.Stream) *view {
	v := &view{Stream: st, replaced: make(chan struct{})}
	for _, sh := range st.Open() {
		v.open = append(v.open, openShard{Shard: sh, id: state.ShardID(sh.Number)})
	}
	return v
}

// route gives the index in open of the shard that a hash key belongs to.
func (v *view) route(k hashkey.Key) int {
	i, found := slices.BinarySearchFunc(v.open, k, func(sh openShard, k hashkey.Key) int { return sh.Range.Start.Compare(k) })
	if !found {
		i--
	}
	return i
}

// publish puts a view in place of the one before and wakes who waits for that.
// One caller at a time.
func (s *stream) publish(v *view) {
	old := s.view.Load()
	if old != nil && v.broken == nil {
		v.broken = old.broken // until the server is opened anew
	}
	s.view.Store(v)
	if old != nil {
		close(old.replaced)
	}
}

// catalog is the streams by name. It is replaced, never changed.
type catalog map[state.Key]*stream

// list gives the streams of a scope by name.
func (c catalog) list(scope state.Scope) []*stream {
	var out []*stream
	for k, st := range c {
		if k.Scope == scope {
			out = append(out, st)
		}
	}
	slices.SortFunc(out, func(a, b *stream) int { return cmp.Compare(a.key.Name, b.key.Name) })
	return out
}

// openShards counts the open shards of a scope.
func (c catalog) openShards(scope state.Scope) int {
	n := 0
	for k, st := range c {
		if k.Scope == scope {
			n += st.view.Load().OpenCount()
		}
	}
	return n
}

// claimedShards counts the shards of a scope as the shard limit does: those that
// are open, and those that reshards under way are going to open.
func (c catalog) claimedShards(scope state.Scope) int {
	n := 0
	for k, st := range c {
		if k.Scope == scope {
			v := st.view.Load()
			n += state.PeakOpen(v.OpenCount(), v.Pending)
		}
	}
	return n
}

// key says which stream a request names: by ARN, by name, or by both.
func (c *call) key(name, arn *string) (state.Key, error) {
	key := state.Key{Scope: c.scope}
	if arn != nil {
		key, _ = state.ParseARN(*arn) // its form was checked before
	}
	switch {
	case name == nil:
	case arn != nil && *name != key.Name:
		return key, invalidArgument("StreamARN %s and StreamName %s do not name the same stream.", *arn, *name)
	default:
		key.Name = *name
	}
	return key, nil
}

// noStream is the error for a stream that does not exist.
func noStream(key state.Key) error {
	return notFound("Stream %s under account %s not found.", key.Name, key.Account)
}

// find gives the stream that a request names, and its view.
func (c *call) find(ctx context.Context, name, arn *string) (*stream, *view, error) {
	key, err := c.key(name, arn)
	if err != nil {
		return nil, nil, err
	}
	if err := c.fault(ctx, key, anyShard); err != nil {
		return nil, nil, err
	}
	return c.server.lookup(key)
}

func (s *Server) lookup(key state.Key) (*stream, *view, error) {
	st, ok := (*s.catalog.Load())[key]
	if !ok {
		return nil, nil, noStream(key)
	}
	return st, st.view.Load(), nil
}

// writable is find for an operation that puts records.
func (c *call) writable(ctx context.Context, name, arn *string) (*stream, *view, error) {
	st, v, err := c.find(ctx, name, arn)
	if err != nil {
		return nil, nil, err
	}
	if v.Status == state.Creating || v.Status == state.Deleting {
		return nil, nil, noStream(st.key)
	}
	return st, v, nil
}

// logError is the API's error for an error of a stream's log. A stream that
// was removed in the meantime does not exist.
func (s *stream) logError(err error) error {
	if v := s.view.Load(); v.gone {
		return noStream(s.key)
	}
	if errors.Is(err, wal.ErrClosed) {
		return unavailable()
	}
	return internalFailure(err)
}
