package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/shardrun/shardrun/bench/harness"
)

func TestRowsAreComplete(t *testing.T) {
	for _, full := range []bool{false, true} {
		seen := map[string]bool{}
		check := func(r harness.Row, name, target string, met func(harness.Result) bool) {
			if seen[name] {
				t.Errorf("%s is there twice", name)
			}
			seen[name] = true
			if group, _, ok := strings.Cut(name, "/"); !ok || group != r.Group {
				t.Errorf("%s is of group %q", name, r.Group)
			}
			if r.Missing == "" && (target == "") != (met == nil) {
				t.Errorf("%s has the target %q, and what decides on it: %v", name, target, met != nil)
			}
		}
		for _, r := range rows(full) {
			check(r, r.Name, r.Target, r.Met)
			if r.Unit == "" || r.Work == "" {
				t.Errorf("%s has the unit %q and the work %q", r.Name, r.Unit, r.Work)
			}
			if r.Missing == "" && len(r.Contestants) == 0 {
				t.Errorf("%s has no contestants", r.Name)
			}
			names := map[string]bool{"": true}
			for _, c := range r.Contestants {
				names[c.Name] = true
			}
			for _, l := range append(r.Also, harness.Line{Name: r.Name, Against: r.Against, Target: r.Target, Met: r.Met}) {
				if l.Name != r.Name {
					check(r, l.Name, l.Target, l.Met)
				}
				if !names[l.Ours] || !names[l.Against] {
					t.Errorf("%s compares %q with %q, who do not take part", l.Name, l.Ours, l.Against)
				}
			}
		}
	}
}

func TestRunRefusesWhatItDoesNotKnow(t *testing.T) {
	for text, args := range map[string][]string{
		"no such row":        {"-only", "nothing"},
		"unknown argument":   {"server"},
		"not defined: -fast": {"-fast"},
	} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: error is %v, want %q", args, err, text)
		}
	}
}

func TestListShowsRowsAndTheirLines(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-list", "-only", "server"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"server/put-record-async", "server/put-record-sync", "missing: "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the list lacks %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "producer/") {
		t.Errorf("the list has rows that were not asked for:\n%s", out.String())
	}
}
