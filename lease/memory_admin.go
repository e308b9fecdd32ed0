package lease

import (
	"context"
	"fmt"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// Mark implements [Store].
func (m *Memory) Mark(ctx context.Context, scope checkpoint.Scope, mark Mark) error {
	if err := mark.Validate(); err != nil {
		return err
	}
	return m.with(ctx, scope, func(t *table) error { return t.mark(mark) })
}

// Pause implements [Store].
func (m *Memory) Pause(ctx context.Context, scope checkpoint.Scope, on bool) error {
	return m.with(ctx, scope, func(t *table) error {
		t.announce = t.announce || t.paused != on
		t.paused, t.byHand = on, true
		return nil
	})
}

// Reset implements [Store].
func (m *Memory) Reset(ctx context.Context, scope checkpoint.Scope, r Reset) error {
	if err := r.Validate(); err != nil {
		return err
	}
	return m.with(ctx, scope, func(t *table) error { return t.reset(r) })
}

func (t *table) mark(m Mark) error {
	r := t.rows[m.Name]
	switch {
	case t.syncing():
		return ErrSyncing
	case r == nil:
		return checkpoint.ErrNotFound
	case m.Token != "" && r.token != m.Token:
		if r.last == m.Token && marked(r.flags, m.Flag) != m.Off {
			return nil // a repeat
		}
		return checkpoint.ErrFenced
	case marked(r.flags, m.Flag) != m.Off:
		return nil
	}
	r.flags = remark(r.flags, m.Flag, m.Off)
	t.touch(m.Name)
	t.announce = true
	return nil
}

func (t *table) reset(reset Reset) error {
	r := t.rows[reset.Name]
	switch {
	case t.syncing():
		return ErrSyncing
	case r == nil:
		return checkpoint.ErrNotFound
	}
	mark := checkpoint.Token(fmt.Sprintf("reset#%d#%s", reset.Epoch, reset.Position))
	switch {
	case r.last == mark:
		return nil // a repeat
	case !reset.Forced && !t.paused && !marked(r.flags, FlagPaused):
		return ErrNotPaused
	case r.epoch != reset.Epoch, r.entry.Position.IsEnd() && !reset.Ended:
		return ErrChanged
	}
	// A lease that was never acquired keeps its epoch, which tells that its
	// parents are still waited for.
	if r.epoch != 0 {
		r.epoch = max(r.epoch+1, uint64(time.Now().UnixMicro()))
	}
	r.token, r.last, r.want, r.wantUntil = "", mark, "", 0
	r.entry = checkpoint.Entry{Position: reset.Position}
	t.touch(reset.Name)
	t.announce = true
	return nil
}
