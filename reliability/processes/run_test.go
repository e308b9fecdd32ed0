//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
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
		redisServer: redisServer(),
	}.withDefaults()
	if err := cfg.validate(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	o, err := execute(t.Context(), cfg, dir)
	if err != nil {
		logAll(t, dir)
		t.Fatal(err)
	}
	var text bytes.Buffer
	o.print(&text, cfg)
	t.Log(text.String())
	if !o.ok() {
		logAll(t, dir)
		if err := o.history.Timeline(&text); err != nil {
			t.Error(err)
		}
		t.Fatalf("violations:\n%s", text.String())
	}
	if o.counts.kills < 3 || o.counts.reshards < 1 {
		t.Errorf("%d kills and %d reshards: the nemesis slept", o.counts.kills, o.counts.reshards)
	}
	if o.verdict.Sent < 200 || o.verdict.Handled != o.verdict.Sent {
		t.Errorf("%d records acknowledged, %d handled", o.verdict.Sent, o.verdict.Handled)
	}

	strikeOut(t, dir)
	h, err := readHistories(dir)
	if err != nil {
		t.Fatal(err)
	}
	v := h.Check(history.Options{TTL: cfg.ttl, Partial: history.Without(history.H1)})
	if v.Lost != 1 || v.Broken[history.H1] != 1 {
		t.Errorf("a record that nobody handled is not missed: %v", v)
	}
}

// strikeOut takes the handling of one acknowledged record out of all histories.
func strikeOut(t *testing.T, dir string) {
	t.Helper()
	type id struct {
		Seq string `json:"seq"`
		Sub uint64 `json:"sub"`
	}
	type line struct {
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
			if err := json.Unmarshal([]byte(text), &l); err != nil || f(l) { // an unfinished line stays
				out.WriteString(text)
			}
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
