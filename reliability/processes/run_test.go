//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/shardrun/shardrun/internal/history"
)

// A short run: every kind of process is killed at least once, under load, and
// nothing is lost, reordered or made up. Then one handled record is struck out of
// the histories, and the checker misses it.
func TestAShortRun(t *testing.T) {
	cfg := config{
		duration: 7 * time.Second, seed: 3, workers: 3, producers: 2, shards: 2, rate: 100, ttl: 700 * time.Millisecond,
		redisServer: redisServer(), programs: programs(t), every: 2 * time.Second,
	}.withDefaults()
	if err := cfg.validate(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var progress, text bytes.Buffer
	o, err := execute(t.Context(), cfg, dir, &progress)
	if err != nil {
		logAll(t, dir)
		t.Fatal(err)
	}
	o.print(&text, cfg)
	t.Log(text.String())
	if !o.ok() {
		logAll(t, dir)
		if err := o.history.Timeline(&text); err != nil {
			t.Error(err)
		}
		t.Fatalf("violations:\n%s", text.String())
	}
	if line := regexp.MustCompile(`(?m)^[46]s of 7s: \d{3,} records acknowledged, \d{3,} handled .*; \d+ kills, .*; 0 failures so far$`); !line.Match(progress.Bytes()) {
		t.Errorf("how far it is was not told:\n%s", progress.String())
	}
	if o.counts.Kills < 3 || o.counts.Reshards < 1 {
		t.Errorf("%d kills and %d reshards: the nemesis slept", o.counts.Kills, o.counts.Reshards)
	}
	if o.verdict.Sent < 200 || o.verdict.Handled != o.verdict.Sent {
		t.Errorf("%d records acknowledged, %d handled", o.verdict.Sent, o.verdict.Handled)
	}

	// Judged again by its files it is the same run.
	var again bytes.Buffer
	if err := command(t.Context(), []string{"-check", dir}, &again, io.Discard); err != nil || again.String() != text.String() {
		t.Errorf("judged again: %v\n%s\nwant\n%s", err, again.String(), text.String())
	}

	// What it left is counted, so that what is taken out is missed.
	worker := filepath.Join(dir, "worker-1.1"+historySuffix)
	whole, err := os.ReadFile(worker)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(worker, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := command(t.Context(), []string{"-check", dir}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "are missing") {
		t.Errorf("judged again with half of a history: %v", err)
	}
	if err := os.WriteFile(worker, whole, 0o600); err != nil {
		t.Fatal(err)
	}

	strikeOut(t, dir)
	again.Reset()
	err = command(t.Context(), []string{"-check", dir}, &again, io.Discard)
	if !errors.Is(err, errViolated) || !strings.Contains(again.String(), "VIOLATIONS\n  H1 ") {
		t.Errorf("judged again without a record: %v\n%s", err, again.String())
	}
	names, err := findHistories(dir)
	if err != nil {
		t.Fatal(err)
	}
	h, err := readHistories(dir, names)
	if err != nil {
		t.Fatal(err)
	}
	v := h.Check(history.Options{TTL: cfg.ttl, Partial: history.Without(history.H1)})
	if v.Lost != 1 || v.Broken[history.H1] == 0 { // a save was ahead of it, perhaps
		t.Errorf("a record that nobody handled is not missed: %v", v)
	}
}

// Each thing that is done to Redis, to the way there, and to workers that hold
// leases, is done at least once.
func TestAShortRunOfEachAbuse(t *testing.T) {
	for name, test := range map[string]struct {
		only                    []string
		lasts                   time.Duration
		losses, cuts, failovers int // at least
	}{
		"one server": {
			only: []string{
				"kill redis always", "kill redis everysec", "kill redis none", "flush redis", "delete redis key", "hold worker long",
				"cut worker refused", "cut worker black hole", "cut worker half open",
			},
			lasts: 6 * time.Second, losses: 3, cuts: 3,
		},
		"a sentinel set": {only: []string{"fail over redis"}, lasts: 5 * time.Second, losses: 1, failovers: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config{
				duration: test.lasts, seed: 5, workers: 3, producers: 1, shards: 2, rate: 60, ttl: 500 * time.Millisecond, only: test.only,
				redisServer: redisServer(), programs: programs(t),
			}.withDefaults()
			if err := cfg.validate(); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			o, err := execute(t.Context(), cfg, dir, io.Discard)
			if err != nil {
				logAll(t, dir)
				t.Fatal(err)
			}
			var text bytes.Buffer
			o.print(&text, cfg)
			t.Log(text.String())
			if !o.ok() {
				logAll(t, dir)
				t.Error("violations")
			}
			if c := o.counts; c.Losses < test.losses || c.Cuts < test.cuts || c.Failovers < test.failovers || o.verdict.Handled < 100 {
				t.Errorf("%v: the nemesis slept", c)
			}
		})
	}
}

// strikeOut takes the handling of one acknowledged record out of all histories, and
// leaves notes where it stood: they have all their events, as far as one can tell.
func strikeOut(t *testing.T, dir string) {
	t.Helper()
	type id struct {
		Seq string `json:"seq"`
		Sub uint64 `json:"sub"`
	}
	type line struct {
		N   int   `json:"n"`
		At  int64 `json:"at"`
		End *struct {
			Acked bool `json:"acked"`
			ID    id   `json:"id"`
		} `json:"end"`
		Handled *struct {
			ID id `json:"id"`
		} `json:"handled"`
	}
	var victim id
	names, err := filepath.Glob(filepath.Join(dir, "*"+historySuffix))
	if err != nil {
		t.Fatal(err)
	}
	each := func(name string, f func(line) (keep bool)) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		for text := range strings.Lines(string(b)) {
			var l line
			if err := json.Unmarshal([]byte(text), &l); err == nil && !f(l) { // an unfinished line stays
				text = fmt.Sprintf("{\"n\":%d,\"at\":%d,\"note\":{}}\n", l.N, l.At)
			}
			out.WriteString(text)
		}
		if err := os.WriteFile(name, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		each(name, func(l line) bool {
			if l.End != nil && l.End.Acked && victim == (id{}) {
				victim = l.End.ID
			}
			return true
		})
	}
	for _, name := range names {
		each(name, func(l line) bool { return l.Handled == nil || l.Handled.ID != victim })
	}
}

// logAll shows the ends of what the processes logged.
func logAll(t *testing.T, dir string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s:\n%s", filepath.Base(name), b[max(0, len(b)-2000):])
	}
}

