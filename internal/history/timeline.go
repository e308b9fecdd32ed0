package history

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// View says what a timeline shows.
type View struct {
	// Only selects the lines that it matches, without their times; violations are
	// shown in any case. Defaults to all.
	Only *regexp.Regexp
	// Verdict is the judgement of the history: the violations that it describes are
	// marked where they came to light, and those that are about no event are at
	// the end. Defaults to none.
	Verdict Verdict
}

// Timeline writes the history for a person: a line an event, with the time since
// the first, who it is about, and what happened. Of sequence numbers and epochs it
// shows as many of the last digits as tell them apart.
func (h *History) Timeline(w io.Writer) error { return h.Show(w, View{}) }

// Show is Timeline for who looks for something.
func (h *History) Show(w io.Writer, v View) error {
	t := h.snapshot()
	broken := map[int][]Violation{}
	for _, x := range v.Verdict.Violations {
		broken[x.Event] = append(broken[x.Event], x)
	}
	out := bufio.NewWriter(w)
	b := describer{t: t, begin: startOf(t.events), seq: ending(t.seqs.texts), epoch: ending(t.epochs())}
	mark := func(time string, violations []Violation) {
		for _, x := range violations {
			fmt.Fprintf(out, "%12s  %-14s %s %s\n", time, "VIOLATION", x.Rule, b.line(x.Text))
		}
	}
	for e, ev := range t.events {
		b.actor, b.text = b.actor[:0], b.text[:0]
		b.describe(ev)
		line := fmt.Sprintf("%-14s %s%s", b.actor, b.line(string(b.text)), t.numbered(e))
		if v.Only == nil || v.Only.MatchString(line) {
			fmt.Fprintf(out, "%12s  %s\n", elapsed(ev.at-b.begin), line)
		}
		mark(elapsed(ev.at-b.begin), broken[e+1])
	}
	mark("", broken[0])
	return out.Flush()
}

// startOf is when the first event was.
func startOf(events []event) int64 {
	if len(events) == 0 {
		return 0
	}
	return events[0].at
}

var (
	// oneLine keeps a text with several lines in one.
	oneLine = strings.NewReplacer("\r\n", "; ", "\n", "; ")
	// sequence is a sequence number in a text, or the end of one.
	sequence = regexp.MustCompile(`\d{50,}|…\d{16}\b`)
	// epochWord is an epoch in a text.
	epochWord = regexp.MustCompile(`\bepoch \d+`)
)

// line is a text as the timeline shows it.
func (b *describer) line(text string) string {
	text = sequence.ReplaceAllStringFunc(oneLine.Replace(text), b.seq)
	return epochWord.ReplaceAllStringFunc(text, func(s string) string {
		return "epoch " + b.epoch(strings.TrimPrefix(s, "epoch "))
	})
}

// epochs are those of all tenures.
func (t *trace) epochs() []string {
	var out []string
	for _, a := range t.answers {
		for _, r := range a.results {
			out = append(out, strconv.FormatUint(r.Epoch, 10))
		}
	}
	return out
}

// ending gives a function that shows as many of the last characters of a text, at
// least four, as tell texts apart.
func ending(texts []string) func(string) string {
	texts = slices.Compact(slices.Sorted(slices.Values(texts)))
	n := 4
	for seen := map[string]struct{}{}; ; n++ {
		clear(seen)
		long := false
		for _, s := range texts {
			long = long || len(s) > n
			seen[s[max(0, len(s)-n):]] = struct{}{}
		}
		if !long || len(seen) == len(texts) {
			break
		}
	}
	return func(s string) string {
		if len(s) <= n+1 {
			return s
		}
		return "…" + s[len(s)-n:]
	}
}

// numbered names the put that an event begins or ends, so that the two can be
// found.
func (t *trace) numbered(e int) string {
	ev := t.events[e]
	switch ev.kind {
	case kindPut:
		return fmt.Sprintf(" #%d", ev.i)
	case kindEnd:
		return fmt.Sprintf(" #%d", t.ends[ev.i].put)
	default:
		return ""
	}
}

// Digest is a sum of the whole history that is equal for equal runs: events of
// one instant are put in an order of their own, and what is drawn at random,
// tokens and the texts of errors, is left out, and so is what actors log.
func (h *History) Digest() string {
	t := h.snapshot()
	events := slices.DeleteFunc(slices.Clone(t.events), func(e event) bool { return e.kind == kindNote && t.notes[e.i].log })
	b := describer{t: t, begin: startOf(events), seq: strings.Clone, epoch: strings.Clone, whole: true}
	sum := sha256.New()
	for from := 0; from < len(events); {
		to := from
		var lines [][]byte
		for ; to < len(events) && events[to].at == events[from].at; to++ {
			b.actor, b.text = b.actor[:0], b.text[:0]
			b.describe(events[to])
			lines = append(lines, slices.Concat(b.actor, []byte{0}, b.text, []byte{'\n'}))
		}
		slices.SortFunc(lines, bytes.Compare)
		fmt.Fprintf(sum, "%d\n", events[from].at-b.begin)
		for _, l := range lines {
			sum.Write(l)
		}
		from = to
	}
	return hex.EncodeToString(sum.Sum(nil))
}
