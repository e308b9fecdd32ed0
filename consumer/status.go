package consumer

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// Status is what a worker is doing at one moment.
type Status struct {
	// Group, Worker and Stream name the worker and the stream.
	Group, Worker, Stream string
	// Running says that Run is running; Ready, that the worker has joined its
	// group and can reach the store.
	Running, Ready bool
	// Healthy says that no shard of the worker has stopped or failed, see
	// ShardStatus.Err, and that Kinesis does not refuse to list the shards of
	// a group that has none, see LastError.
	Healthy bool
	// Shards are the shards that the worker has, by name, and those that it
	// gave back because the work on them failed, until it or another worker
	// has them again.
	Shards []ShardStatus
	// Handled, Failed and Dropped count user records since New: handled by the
	// handler, taken by OnFailure, and dropped because it is [Drop].
	Handled, Failed, Dropped uint64
	// OutOfRange counts user records left out because they belong to another
	// shard's hash range, Malformed aggregates delivered as they are.
	OutOfRange, Malformed uint64
	// Memory is how much of Config.MemoryBudget is taken, in bytes.
	Memory int64
	// LastError is the last reason why the work on a shard ended without
	// having to, or why the shards could not be listed; nil when neither was.
	LastError error
}

// ShardStatus is one shard that a worker has.
type ShardStatus struct {
	// Shard is the shard's id, Lease the lease's name, Epoch its epoch.
	Shard, Lease string
	Epoch        uint64
	// Position is up to where all records are done. It is saved within
	// Config.CheckpointInterval.
	Position checkpoint.Position
	// Behind is how far the reader was from the tip of the stream at its last
	// read (MillisBehindLatest).
	Behind time.Duration
	// State is what is going on.
	State ShardState
	// Attempt is the number of the last failed attempt in StateRetrying.
	Attempt int
	// Handled counts the records done since the worker got the shard.
	Handled uint64
	// Err is the last error of the handler in StateRetrying, why the shard
	// stopped in StateStopped, and why the work ended in StateFailed.
	Err error
}

// ShardState is a word for what is going on with a shard.
type ShardState string

// The states of a shard. In the last two it is not well, and somebody should
// look at it.
const (
	StateWorking  ShardState = "working"
	StateRetrying ShardState = "retrying"
	StateStopped  ShardState = "stopped"
	// StateFailed lasts from the end of the work with an error until it was
	// begun again, here or elsewhere, and the shard was read.
	StateFailed ShardState = "failed"
)

// progress is a shard's status as it changes.
type progress struct {
	mu     sync.Mutex // guards all below
	status ShardStatus
	out    uint64 // user records left out
	bad    uint64 // malformed aggregates
}

func newProgress(name string, l lease.Lease, at checkpoint.Position) *progress {
	return &progress{status: ShardStatus{
		Shard: name, Lease: l.Name, Epoch: l.Epoch, Position: at, State: StateWorking,
	}}
}

func (p *progress) change(f func(s *ShardStatus)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.status)
}

// tip is told of each read that succeeds.
func (p *progress) tip(behind time.Duration) {
	p.change(func(s *ShardStatus) {
		s.Behind = behind
		if s.State == StateFailed {
			s.State, s.Err = StateWorking, nil
		}
	})
}

// failed says why the work on the shard ended.
func (p *progress) failed(err error) {
	p.change(func(s *ShardStatus) { s.State, s.Attempt, s.Err = StateFailed, 0, err })
}

func (p *progress) page(pg *page) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out += uint64(pg.counts.outOfRange)
	p.bad += uint64(pg.counts.malformed)
}

func (p *progress) moved(at checkpoint.Position, n int) {
	p.change(func(s *ShardStatus) { s.Position, s.Handled = at, s.Handled+uint64(n) })
}

func (p *progress) retrying(attempt int, err error) {
	p.change(func(s *ShardStatus) { s.State, s.Attempt, s.Err = StateRetrying, attempt, err })
}

func (p *progress) working() {
	p.change(func(s *ShardStatus) { s.State, s.Attempt, s.Err = StateWorking, 0, nil })
}

func (p *progress) stop(cause error) (at checkpoint.Position) {
	p.change(func(s *ShardStatus) { s.State, s.Err, at = StateStopped, cause, s.Position })
	return at
}

func (p *progress) snapshot() (s ShardStatus, out, bad uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status, p.out, p.bad
}

// countFailed counts records that were given up.
func (c *Consumer) countFailed(n int, dropped bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if dropped {
		c.totals.Dropped += uint64(n)
	} else {
		c.totals.Failed += uint64(n)
	}
}

// begin adds a shard to the status. One that failed before goes on being shown
// as such until it is read.
func (c *Consumer) begin(p *progress) {
	one, _, _ := p.snapshot()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began = true
	c.shards[p] = struct{}{}
	if old, ok := c.failed[one.Lease]; ok {
		p.failed(old.Err)
		delete(c.failed, one.Lease)
	}
}

// end takes a shard out of the status and keeps its counts. err is why the
// work on it ended, nil when it had to.
func (c *Consumer) end(p *progress, err error) {
	if err != nil {
		p.failed(err)
	}
	one, out, bad := p.snapshot()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.shards, p)
	c.totals.Handled += one.Handled
	c.totals.OutOfRange += out
	c.totals.Malformed += bad
	if err != nil {
		c.totals.LastError = err
		one.Handled = 0 // has been counted
		c.failed[one.Lease] = one
	}
}

// listed notes the outcome of a listing of the first shards, and reports whether
// Run is to end with it: it was refused, and no work has begun.
func (c *Consumer) listed(refused bool, err error) (end bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = refused
	if err != nil {
		c.totals.LastError = err
	}
	return refused && !c.began
}

// Status tells what the worker is doing. It may be called at any time.
func (c *Consumer) Status() Status {
	c.mu.Lock()
	s := c.totals
	s.Running = c.running
	manager, shards := c.manager, slices.Collect(maps.Keys(c.shards))
	failed := maps.Clone(c.failed)
	s.Healthy = !c.refused
	c.mu.Unlock()

	s.Group, s.Worker = c.cfg.Group, c.cfg.WorkerName
	s.Memory = c.budget.used()
	for _, p := range shards {
		one, out, bad := p.snapshot()
		s.Shards = append(s.Shards, one)
		s.Handled += one.Handled
		s.OutOfRange, s.Malformed = s.OutOfRange+out, s.Malformed+bad
	}
	if manager != nil {
		l := manager.Status()
		s.Ready = l.Joined && !l.Paused
		forgetTaken(failed, l)
	}
	s.Shards = slices.AppendSeq(s.Shards, maps.Values(failed))
	for _, one := range s.Shards {
		s.Healthy = s.Healthy && one.State != StateStopped && one.State != StateFailed
	}
	slices.SortFunc(s.Shards, func(a, b ShardStatus) int { return cmp.Compare(a.Lease, b.Lease) })
	return s
}

// forgetTaken takes the shards out that another worker has, or has finished.
func forgetTaken(failed map[string]ShardStatus, l lease.Status) {
	for _, row := range l.Leases {
		if owner := lease.SessionOf(row.Token); row.Finished() || owner != "" && owner != l.Session {
			delete(failed, row.Name)
		}
	}
}
