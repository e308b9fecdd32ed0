package lease

import (
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// Lease is one row of the group's table: a shard, who holds it and how far it
// was handled.
type Lease struct {
	// Name is account:region:stream:creationEpochMs/shardId.
	Name string
	// Token is what the lease is held under, empty when it is free. Its
	// session is [SessionOf] the token.
	Token checkpoint.Token
	// Epoch rises with every acquisition. It is a fencing token for sinks
	// outside: a sink that keeps the highest epoch it saw can refuse the late
	// writes of a former owner.
	Epoch uint64
	// Want is the session that asked the owner for the lease, empty for none;
	// WantUntil is when the wish ends, in session time (milliseconds).
	Want      string
	WantUntil int64
	// Position is how far the shard was handled.
	Position checkpoint.Position
	// Weight is the shard's load as log2 of bytes per second, 0 when unknown.
	Weight uint8
	// Flags are marks on the lease, with commas between them; see
	// [Lease.Marked] and [Mark].
	Flags string
	// Stateful says that a state was saved with the position, or left by the
	// shards before: it is no place to go on from without.
	Stateful bool
	// Shard describes the shard; beats tell it of leases that were never
	// acquired, [Store.View] of all.
	Shard Shard
	// Seq is the number of the row's last change in the group's log.
	Seq uint64
}

// Free reports whether nobody holds the lease.
func (l Lease) Free() bool { return l.Token == "" }

// Finished reports whether the shard was handled to its end.
func (l Lease) Finished() bool { return l.Position.IsEnd() }

// Marked reports whether the lease has a flag.
func (l Lease) Marked(flag string) bool { return marked(l.Flags, flag) }

// Shard is what a lease knows of its shard.
type Shard struct {
	// Parents are the lease names of the shards that must be handled to their
	// end before this one may start; it is emptied by the first acquisition.
	Parents []string `json:"parents,omitempty"`
	// Children are the lease names of the shards that followed, set by complete.
	Children []string `json:"children,omitempty"`
	// StartingHashKey and EndingHashKey are the shard's range, in decimal.
	StartingHashKey string `json:"start,omitempty"`
	EndingHashKey   string `json:"end,omitempty"`
	// Created is when the row was made, by the store's clock.
	Created time.Time `json:"created,omitzero"`
	// Generation tells the leases of a stream from those that were removed by hand
	// before, to be made anew: it is when the first of them were made, in
	// milliseconds of the store's clock, and the store gives it to all that follow.
	// It is 0 for leases that were made by versions that knew of none.
	Generation int64 `json:"gen,omitempty"`
}

// known reports whether the shard of a lease was told.
func (s Shard) known() bool { return s.StartingHashKey != "" || !s.Created.IsZero() }

// Row is a lease to be created.
type Row struct {
	// Name is account:region:stream:creationEpochMs/shardId, as [Name] makes it.
	Name string
	// Shard has the hash keys and, of a shard that waits for others, their lease
	// names; the store fills in the rest.
	Shard Shard
	// Position is where the shard starts.
	Position checkpoint.Position
}

// State is what a session says of itself.
type State string

// The states of a session. Nothing is planned onto a session that is not up.
const (
	StateUp     State = "up"
	StateDrain  State = "drain"
	StatePaused State = "paused"
)

// Session is one process of a worker, from its start to its end.
type Session struct {
	// ID is a uuid v4, new with each start.
	ID string `json:"-"`
	// Name is the worker's name, unique among the living of a group; a
	// session may take over at once from an older one of its name.
	Name string `json:"name"`
	Host string `json:"host,omitempty"`
	// Plan is the version of the assignment function that the session runs.
	Plan int `json:"plan"`
	// Version is the version of the program. A handler that stops at a lease
	// stops it for all workers of its version; empty is no version.
	Version string `json:"version,omitempty"`
	// Streams are the streams whose leases it can take,
	// account:region:stream:creationEpochMs.
	Streams []string `json:"streams,omitempty"`
	// Capacity weighs the session's share, 1 by default; MaxLeases bounds it,
	// 0 for no bound.
	Capacity  float64 `json:"capacity,omitempty"`
	MaxLeases int     `json:"max_leases,omitempty"`
	State     State   `json:"state"`
	// Load is what the session says its shards need, in workers. A change of
	// it alone is not logged.
	Load float64 `json:"load,omitempty"`
	// Deadline is when the session lapses, in session time (milliseconds). It
	// is set by the store.
	Deadline int64 `json:"-"`
}
