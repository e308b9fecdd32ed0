package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// timedOut is what a test program prints when it takes too long.
const timedOut = "panic: test timed out after"

// judge says whether a test program found the mutant, by its output and its end.
func judge(out string, err error, hangs bool) (caught bool, how string) {
	switch {
	case err == nil:
		return false, "its test passes"
	case strings.Contains(out, timedOut) || strings.Contains(err.Error(), "killed"):
		return hangs, "its test does not end"
	}
	if f := failures(out); len(f) > 0 {
		return true, deepest(f)
	}
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return true, strings.TrimSpace(line)
		}
	}
	return false, fmt.Sprintf("its test ended without a verdict: %v", err)
}

// failures are the names of the tests that failed.
func failures(out string) []string {
	var names []string
	for _, m := range failedTest.FindAllStringSubmatch(out, -1) {
		if !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	return names
}

// deepest is the first of the failed tests that has no failed sub-test.
func deepest(names []string) string {
	for _, n := range names {
		if !slices.ContainsFunc(names, func(o string) bool { return strings.HasPrefix(o, n+"/") }) {
			return n
		}
	}
	return names[0]
}

// page is the gallery as a page of Markdown. How it was made is told by the make
// target and the command to see one catch.
func page(results []result, target, command string) string {
	var b strings.Builder
	survived := 0
	for _, r := range results {
		if !r.caught {
			survived++
		}
	}
	fmt.Fprintf(&b, `# The mutant gallery

%d bugs that were planted, and what found them; %d survived. Written by `+"`make %s`"+`. To see one found:
`+"`%s`"+`.

| mutant | file | what it breaks | hunted with | caught by | seconds |
| --- | --- | --- | --- | --- | ---: |
`, len(results), survived, target, command)
	for _, r := range results {
		fmt.Fprintf(&b, "| %s | %s | %s | `%s` | %s | %.1f |\n", r.mutant.Name, r.mutant.File, r.mutant.Breaks,
			escape(r.command), escape(caughtBy(r)), r.took.Seconds())
	}
	return b.String()
}

func caughtBy(r result) string {
	if r.caught {
		return r.how
	}
	return "**survived**: " + r.how
}

// escape keeps a text within its cell.
func escape(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
