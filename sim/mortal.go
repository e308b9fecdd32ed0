package sim

import (
	"context"
	"errors"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

var errDead = errors.New("the node has crashed")

// mortal is the store of a worker: when its node has crashed, nothing is called
// any more, and so nothing noted. What runs on of the process is nobody's.
type mortal struct {
	lease.Store
	world  *world
	worker *worker
}

func ifAlive[T any](n *node, call func() (T, error)) (T, error) {
	if !n.alive() {
		var none T
		return none, errDead
	}
	return call()
}

func (m mortal) Beat(ctx context.Context, group string, b lease.Beat) (lease.View, error) {
	return ifAlive(m.worker.node, func() (lease.View, error) {
		m.world.runs(b.Session.ID, m.worker.name)
		v, err := m.Store.Beat(ctx, group, b)
		m.worker.robbedBy(err)
		return v, err
	})
}

func (m mortal) Acquire(ctx context.Context, s checkpoint.Scope, a lease.Acquire) ([]lease.Grant, error) {
	return ifAlive(m.worker.node, func() ([]lease.Grant, error) {
		grants, err := m.Store.Acquire(ctx, s, a)
		for i, g := range grants {
			if g.Err == nil {
				m.worker.granted(a.Names[i], g.Epoch)
				m.world.acquires(m.worker, a.Names[i])
			}
		}
		if m.world.plan.MaxLeases > 0 {
			m.world.bounded()
		}
		return grants, err
	})
}

func (m mortal) Save(ctx context.Context, s checkpoint.Scope, u ...checkpoint.Update) ([]checkpoint.Outcome, error) {
	return ifAlive(m.worker.node, func() ([]checkpoint.Outcome, error) {
		outcomes, err := m.Store.Save(ctx, s, u...)
		m.worker.robbedBy(err)
		for i, o := range outcomes {
			m.worker.robbedBy(o.Err)
			if u[i].Release && o.Err == nil {
				m.world.givesBack(m.worker, u[i].Lease)
			}
		}
		return outcomes, err
	})
}

func (m mortal) Complete(ctx context.Context, s checkpoint.Scope, c lease.Completion) error {
	_, err := ifAlive(m.worker.node, func() (struct{}, error) { return struct{}{}, m.Store.Complete(ctx, s, c) })
	m.worker.robbedBy(err)
	if err == nil {
		m.world.givesBack(m.worker, c.Name)
	}
	return err
}

func (m mortal) Create(ctx context.Context, s checkpoint.Scope, c lease.Create) error {
	_, err := ifAlive(m.worker.node, func() (struct{}, error) { return struct{}{}, m.Store.Create(ctx, s, c) })
	return err
}

func (m mortal) Request(ctx context.Context, s checkpoint.Scope, r lease.Request) ([]error, error) {
	return ifAlive(m.worker.node, func() ([]error, error) { return m.Store.Request(ctx, s, r) })
}

func (m mortal) Refuse(ctx context.Context, s checkpoint.Scope, r lease.Refusal) error {
	_, err := ifAlive(m.worker.node, func() (struct{}, error) { return struct{}{}, m.Store.Refuse(ctx, s, r) })
	return err
}

func (m mortal) Bye(ctx context.Context, s checkpoint.Scope, session string) error {
	_, err := ifAlive(m.worker.node, func() (struct{}, error) { return struct{}{}, m.Store.Bye(ctx, s, session) })
	return err
}
