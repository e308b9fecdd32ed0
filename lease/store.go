package lease

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// What callers branch on.
var (
	// ErrLost is the cause of a cancelled handler context when the lease is no
	// longer the worker's, or may not be.
	ErrLost = errors.New("lease lost")
	// ErrHeld means that a living session holds the lease.
	ErrHeld = errors.New("lease held by another worker")
	// ErrParent means that a parent of the shard was not handled to its end.
	ErrParent = errors.New("lease waits for a parent shard")
	// ErrGone means that there is no such lease, none that is left to handle,
	// or no such session.
	ErrGone = errors.New("lease or session gone")
	// ErrExpired means that the caller's session has lapsed: beat first.
	ErrExpired = errors.New("session lapsed")
	// ErrNotReady means that the stream's first set of leases is not complete.
	ErrNotReady = errors.New("leases of the stream are not created yet")
	// ErrExists means that the stream's first set was created by somebody.
	ErrExists = errors.New("leases of the stream exist already")
	// ErrReset means that the group's state has another incarnation than the
	// caller's: it was lost and made anew.
	ErrReset = errors.New("group state was made anew")
	// ErrStateLost means that part of the group's state is missing. The store
	// has begun a new incarnation.
	ErrStateLost = errors.New("group state was lost")
	// ErrRegressed means that the store lost its latest writes.
	ErrRegressed = errors.New("group state went back in time")
	// ErrResync means that the caller's view is so old that removals are missing
	// from the changes since: it has to begin anew, with Beat.Seen 0.
	ErrResync = errors.New("view of the group is too old to go on from")
	// ErrNeeded means that a lease is not at its shard's end, or waited for.
	ErrNeeded = errors.New("lease is needed yet")
	// ErrSuperseded means that a living session took this worker's name.
	ErrSuperseded = errors.New("another worker runs under the same name")
	// ErrStale means that an acquire with these token numbers, or a beat with
	// this number or a later one, was executed before; the caller takes a higher
	// one.
	ErrStale = errors.New("numbers were used before")
	// ErrSyncing means that the group's state was lost a moment ago: for one lease
	// time the store waits for what the workers remember, and grants nothing.
	ErrSyncing = errors.New("group state is being restored")
	// ErrSeeded means that the store takes no seed: nothing was lost, the time for
	// seeds is over, or the rows are of an incarnation that was begun after the
	// loss by workers that knew of none.
	ErrSeeded = errors.New("group state is not being restored from this")
	// ErrPaused means that the group, or the lease, is paused by hand.
	ErrPaused = errors.New("group or lease is paused")
	// ErrNotPaused means that the group, or the lease, has to be paused for this.
	ErrNotPaused = errors.New("neither group nor lease is paused")
	// ErrChanged means that the lease was acquired or reset, or its shard handled to
	// its end, since the caller looked.
	ErrChanged = errors.New("lease was acquired, reset or ended since")
	// ErrRefused means that the store answers, and does not let the caller do this:
	// a password is missing or wrong, or the user lacks a permission. A manager that
	// has not joined yet ends with it at once; later it tries again.
	ErrRefused = errors.New("the store refuses")
	// ErrVersion means that the state was written by a newer version.
	ErrVersion = errors.New("group state is of a newer version")
)

