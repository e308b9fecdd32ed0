package ledger

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The lines between which the table stands in a Markdown file.
const (
	begin = "<!-- reliability -->"
	end   = "<!-- /reliability -->"
)

// Table is the total as a table in Markdown, a line for each suite.
func (l *Ledger) Table() string {
	var b strings.Builder
	b.WriteString("| suite | runs | failed | in all | last run | with |\n| --- | ---: | ---: | --- | --- | --- |\n")
	for _, e := range l.Suites {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", e.Suite, grouped(e.Runs), grouped(e.Failures), amounts(e.Counts), e.Last, e.Go)
	}
	return b.String()
}

// amounts lists counts by unit.
func amounts(counts map[string]uint64) string {
	var out []string
	for _, unit := range slices.Sorted(maps.Keys(counts)) {
		n := counts[unit]
		if what, ok := strings.CutSuffix(unit, "seconds"); ok {
			out = append(out, duration(n, what))
			continue
		}
		out = append(out, grouped(n)+" "+unit)
	}
	return strings.Join(out, ", ")
}

// duration writes seconds in the unit that a person would: "45 seconds",
// "3.4 minutes", "1,500.5 hours", with what they are of before the unit.
func duration(seconds uint64, what string) string {
	switch {
	case seconds < 60:
		return fmt.Sprintf("%d %sseconds", seconds, what)
	case seconds < 3600:
		return tenths(seconds, 60) + " " + what + "minutes"
	default:
		return tenths(seconds, 3600) + " " + what + "hours"
	}
}

// tenths is n in units of per, cut to a tenth.
func tenths(n, per uint64) string {
	return fmt.Sprintf("%s.%d", grouped(n/per), n%per*10/per)
}

// grouped writes a number with commas.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Put puts a table between the marker lines of a text.
func Put(text, table string) (string, error) {
	before, rest, ok := strings.Cut(text, begin+"\n")
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return "", fmt.Errorf("the lines %s and %s are missing", begin, end)
	}
	return before + begin + "\n" + table + end + after, nil
}
