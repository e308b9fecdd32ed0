package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/shardrun/shardrun/lease"
)

// watch prints the group when it has changed, until ctx ends.
func (w *leasesView) watch(ctx context.Context) error {
	changed := make(chan struct{}, 1) // one hint is as good as many
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	defer func() { cancel(); <-done }()
	go func() {
		defer close(done)
		w.listen(ctx, changed)
	}()
	const hinted, unhinted, reads = 50 * time.Millisecond, time.Second, 2 * time.Second
	var last []byte
	shown := map[string]string{}
	failed := false
	for {
		p, err := w.read(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && last == nil:
			return err // it never worked
		case err != nil && !failed:
			fmt.Fprintf(w.app.err, "shardrun: %v; will try again\n", explain(err))
		case err == nil && w.app.json:
			last = []byte{}
			if err := p.printChanges(w.app.out, shown); err != nil {
				return err
			}
		case err == nil:
			if last, err = p.redraw(w.app, last); err != nil {
				return err
			}
		}
		failed = err != nil
		wait, hint := unhinted, (<-chan struct{})(changed)
		if w.lag != nil {
			wait, hint = reads, nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		case <-hint:
			select { // what changes together is shown together
			case <-ctx.Done():
				return nil
			case <-time.After(hinted):
			}
		}
	}
}

// listen passes announcements on, until ctx ends.
func (w *leasesView) listen(ctx context.Context, changed chan<- struct{}) {
	for ctx.Err() == nil {
		_ = w.group.Watch(ctx, w.group.name, func() { // it is a hint: what is missed is seen a second later
			select {
			case changed <- struct{}{}:
			default:
			}
		})
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// redraw prints the table when it differs from the last one, over it on a terminal.
func (p *picture) redraw(a *app, last []byte) ([]byte, error) {
	var b bytes.Buffer
	if err := p.print(a, &b); err != nil || last != nil && bytes.Equal(b.Bytes(), last) {
		return last, err
	}
	before := ""
	switch {
	case isTerminal(a.out):
		before = "\x1b[H\x1b[2J"
	case last != nil:
		before = "\n"
	}
	_, err := fmt.Fprint(a.out, before, b.String())
	return b.Bytes(), err
}

// printChanges prints a line for each lease or session that differs from what was
// shown, and for those that are gone.
func (p *picture) printChanges(out io.Writer, shown map[string]string) error {
	now := map[string]bool{}
	line := func(key string, v any) error {
		now[key] = true
		var b bytes.Buffer
		if err := printJSON(&b, v); err != nil || shown[key] == b.String() {
			return err
		}
		shown[key] = b.String()
		_, err := out.Write(b.Bytes())
		return err
	}
	for _, i := range p.leases {
		if err := line(i.Lease, i); err != nil {
			return err
		}
	}
	for _, s := range p.sessions {
		if err := line("@"+s.Session, s); err != nil {
			return err
		}
	}
	for key := range shown {
		if now[key] {
			continue
		}
		delete(shown, key)
		var v any = leaseInfo{Lease: key, Stream: lease.StreamOf(key), Shard: lease.ShardOf(key), State: "gone", Parents: []string{}, Flags: []string{}}
		if session, ok := strings.CutPrefix(key, "@"); ok {
			v = sessionInfo{Session: session, State: "gone", Streams: []string{}}
		}
		if err := printJSON(out, v); err != nil {
			return err
		}
	}
	return nil
}
