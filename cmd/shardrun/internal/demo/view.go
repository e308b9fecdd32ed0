package demo

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/cmd/shardrun/internal/plural"
	"github.com/shardrun/shardrun/lease"
)

const (
	livePeriod  = 100 * time.Millisecond // of redrawing on a terminal
	plainPeriod = 2 * time.Second        // of progress lines elsewhere
	barWidth    = 40
)

// view shows a run: events as lines, and below them, on a terminal, a progress
// bar and a table of the shards, redrawn in place.
type view struct {
	run    *run
	start  time.Time
	stop   context.CancelFunc
	ended  chan struct{} // closed when the drawing goroutine has ended
	closed sync.Once

	mu    sync.Mutex // guards all below and the writing to cfg.Out
	drawn int        // lines of the live part on the screen
}

func newView(r *run) *view {
	ctx, stop := context.WithCancel(context.Background())
	v := &view{run: r, start: time.Now(), stop: stop, ended: make(chan struct{})}
	go v.draw(ctx) // close waits for it
	return v
}

// close takes the live part off the screen and ends the drawing.
func (v *view) close() {
	v.closed.Do(func() {
		v.stop()
		<-v.ended
		v.mu.Lock()
		defer v.mu.Unlock()
		v.write(v.erase())
	})
}

// event prints a line above the live part.
func (v *view) event(format string, args ...any) {
	line := v.line(fmt.Sprintf(format, args...))
	v.mu.Lock()
	defer v.mu.Unlock()
	v.write(v.erase() + line)
}

func (v *view) line(text string) string {
	return fmt.Sprintf("%6.1fs  %s\n", time.Since(v.start).Seconds(), text)
}

// draw redraws the live part, or prints progress now and then.
func (v *view) draw(ctx context.Context) {
	defer close(v.ended)
	period := plainPeriod
	if v.run.cfg.Live {
		period = livePeriod
	}
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !v.run.cfg.Live {
			c := v.run.history.Counts()
			v.event("sent %d, handled %d of %d", c.Acked, c.Handled, v.run.cfg.Records)
			continue
		}
		table, err := v.run.store.View(ctx, v.run.cfg.Group)
		if err != nil {
			continue // the next tick shows it
		}
		lines := v.live(table)
		v.mu.Lock()
		v.write(v.erase() + strings.Join(lines, "\n") + "\n")
		v.drawn = len(lines)
		v.mu.Unlock()
	}
}

// write shows text; what the terminal says of it changes nothing. The caller
// holds mu.
func (v *view) write(text string) { fmt.Fprint(v.run.cfg.Out, text) }

// erase is what takes the live part off the screen. The caller holds mu.
func (v *view) erase() string {
	if v.drawn == 0 {
		return ""
	}
	n := v.drawn
	v.drawn = 0
	return fmt.Sprintf("\x1b[%dA\x1b[J", n)
}

// live is the live part.
func (v *view) live(table lease.View) []string {
	c, total := v.run.history.Counts(), v.run.cfg.Records
	lines := []string{
		"",
		fmt.Sprintf("  sent    %s %6d of %d", bar(c.Acked, total), c.Acked, total),
		fmt.Sprintf("  handled %s %6d, %d of them again", bar(c.Handled, total), c.Handled, c.Repeats),
		"",
		fmt.Sprintf("  %-10s %-10s %-32s %s", "SHARD", "OWNER", "POSITION", "LAG"),
	}
	leases := slices.SortedFunc(slices.Values(table.Leases), func(a, b lease.Lease) int { return cmp.Compare(a.Name, b.Name) })
	for _, l := range leases {
		id := lease.ShardOf(l.Name)
		owner, lag := ownerOf(table, l), plural.Of(v.run.totals.lag(id), "record", "records")
		switch {
		case l.Finished():
			owner, lag = "-", "-"
		case owner == "":
			owner = "nobody"
		}
		lines = append(lines, fmt.Sprintf("  %-10s %-10s %-32s %s", short(id), owner, position(l.Position), lag))
	}
	return lines
}

// bar is a progress bar.
func bar(n, of int) string {
	full := barWidth * min(n, of) / max(of, 1)
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "]"
}

// position is a position that fits into a column: the end of a sequence number
// is what changes.
func position(p checkpoint.Position) string {
	switch {
	case p.IsEnd():
		return "end of shard"
	case p.Rank == checkpoint.RankStart:
		return "start"
	}
	digits := string(p.Sequence)
	if most := 22; len(digits) > most {
		digits = "…" + digits[len(digits)-most:]
	}
	return fmt.Sprintf("%s:%d", digits, p.Subsequence)
}
