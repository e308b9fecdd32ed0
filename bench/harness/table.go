package harness

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"
)

// none stands where there is no figure.
const none = "–"

// Format shows a value with three significant digits, thousands in groups, and
// its unit.
func Format(value float64, unit string) string {
	if math.IsNaN(value) {
		return none
	}
	return strings.TrimSpace(number(value) + " " + unit)
}

func number(v float64) string {
	if v == 0 {
		return "0"
	}
	digits := 2 - int(math.Floor(math.Log10(math.Abs(v)))) // behind the point
	if digits > 0 {
		return fmt.Sprintf("%.*f", min(digits, 6), v)
	}
	unit := math.Pow10(-digits)
	text := fmt.Sprintf("%.0f", math.Round(v/unit)*unit)
	sign := ""
	if v < 0 {
		sign, text = "-", text[1:]
	}
	var groups []string
	for len(text) > 3 {
		groups = append(groups, text[len(text)-3:])
		text = text[:len(text)-3]
	}
	groups = append(groups, text)
	slices.Reverse(groups)
	return sign + strings.Join(groups, ",")
}

// cells are the columns of a line, after its name and target.
type cells struct {
	ours, others, ratio, cpu, rss, met string
}

func (o Outcome) cells() cells {
	c := cells{ours: none, others: none, ratio: none, cpu: none, rss: none, met: "no"}
	switch {
	case o.Missing != "":
		c.ours = "missing"
	case o.Error != "":
		c.ours = "error"
	case o.Ours != nil:
		c.ours = Format(*o.Ours, o.Unit)
	}
	switch {
	case o.Met:
		c.met = "yes"
	case o.Target == "":
		c.met = none
	}
	c.met += noise(o.Noisy)
	var others []string
	for _, name := range o.Order {
		value, ok := o.Peers[name]
		text := none
		if ok {
			text = number(value)
		}
		if o.Details[name].Published != "" {
			text += "*"
		}
		others = append(others, name+" "+text)
	}
	if len(others) > 0 {
		c.others = strings.Join(others, " · ")
	}
	if o.Ratio != nil {
		c.ratio = fmt.Sprintf("%s × %s", number(*o.Ratio), o.Against)
	}
	if o.Missing != "" {
		return c
	}
	ours := o.Details[o.OursName]
	if !ours.CPU.Zero() {
		c.cpu = ours.CPU.String()
		if other := o.Details[o.Against].CPU; !other.Zero() {
			c.cpu += " (" + o.Against + " " + other.String() + ")"
		}
	}
	if ours.PeakRSS > 0 {
		c.rss = fmt.Sprintf("%.0f MiB", float64(ours.PeakRSS)/(1<<20))
	}
	return c
}

// String shows the seconds of the client and of the server.
func (c CPU) String() string { return number(c.Client) + " + " + number(c.Server) }

// Print writes the table for a terminal, a part for each group, and what is to
// be said about it below.
func Print(w io.Writer, outcomes []Outcome) error {
	for _, group := range groups(outcomes) {
		fmt.Fprintf(w, "\n%s\n", strings.ToUpper(group))
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "row\ttarget\tours\tratio\tothers\tCPU s/100k\tpeak RSS\tmet")
		for _, o := range outcomes {
			if o.Group != group {
				continue
			}
			c := o.cells()
			target := o.Target
			if target == "" {
				target = none
			}
			fmt.Fprintln(t, strings.Join([]string{o.Name, target, c.ours, c.ratio, c.others, c.cpu, c.rss, c.met}, "\t"))
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	met, targets := Tally(outcomes)
	fmt.Fprintf(w, "\n%d of %d targets met. Ratio is ours divided by the other's. CPU is of client + server, in seconds per 100,000 records; peak RSS is the server's, or the worker's.\n", met, targets)
	for _, note := range notes(outcomes) {
		fmt.Fprintf(w, "  %s\n", note)
	}
	return nil
}

// Tally counts the lines with a target, and those of them that met it.
func Tally(outcomes []Outcome) (met, targets int) {
	for _, o := range outcomes {
		if o.Target != "" {
			targets++
		}
		if o.Met {
			met++
		}
	}
	return met, targets
}

// groups are the groups in the order of their first rows.
func groups(outcomes []Outcome) []string {
	var names []string
	for _, o := range outcomes {
		if !slices.Contains(names, o.Group) {
			names = append(names, o.Group)
		}
	}
	return names
}

// notes are what the lines say below the table, each text once.
func notes(outcomes []Outcome) []string {
	var texts []string
	say := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	var disturbed []string
	for _, o := range outcomes {
		if o.Noisy {
			disturbed = append(disturbed, o.Name)
		}
	}
	if len(disturbed) > 0 {
		say("noisy: other programs used the processors during runs that count, so these are to be measured again: -only %s", strings.Join(disturbed, ","))
	}
	for _, o := range outcomes {
		if o.Missing != "" {
			say("%s: %s", o.Name, o.Missing)
		}
		if o.Error != "" {
			say("%s: error: %s", o.Name, oneLine(o.Error))
		}
		if o.Note != "" {
			say("%s: %s", o.Name, o.Note)
		}
		for _, name := range o.Order {
			if s := o.Details[name]; s.Published != "" {
				say("* %s: not measured here; %s", name, s.Published)
			} else if reason := o.Out[name]; reason != "" {
				say("%s of %s: %s", name, o.Name, oneLine(reason))
			}
		}
	}
	return texts
}

// oneLine shortens a message to a line of a sensible length.
func oneLine(text string) string {
	text = strings.Join(strings.FieldsFunc(text, unicode.IsControl), " ")
	if r := []rune(text); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return text
}
