package history

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// show is the timeline of a tale, line by line, and its digest.
func show(t *testing.T, only string, tell func(l *tale)) (lines []string, digest string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newTale()
		tell(l)
		v := View{Verdict: l.Check(Options{TTL: 8 * time.Second, Beat: 2 * time.Second, Lag: 20 * time.Second})}
		if only != "" {
			v.Only = regexp.MustCompile(only)
		}
		var b strings.Builder
		if err := l.Show(&b, v); err != nil {
			t.Fatal(err)
		}
		lines, digest = strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n"), l.Digest()
	})
	return lines, digest
}

// index is the only line with a text.
func index(t *testing.T, lines []string, text string) int {
	t.Helper()
	at := -1
	for i, l := range lines {
		if !strings.Contains(l, text) {
			continue
		}
		if at >= 0 {
			t.Fatalf("lines %d and %d have %q:\n%s", at, i, text, strings.Join(lines, "\n"))
		}
		at = i
	}
	if at < 0 {
		t.Fatalf("no line has %q:\n%s", text, strings.Join(lines, "\n"))
	}
	return at
}

// A violation stands behind the event at which it came to light, or at the end.
func TestViolationsAreMarked(t *testing.T) {
	for name, c := range map[string]struct {
		tell      func(l *tale)
		violation string // its beginning
		event     string // the end of the line before it; "" for the end of all
	}{
		"of a delivery": {func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 1)
			l.does("one", "a", 0)
			l.done()
		}, "VIOLATION      H3 one on a epoch 1 delivers 13:0, and skips 1 records", `is given 13:0 of a, epoch 1 key "y"`},
		"of a save": {func(l *tale) {
			l.puts("a", "x")
			l.acquires("one", "a", checkpoint.Start())
			l.saves("one", "a", 0)
			l.does("one", "a", 0)
			l.done()
		}, "VIOLATION      H1 save of one on a at 12:0", "calls save a at 12:0"},
		"of a loss": {func(l *tale) {
			l.puts("a", "x", "y")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0)
			l.done(l.owner("a", "one", l.after(0)))
		}, "VIOLATION      H1 lost: put 1", `acknowledged: key "y" as 13:0 in a #1`},
		"of nothing that was told": {func(l *tale) {
			l.puts("a", "x")
			l.acquires("one", "a", checkpoint.Start())
			l.does("one", "a", 0)
			l.stream.Shards[0].EndHashKey = "7"
			l.done()
		}, "              VIOLATION      H7 open shards", ""},
	} {
		t.Run(name, func(t *testing.T) {
			lines, _ := show(t, "", c.tell)
			at := index(t, lines, c.violation)
			if c.event == "" {
				if behind := lines[at:]; !strings.Contains(behind[len(behind)-1], "VIOLATION") {
					t.Errorf("%q is not at the end:\n%s", c.violation, strings.Join(lines, "\n"))
				}
				return
			}
			for at--; strings.Contains(lines[at], "VIOLATION"); at-- {
			}
			if !strings.HasSuffix(lines[at], c.event) {
				t.Errorf("%q is behind %q, want %q", c.violation, lines[at], c.event)
			}
		})
	}
}

func TestTimelineSelects(t *testing.T) {
	lines, _ := show(t, "y", func(l *tale) {
		l.puts("a", "x", "y")
		l.acquires("one", "a", checkpoint.Start())
		l.does("one", "a", 0)
		l.done(l.owner("a", "one", l.after(0)))
	})
	for _, l := range lines {
		if !strings.Contains(l, "y") && !strings.Contains(l, "VIOLATION") {
			t.Errorf("shows %q", l)
		}
	}
	index(t, lines, "VIOLATION      H1 lost: put 1")
	index(t, lines, `puts key "y" #1`)
}

// Of long numbers a timeline shows what tells them apart, and of texts one line.
func TestTimelineIsShort(t *testing.T) {
	const front = "49667755665566556655665566556655665566556655"
	lines, _ := show(t, "", func(l *tale) {
		for i := range 3 {
			l.Acked(l.Put(Put{Producer: "p", Key: "k"}), "a", ID{Sequence: fmt.Sprintf("%s%05d34567890", front, i)})
		}
		l.Note("nemesis", "%v, and %s0000234567890", errors.Join(errors.New("one"), errors.New("two")), front)
		l.Answered(l.Began(StoreCall{Actor: "w", Op: OpAcquire, Items: []Item{{Lease: "a"}}}), []Result{{Epoch: 946684800108399}}, nil)
	})
	for i := range 3 {
		index(t, lines, fmt.Sprintf(`key "k" as …%d34567890:0 in a`, i))
	}
	index(t, lines, "one; two, and …234567890")
	index(t, lines, "granted with epoch …8399 at")
}

// What is logged is in the timeline, and changes no digest.
func TestLogged(t *testing.T) {
	digest := func(logs bool) (d string, lines []string) {
		synctest.Test(t, func(t *testing.T) {
			h := New()
			log := func(text string) {
				if logs {
					h.Logged("w", text)
				}
			}
			log("INFO begins")
			time.Sleep(time.Second)
			h.Started("w")
			log("INFO goes on")
			time.Sleep(time.Second)
			h.StoreLost("suffix", time.Now().Add(-time.Second))
			d = h.Digest()
			var b strings.Builder
			if err := h.Timeline(&b); err != nil {
				t.Fatal(err)
			}
			lines = strings.Split(b.String(), "\n")
		})
		return d, lines
	}
	without, _ := digest(false)
	with, lines := digest(true)
	if with != without {
		t.Errorf("digest %s, and %s with logs", without, with)
	}
	index(t, lines, "w              INFO goes on")
}
