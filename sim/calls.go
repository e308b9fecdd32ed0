package sim

import (
	"context"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// paced is the store of a node, each call of which begins at an instant of its
// own. Two that began at one would dial, or take connections from the pool, in
// either order.
type paced struct {
	lease.Store
	node   *node
	source *source
}

// wait waits for the instant of a call on some leases.
func (p paced) wait(ctx context.Context, op string, leases ...string) {
	k := key(append([]string{p.node.name, "call", op}, leases...)...)
	if p.node.wakes(ctx, p.source, k) {
		sleep(ctx, p.source.until(p.source.dice(k), 0, 100*time.Microsecond))
	}
}

func (p paced) Beat(ctx context.Context, group string, b lease.Beat) (lease.View, error) {
	p.wait(ctx, "beat")
	return p.Store.Beat(ctx, group, b)
}

func (p paced) View(ctx context.Context, group string) (lease.View, error) {
	p.wait(ctx, "view")
	return p.Store.View(ctx, group)
}

func (p paced) Acquire(ctx context.Context, s checkpoint.Scope, a lease.Acquire) ([]lease.Grant, error) {
	p.wait(ctx, "acquire", a.Names...)
	return p.Store.Acquire(ctx, s, a)
}

func (p paced) Load(ctx context.Context, group string, leases ...string) (map[string]checkpoint.Entry, error) {
	p.wait(ctx, "load", leases...)
	return p.Store.Load(ctx, group, leases...)
}

func (p paced) Save(ctx context.Context, s checkpoint.Scope, updates ...checkpoint.Update) ([]checkpoint.Outcome, error) {
	var leases []string
	for _, u := range updates {
		leases = append(leases, u.Lease)
	}
	p.wait(ctx, "save", leases...)
	return p.Store.Save(ctx, s, updates...)
}

func (p paced) Complete(ctx context.Context, s checkpoint.Scope, c lease.Completion) error {
	p.wait(ctx, "complete", c.Name)
	return p.Store.Complete(ctx, s, c)
}

func (p paced) Create(ctx context.Context, s checkpoint.Scope, c lease.Create) error {
	p.wait(ctx, "create")
	return p.Store.Create(ctx, s, c)
}

func (p paced) Seed(ctx context.Context, s checkpoint.Scope, seed lease.Seed) error {
	p.wait(ctx, "seed")
	return p.Store.Seed(ctx, s, seed)
}

func (p paced) Request(ctx context.Context, s checkpoint.Scope, r lease.Request) ([]error, error) {
	p.wait(ctx, "request", r.Names...)
	return p.Store.Request(ctx, s, r)
}

func (p paced) Refuse(ctx context.Context, s checkpoint.Scope, r lease.Refusal) error {
	p.wait(ctx, "refuse", r.Name, r.Session)
	return p.Store.Refuse(ctx, s, r)
}

func (p paced) Bye(ctx context.Context, s checkpoint.Scope, session string) error {
	p.wait(ctx, "bye")
	return p.Store.Bye(ctx, s, session)
}

// Watch marks the context, by which the connection is told from others that the
// node opens.
func (p paced) Watch(ctx context.Context, group string, notify func()) error {
	p.wait(ctx, "watch")
	return p.Store.Watch(context.WithValue(ctx, purpose{}, "watch"), group, notify)
}

// purpose is the key of what a connection is for, in a context.
type purpose struct{}
