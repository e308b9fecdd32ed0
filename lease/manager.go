package lease

import (
	"context"
	"sync"

	"go.uber.org/zap"
)

// Manager runs the lease protocol for one worker: it joins the group, keeps its
// session alive, mirrors the table, takes its share of the leases, runs a
// runner on each, saves their positions, and hands leases over.
type Manager struct {
	cfg Config

	mu  sync.Mutex // guards run and last
	run *run       // nil while Run is not running
	// last is the status after the last Run.
	last Status
}

// NewManager checks cfg; it starts nothing.
func NewManager(cfg Config) (*Manager, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.Logger = cfg.Logger.Named("lease").With(zap.String("worker", cfg.WorkerName), zap.String("group", cfg.Group))
	return &Manager{cfg: cfg, last: Status{Group: cfg.Group, Worker: cfg.WorkerName}}, nil
}

// Run joins the group and works until ctx ends. Then it drains: every runner is
// asked to return, positions are saved and leases given back as they do, and
// the session says goodbye. It returns nil after a clean drain, and waits for
// every runner in any case.
//
// It fails when the store cannot be reached within Config.JoinTimeout, when
// another worker runs under the same name (ErrSuperseded), and when positions
// could not be saved at the end. A store that goes away later does not end
// Run: the runners are cancelled with ErrLost when the lease time is almost
// over, and started again when the store is back.
func (m *Manager) Run(ctx context.Context) error {
	r := newRun(m.cfg)
	m.mu.Lock()
	if m.run != nil {
		m.mu.Unlock()
		return ErrRunning
	}
	m.run = r
	m.mu.Unlock()

	err := r.loop(ctx)

	m.mu.Lock()
	defer m.mu.Unlock()
	m.run, m.last = nil, r.status()
	return err
}

// Status tells what the worker holds and how it sees its group.
func (m *Manager) Status() Status {
	m.mu.Lock()
	r, last := m.run, m.last
	m.mu.Unlock()
	if r == nil {
		return last
	}
	answer := make(chan Status, 1) // room for the one answer
	if !r.inbox.post(func() { answer <- r.status() }) {
		return last
	}
	return <-answer
}

// inbox brings the results of calls to the loop. Posting never blocks.
type inbox struct {
	wake chan struct{} // holds one: there is something

	mu     sync.Mutex // guards all below
	queue  []func()
	closed bool
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

// post queues f for the loop; it reports false when the loop has ended.
func (b *inbox) post(f func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.queue = append(b.queue, f)
	select {
	case b.wake <- struct{}{}:
	default: // a wake-up is waiting already
	}
	return true
}

func (b *inbox) take() []func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.queue
	b.queue = nil
	return out
}

// close runs what is queued and refuses the rest.
func (b *inbox) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	for _, f := range b.take() {
		f()
	}
}
