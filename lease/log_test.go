package lease_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// journal is a log in JSON, as a worker in production writes it.
type journal struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// Write implements io.Writer.
func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

// of has a worker write to the journal.
func (j *journal) of(c *lease.Config) {
	c.Logger = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(j), zap.DebugLevel))
}

// lines are what was written.
func (j *journal) lines() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Split(strings.TrimSpace(j.text.String()), "\n")
}

// with are the lines that have a text.
func (j *journal) with(text string) []string {
	var out []string
	for _, line := range j.lines() {
		if strings.Contains(line, text) {
			out = append(out, line)
		}
	}
	return out
}

// keysOfLine are the keys of a JSON object, as often as they stand there.
func keysOfLine(t *testing.T, line string) map[string]int {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(line))
	out := map[string]int{}
	depth, key := 0, true
	for {
		token, err := d.Token()
		if err != nil {
			return out
		}
		switch v := token.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				depth++
			} else {
				depth--
			}
		case string:
			if depth == 1 && key {
				out[v]++
				key = false
				continue
			}
		}
		key = depth == 1
	}
}

// The log of a worker's life is read by machines and at night: no line has a key twice,
// an outage is told once and with its length, and what was lost says why.
func TestTheLogOfAWorkersLife(t *testing.T) {
	var log journal
	forgetful(t, 4, func(t *testing.T, w *world, forget func()) {
		a := w.start("a", log.of, func(c *lease.Config) { c.TTL = 4 * time.Second })
		wait(2 * time.Second)
		b := w.start("b", log.of)
		wait(8 * time.Second)
		w.pause(true)
		wait(time.Second)
		w.pause(false)
		wait(5 * time.Second)
		a.gate.set(true)
		wait(10 * time.Second)
		a.gate.set(false)
		wait(15 * time.Second)
		forget()
		wait(15 * time.Second)
		b.stop()
		wait(5 * time.Second)
	})
	for _, line := range log.lines() {
		if !json.Valid([]byte(line)) {
			t.Fatalf("no JSON: %s", line)
		}
		for key, n := range keysOfLine(t, line) {
			if n > 1 {
				t.Errorf("%d times %q in %s", n, key, line)
			}
		}
		if strings.Contains(line, "lease lost: lease lost") {
			t.Errorf("a reason that is none: %s", line)
		}
	}
	for text, want := range map[string]int{
		`"msg":"hand-over"`:                                   -1,
		`"msg":"lease released","worker":"a"`:                 -1,
		`"why":"its session lapsed"`:                          2,
		`"from":"a"`:                                          2,
		`"msg":"the store confirmed no beat for almost`:       1,
		`"msg":"the store answers again"`:                     -1,
		`"msg":"save positions, will try again","worker":"a"`: 1,
		`"msg":"positions are saved again","worker":"a"`:      -1,
		`"msg":"given back what was lost"`:                    -1,
	} {
		if n := len(log.with(text)); want >= 0 && n != want || want < 0 && n == 0 {
			t.Errorf("%d lines with %s, want %d (-1 is some)", n, text, want)
		}
	}
	if t.Failed() {
		t.Log(strings.Join(log.lines(), "\n"))
	}
}

// Whoever is told that a lease was lost is told why.
func TestLostLeasesSayWhy(t *testing.T) {
	for name, test := range map[string]struct {
		lose func(t *testing.T, w *world, a *worker)
		want []string // one of them
	}{
		"reset by hand": {func(t *testing.T, w *world, _ *worker) {
			v, err := w.store.View(t.Context(), "billing")
			if err != nil {
				t.Fatal(err)
			}
			w.mu.Lock()
			clear(w.handled)
			w.mu.Unlock()
			l := v.Leases[0]
			if err := w.store.Reset(t.Context(), w.scope(), lease.Reset{Name: l.Name, Position: checkpoint.Start(), Epoch: l.Epoch, Forced: true}); err != nil {
				t.Fatal(err)
			}
		}, []string{"it was reset by hand"}},
		"out of reach": {func(_ *testing.T, _ *world, a *worker) { a.gate.set(true) },
			[]string{"the store has confirmed no beat for almost the lease time"}},
		"another of the same name": {func(_ *testing.T, w *world, _ *worker) { w.start("a") },
			[]string{lease.ErrSuperseded.Error(), "another has it"}},
	} {
		t.Run(name, func(t *testing.T) {
			watched(t, 1, func(t *testing.T, w *world, _ *lease.Memory, wit *witness) {
				var cause error
				a := w.start("a", wit.of("a"), func(c *lease.Config) {
					run := c.Run
					c.Run = func(ctx context.Context, h *lease.Held) error {
						err := run(ctx, h)
						if c := context.Cause(ctx); c != nil && cause == nil {
							cause = c
						}
						return err
					}
				})
				wait(3 * time.Second)
				test.lose(t, w, a)
				wait(5 * time.Second)
				a.gate.set(false)
				wait(5 * time.Second)
				e := wit.last("a", lease.EventLost)
				for _, err := range []error{e.Err, cause} {
					says := false
					for _, want := range test.want {
						says = says || err != nil && strings.Contains(err.Error(), want)
					}
					if !errors.Is(err, lease.ErrLost) || !says {
						t.Errorf("lost by %v, want one of %q", err, test.want)
					}
				}
			})
		})
	}
}