// A worker that is asked to end may leave work undone while the nemesis has Redis;
// when nobody has, that is a failure. However it ended, it is told of once, and
// there is another life.
func TestAWorkerThatLeavesWorkUndone(t *testing.T) {
	for name, test := range map[string]struct {
		script              string
		inTorment, inTheEnd bool // it is a failure
		told                string
	}{
		"ends in peace":    {"trap 'exit 0' TERM", false, false, "stopped"},
		"cannot save":      {"trap 'exit 3' TERM", false, true, "stopped"},
		"fails altogether": {"trap 'exit 1' TERM", true, true, "crashed"},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := sleeper(t, test.script+"; touch ready; while :; do sleep 0.01; done")
			trapped(p)
			var lines bytes.Buffer
			r := &run{history: history.NewRecorder(&lines), fleet: &fleet{}}
			if err := p.start(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.abuse(t.Context(), p, fault{do: actDrain})
			if told := r.fleet.unexpected(); (len(told) > 0) != test.inTorment {
				t.Errorf("in the torment: %q", told)
			}
			if !strings.Contains(lines.String(), test.told) {
				t.Errorf("the history says %s, want %s", lines.String(), test.told)
			}
			if _, lives := p.life(); !p.up() || lives != 2 {
				t.Errorf("up: %v in its life %d", p.up(), lives)
			}
			if err := r.drain(p); (err != nil) != test.inTheEnd {
				t.Errorf("in the end: %v", err)
			}
			if err := r.drain(p); err != nil {
				t.Errorf("told again: %v", err)
			}
		})
	}
}

// A process that ends by itself is told of, and starts again at the next turn of
// the nemesis, as often as it takes.
func TestAProcessThatEndedIsRevived(t *testing.T) {
	var lines bytes.Buffer
	r := &run{history: history.NewRecorder(&lines)}
	r.fleet = &fleet{crashed: func(actor string) { r.history.Crashed(actor) }}
	p := newProcess("worker-1", t.TempDir(), func(_ *process, life int) *exec.Cmd {
		if life < 3 {
			return exec.Command("sh", "-c", "exit 7")
		}
		return exec.Command("sleep", "60")
	}, func(context.Context, int) error { return nil }, r.fleet.died)
	t.Cleanup(p.kill)
	r.fleet.server, r.fleet.redis, r.fleet.workers = p, p, []*process{p}
	if err := r.start(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		l, lives := p.life()
		if lives == 3 && p.up() {
			break
		}
		if lives < 3 {
			<-l.ended
		}
		r.revive(t.Context())
		r.faults.Wait()
		if time.Now().After(deadline) {
			t.Fatalf("it is in life %d", lives)
		}
	}
	if told := r.fleet.unexpected(); len(told) != 1 || !strings.Contains(told[0], "exit status 7 (2 times)") {
		t.Errorf("told of %q", told)
	}
	if n := strings.Count(lines.String(), `"crashed"`); n != 2 {
		t.Errorf("%d crashes in the history:\n%s", n, lines.String())
	}
}

// What a history is told of a Redis that was killed: nothing when its file has all,
// else since when it knows nothing.
func TestWhatRedisLoses(t *testing.T) {
	const atOnce = "all that a Redis without a file was told, when it is killed once more at once"
	kills := time.Unix(1000, 0)
	at := func(n int) time.Time { return kills.Add(time.Duration(n) * time.Minute) }
	for name, test := range map[string]struct {
		modes []redisMode // after each kill; the first is always
		what  string      // is lost in the last kill
		since time.Time
	}{
		"nothing of a file that is always synced": {modes: []redisMode{redisEverysec}},
		"the writes that were put off":            {[]redisMode{redisEverysec, redisAlways}, "suffix", at(1).Add(-putOff)},
		"all without a file":                      {[]redisMode{redisNone}, "all", time.Time{}},
		atOnce:                                    {[]redisMode{redisNone, redisEverysec, redisAlways}, "suffix", at(0)},
		"all that is newer than its file":         {[]redisMode{redisNone, redisNone, redisEverysec}, "suffix", at(0)},
	} {
		t.Run(name, func(t *testing.T) {
			var lines bytes.Buffer
			r := &run{fleet: &fleet{mode: redisAlways}, history: history.NewRecorder(&lines)}
			for i, mode := range test.modes {
				lines.Reset()
				r.changeRedis(at(i), mode)
				r.restarted = at(i)
				if name == atOnce {
					r.restarted = at(i + 1)
				}
			}
			told, _, _ := strings.Cut(lines.String(), "\n")
			var want bytes.Buffer
			if test.what != "" {
				history.NewRecorder(&want).StoreLost(test.what, test.since)
			}
			// All but the time of the telling.
			lost := func(s string) string { _, l, _ := strings.Cut(s, `"lost"`); return strings.TrimSpace(l) }
			if lost(told) != lost(want.String()) {
				t.Errorf("told %q, want %q", lost(told), lost(want.String()))
			}
		})
	}
}
