package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shardrun/shardrun/reliability/mutants"
)

func TestJudge(t *testing.T) {
	failed := errors.New("exit status 1")
	for name, test := range map[string]struct {
		out    string
		err    error
		hangs  bool
		caught bool
		how    string
	}{
		"a test that passes finds nothing": {out: "PASS\n", how: "its test passes"},
		"a test that fails": {
			out: "--- FAIL: TestA (0.1s)\n    --- FAIL: TestA/of_x (0.1s)\n        a_test.go:1: no\nFAIL\n", err: failed,
			caught: true, how: "TestA/of_x",
		},
		"a panic": {out: "panic: deadlock: all goroutines in bubble are blocked [recovered]\n\ngoroutine 1", err: failed, caught: true, how: "panic: deadlock: all goroutines in bubble are blocked [recovered]"},
		"a test that does not end finds nothing": {
			out: "panic: test timed out after 2m0s\n\trunning tests:\n\t\tTestA (2m0s)\n", err: failed, how: "its test does not end",
		},
		"unless that is what the mutant does": {
			out: "panic: test timed out after 2m0s\n\trunning tests:\n\t\tTestA (2m0s)\n", err: failed, hangs: true,
			caught: true, how: "its test does not end",
		},
		"a program that could not run": {err: errors.New("no such file"), how: "its test ended without a verdict: no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			caught, how := judge(test.out, test.err, test.hangs)
			if caught != test.caught || how != test.how {
				t.Errorf("%v, %q; want %v, %q", caught, how, test.caught, test.how)
			}
		})
	}
}

func TestPage(t *testing.T) {
	got := page([]result{
		{mutants.Mutant{Name: "a-b", File: "x.go", Breaks: "all"}, "go test ./x -run 'TestA|TestB'", true, "TestA", time.Second},
		{mutants.Mutant{Name: "c-d", File: "y.go", Breaks: "more"}, "go test ./y -run 'TestC'", false, "its test passes", 0},
	}, "mutants", "go run x")
	for _, want := range []string{
		"2 bugs that were planted, and what found them; 1 survived. Written by `make mutants`. To see one found:\n`go run x`.",
		"| a-b | x.go | all | `go test ./x -run 'TestA\\|TestB'` | TestA | 1.0 |\n",
		"| c-d | y.go | more | `go test ./y -run 'TestC'` | **survived**: its test passes | 0.0 |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page lacks %q:\n%s", want, got)
		}
	}
}