// Store keeps the table of a group: leases, sessions and positions. All
// methods may be called concurrently, each is one atomic step, and each is safe
// to repeat when its answer was lost; a beat and an acquire are repeated with new
// numbers. Implementations prove themselves with
// the suite in lease/leasetest.
type Store interface {
	checkpoint.Store

	// Beat renews a session and returns what changed since Seen. It fails with
	// ErrReset, ErrStateLost (both with Beat.Incarnation set to the new one in
	// the answer), ErrRegressed, ErrResync, ErrGone, ErrStale, ErrSuperseded or
	// ErrVersion. One that fails renews nothing.
	Beat(ctx context.Context, group string, b Beat) (View, error)
	// View reads the whole table: all leases with their shards, all sessions. Of a
	// group that is not there it is empty. It fails with ErrStateLost when part of the
	// state is missing; then it tells whether the group is paused, if that is left.
	View(ctx context.Context, group string) (View, error)
	// Acquire takes leases that are free, lapsed, wanted by nobody else, not
	// finished, and whose parents are finished. Ownership and position are read in the same
	// step. One grant a name, in order; Grant.Err says why not.
	Acquire(ctx context.Context, scope checkpoint.Scope, a Acquire) ([]Grant, error)
	// Complete ends a shard: in one step its position becomes the shard's end,
	// its children's rows are created where absent, and the lease is freed. It
	// fails with checkpoint.ErrFenced or checkpoint.ErrNotFound.
	Complete(ctx context.Context, scope checkpoint.Scope, c Completion) error
	// Create makes the first set of leases of a stream, all or none seen by
	// acquire. ErrExists when somebody made it, ErrHeld while somebody makes it,
	// ErrSyncing while the store takes seeds. Rows that seeds made stay, but for a
	// shard with a child that has started: it is at its end. Only Create makes a
	// stream complete, because only a listing tells what the seeds left out.
	Create(ctx context.Context, scope checkpoint.Scope, c Create) error
	// Request asks the living owners of leases to hand them to a session; it
	// returns for each name nil, or ErrHeld when another's wish stands.
	Request(ctx context.Context, scope checkpoint.Scope, r Request) ([]error, error)
	// Refuse withdraws one session's wish on a lease that the caller holds; the
	// wish of any other session stands. It fails with checkpoint.ErrFenced or
	// checkpoint.ErrNotFound.
	Refuse(ctx context.Context, scope checkpoint.Scope, r Refusal) error
	// Bye removes a session; its runners have all returned. Leases that it
	// still held are free to be taken at once.
	Bye(ctx context.Context, scope checkpoint.Scope, session string) error
	// Seed takes back what a worker remembers of a group whose state was lost.
	// It fails with ErrSeeded when the store takes no seeds, or not these.
	Seed(ctx context.Context, scope checkpoint.Scope, s Seed) error
	// Adopt makes the rows of listed shards that have none. A shard with a child
	// that has started was handled to its end, and is made so. It fails with
	// ErrSyncing or ErrNotReady, also without rows: so workers ask whether the
	// stream is complete.
	Adopt(ctx context.Context, scope checkpoint.Scope, a Adoption) error
	// Retire ends a shard without a token, as Complete does with one: a shard that
	// is gone from its stream. It fails with ErrHeld when a living session has the
	// lease, and with ErrSyncing, ErrNotReady, or checkpoint.ErrNotFound when
	// there is neither a row of that name nor one that waits for it.
	Retire(ctx context.Context, scope checkpoint.Scope, r Retirement) error
	// Collect removes rows of shards at their end that nobody has and nobody waits
	// for. It returns for each name nil, also when there is no such row, ErrHeld,
	// or ErrNeeded. A removal is told by beats for two lease times; a beat of a
	// view that is older is answered ErrResync.
	Collect(ctx context.Context, scope checkpoint.Scope, c Collection) ([]error, error)
	// Mark puts a flag on a lease, or takes it off. It fails with ErrSyncing,
	// checkpoint.ErrFenced or checkpoint.ErrNotFound.
	Mark(ctx context.Context, scope checkpoint.Scope, m Mark) error
	// Pause pauses the group by hand: nothing is acquired, and beats say so,
	// until it is called to let the group go on. Workers that hear of it give
	// back what they hold. It fails with ErrStateLost. A call without an incarnation
	// works while other parts of the state are missing: what is made anew is paused then.
	Pause(ctx context.Context, scope checkpoint.Scope, on bool) error
	// Reset sets where a lease goes on from, by hand, also backwards. Who holds
	// it is fenced, and the state saved with the position is dropped. It fails
	// with ErrSyncing, ErrNotPaused, ErrChanged or checkpoint.ErrNotFound.
	Reset(ctx context.Context, scope checkpoint.Scope, r Reset) error
	// Watch calls notify when something changed that a worker should look at,
	// until ctx ends. It is a hint: changes may be announced twice or never,
	// and beats are the truth.
	Watch(ctx context.Context, group string, notify func()) error
}

