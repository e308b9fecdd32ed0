//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shardrun/shardrun/internal/history"
)

// staleSaves are the saves and completions that were sent under a token after it
// was known that a later grant had replaced it.
type staleSaves struct{ refused, accepted int }

// countStale counts them in the histories of a directory, by itself: that the
// checker of package history finds none is one thing, that there were none another.
// A release may be accepted again.
func countStale(dir string, names []string) (staleSaves, error) {
	var grants, saves []told
	for _, name := range names {
		g, s, err := toldIn(filepath.Join(dir, name))
		if err != nil {
			return staleSaves{}, err
		}
		grants, saves = append(grants, g...), append(saves, s...)
	}
	granted := map[string][]told{} // by lease
	for _, g := range grants {
		granted[g.lease] = append(granted[g.lease], g)
	}
	released := map[string]bool{} // tokens under which a release was sent
	for _, s := range saves {
		if s.release {
			released[s.token] = true
		}
	}
	var n staleSaves
	for _, s := range saves {
		if s.release && released[s.token] && s.ok || !replaced(granted[s.lease], s) {
			continue
		}
		if s.ok {
			n.accepted++
		} else {
			n.refused++
		}
	}
	return n, nil
}

// replaced reports whether somebody had been granted the lease, after the one whose
// token a save has, before the save was sent.
func replaced(grants []told, save told) bool {
	for _, own := range grants {
		if own.token != save.token {
			continue
		}
		for _, later := range grants {
			if later.token != save.token && later.began > own.answered && later.answered < save.began {
				return true
			}
		}
	}
	return false
}

// told is one lease in a call of the store that was answered.
type told struct {
	lease, token    string
	began, answered int64 // Unix nanoseconds
	release, ok     bool
}

// toldIn are the grants in the file of a history, and the saves and completions.
func toldIn(name string) (grants, saves []told, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, nil, err
	}
	type event struct {
		At   int64 `json:"at"`
		Call *struct {
			No int `json:"no"`
			history.StoreCall
		} `json:"call"`
		Answer *struct {
			Call    int              `json:"call"`
			Results []history.Result `json:"results"`
		} `json:"answer"`
	}
	calls := map[int]event{}
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			continue // a process that was killed left it, and checkWhole knows of others
		}
		if e.Call != nil {
			calls[e.Call.No] = e
		}
		if e.Answer == nil {
			continue
		}
		began := calls[e.Answer.Call]
		if began.Call == nil {
			continue
		}
		for i, item := range began.Call.Items[:min(len(began.Call.Items), len(e.Answer.Results))] {
			res := e.Answer.Results[i]
			t := told{lease: item.Lease, token: item.Token, began: began.At, answered: e.At, release: item.Release, ok: res.Err == ""}
			switch began.Call.Op {
			case history.OpAcquire:
				if t.ok {
					t.token = res.Token
					grants = append(grants, t)
				}
			case history.OpSave, history.OpComplete:
				saves = append(saves, t)
			}
		}
	}
	return grants, saves, nil
}

func TestStaleSavesAreCounted(t *testing.T) {
	const (
		grant   = `{"n":1,"at":%,"call":{"no":#,"actor":"w","op":"acquire","items":[{"lease":"l","token":"T"}]}}{"n":2,"at":&,"answer":{"call":#,"results":[{"token":"T","epoch":1}]}}`
		save    = `{"n":3,"at":%,"call":{"no":#,"actor":"w","op":"save","items":[{"lease":"l","token":"T"}]}}{"n":4,"at":&,"answer":{"call":#,"results":[{}]}}`
		refused = `{"n":3,"at":%,"call":{"no":#,"actor":"w","op":"save","items":[{"lease":"l","token":"T"}]}}{"n":4,"at":&,"answer":{"call":#,"results":[{"err":"fenced"}]}}`
		release = `{"n":3,"at":%,"call":{"no":#,"actor":"w","op":"save","items":[{"lease":"l","token":"T","release":true}]}}{"n":4,"at":&,"answer":{"call":#,"results":[{}]}}`
	)
	// call is a call under a token that was sent at one time and answered at another.
	call := func(what, token, no, began, answered string) string {
		return strings.NewReplacer("}}{", "}}\n{", "T", token, "#", no, "%", began, "&", answered).Replace(what) + "\n"
	}
	for name, test := range map[string]struct {
		calls []string
		want  staleSaves
	}{
		"under the last grant":             {[]string{call(grant, "a", "1", "1", "2"), call(grant, "b", "2", "3", "4"), call(save, "b", "3", "5", "6")}, staleSaves{}},
		"accepted after another grant":     {[]string{call(grant, "a", "1", "1", "2"), call(grant, "b", "2", "3", "4"), call(save, "a", "3", "5", "6")}, staleSaves{accepted: 1}},
		"refused after another grant":      {[]string{call(grant, "a", "1", "1", "2"), call(grant, "b", "2", "3", "4"), call(refused, "a", "3", "5", "6")}, staleSaves{refused: 1}},
		"sent before the answer":           {[]string{call(grant, "a", "1", "1", "2"), call(grant, "b", "2", "3", "5"), call(save, "a", "3", "4", "6")}, staleSaves{}},
		"a release that is accepted again": {[]string{call(grant, "a", "1", "1", "2"), call(grant, "b", "2", "3", "4"), call(release, "a", "3", "5", "6")}, staleSaves{}},
		"a line that was cut off":          {[]string{call(grant, "a", "1", "1", "2"), call(grant, "b", "2", "3", "4"), call(save, "a", "3", "5", "6"), `{"n":9,"a`}, staleSaves{accepted: 1}},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "h"), []byte(strings.Join(test.calls, "")), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := countStale(dir, []string{"h"}); err != nil || got != test.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, test.want)
		}
	}
}
