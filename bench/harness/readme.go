package harness

import (
	"fmt"
	"os"
	"strings"
)

// The table in the README stands between these lines.
const (
	begin = "<!-- bench -->\n"
	end   = "<!-- /bench -->"
)

// Markdown is the report as a table for the README: the rows that have a target.
func (r Report) Markdown() string {
	var b strings.Builder
	met, targets := Tally(r.Rows)
	fmt.Fprintf(&b, "%s, %s, %s: %d of %d targets met.\n\n", r.Machine, r.Go, r.Time.Format("2006-01-02"), met, targets)
	b.WriteString("| row | target | ours | ratio | others | CPU s per 100k, client + server | peak RSS | met |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, o := range r.Rows {
		if o.Target == "" {
			continue
		}
		c := o.cells()
		for i, cell := range []string{o.Name, o.Target, c.ours, c.ratio, c.others, c.cpu, c.rss, c.met} {
			if i == 0 {
				b.WriteString("|")
			}
			fmt.Fprintf(&b, " %s |", strings.ReplaceAll(cell, "|", `\|`))
		}
		b.WriteString("\n")
	}
	if texts := notes(r.Rows); len(texts) > 0 {
		b.WriteString("\n<details><summary>Notes</summary>\n\n")
		for _, text := range texts {
			fmt.Fprintf(&b, "- %s\n", text)
		}
		b.WriteString("\n</details>\n")
	}
	return b.String()
}

// Rewrite puts the report's table between its two lines of the file at path.
func (r Report) Rewrite(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("rewrite table: %w", err)
	}
	before, rest, opened := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !opened || !closed {
		return fmt.Errorf("rewrite table: %s needs the lines %q and %q", path, strings.TrimSpace(begin), end)
	}
	whole := before + begin + r.Markdown() + end + after
	if err := os.WriteFile(path, []byte(whole), 0o644); err != nil {
		return fmt.Errorf("rewrite table: %w", err)
	}
	return nil
}