// Beat renews one session.
type Beat struct {
	// Incarnation is what the worker has joined, empty at its start.
	Incarnation string
	// NewIncarnation is the identity that state made by this call gets, a new
	// uuid v4.
	NewIncarnation string
	Session        Session
	// First takes the name from a living session that has it. It is for the
	// beats of a worker of which none was answered yet.
	First bool
	// Number is of this beat, from 1. It rises with each beat of the session that
	// is sent: a repeat has a new one, and nothing sets it back. One that comes
	// after a later one changes nothing.
	Number uint64
	// Good is the number of the last beat that was answered, and Stamp the
	// answer's [View.Stamp]: a store that has lost that beat says ErrRegressed. Both
	// are 0 for a view that begins anew after ErrRegressed, and in an incarnation
	// that no beat was answered in.
	Good  uint64
	Stamp int64
	// Seen is the change up to which the worker's view is complete.
	Seen uint64
	// TTL is the lease time of a group that does not exist yet; an existing
	// one keeps its own, see [View.TTL].
	TTL time.Duration
}

// View is a beat's answer: what changed.
type View struct {
	Incarnation string
	// Now is the session time in milliseconds, the clock of all deadlines in
	// the table. It follows no wall clock.
	Now int64
	// TTL is the group's lease time.
	TTL time.Duration
	// Leases and Sessions are the rows above Beat.Seen; Gone names the leases
	// and Left the sessions that were removed.
	Leases   []Lease
	Sessions []Session
	Gone     []string
	Left     []string
	// Through is the change up to which the rows above are complete, Head the
	// last one that there is, and More says that the table has rows in between.
	Through uint64
	Head    uint64
	More    bool
	// Late are the sessions whose deadline is near, with it.
	Late map[string]int64
	// Paused says that the group is paused by hand.
	Paused bool
	// SyncUntil is until when, in session time, the store takes seeds and grants
	// nothing, 0 when it does not.
	SyncUntil int64
	// Lost says that this incarnation was made because the one before was
	// lost: leases made now must start where nothing is skipped.
	Lost bool
	// Stamp is when the beat was executed, in microseconds of the store's clock. It
	// tells the beat from one of the same number in a history that was lost.
	Stamp int64
}

// Acquire asks for leases.
type Acquire struct {
	Session string
	// First is the number of the first token; tokens are session#First+index.
	// Numbers are never used for another call.
	First uint64
	Names []string
}

// Grant is the answer for one lease.
type Grant struct {
	// Err is nil, ErrHeld, ErrParent, ErrGone (also for a shard that was
	// handled to its end), ErrExpired, ErrSyncing, ErrNotReady, ErrStale or
	// ErrPaused.
	Err   error
	Token checkpoint.Token
	Epoch uint64
	// Entry is where to go on from, read in the same step.
	Entry checkpoint.Entry
	Shard Shard
}

// Completion ends a shard.
type Completion struct {
	Name  string
	Token checkpoint.Token
	// Children are the shards that followed; their positions are where they
	// begin.
	Children []Row
}

// Create makes the first leases of a stream.
type Create struct {
	Session string
	// Stream is account:region:stream:creationEpochMs.
	Stream string
	Rows   []Row
}

// Request asks owners for leases.
type Request struct {
	Session string
	// For is how long the wish stands, in session time.
	For   time.Duration
	Names []string
}

// Refusal withdraws a wish.
type Refusal struct {
	Name  string
	Token checkpoint.Token
	// Session is the one whose wish is refused. Naming it lets a refusal that
	// arrives late or twice leave alone the wish of a session that asked since.
	Session string
}

// SessionOf is the session that a token was given to, empty for no token.
func SessionOf(t checkpoint.Token) string {
	session, _, _ := strings.Cut(string(t), "#")
	return session
}

// StreamOf is the stream part of a lease name.
func StreamOf(name string) string {
	stream, _, _ := strings.Cut(name, "/")
	return stream
}

// ShardOf is the shard id in a lease name.
func ShardOf(name string) string {
	_, shard, _ := strings.Cut(name, "/")
	return shard
}

// Name is the lease name of a shard of a stream.
func Name(stream, shard string) string { return stream + "/" + shard }
