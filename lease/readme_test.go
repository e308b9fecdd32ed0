package lease_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The README tells what lines of the log mean. They are as they are logged.
func TestTheReadmeQuotesTheLog(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(readme), "| log line |")
	if !found {
		t.Fatal("the README has no table of log lines")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	var code strings.Builder
	for _, dir := range []string{".", "redis", "../consumer"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			code.Write(text)
		}
	}
	quotes := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1)
	if len(quotes) < 10 {
		t.Errorf("%d lines are quoted", len(quotes))
	}
	for _, q := range quotes {
		logged := regexp.MustCompile(`\.(Info|Warn|Error)\("` + regexp.QuoteMeta(q[1]) + `"`)
		if !logged.MatchString(code.String()) {
			t.Errorf("nothing logs %q", q[1])
		}
	}
}
