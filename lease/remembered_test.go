package lease

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/checkpoint"
)

// known is a table as a worker knows it: names of leases, each with its parents
// behind a colon, its first and last hash key behind an at, its children behind a
// greater-than sign, and marks: a acquired, e ended, s with a state, ? of unknown
// shard.
func known(leases ...string) *mirror {
	m := newMirror()
	for _, l := range leases {
		name, marks, _ := strings.Cut(l, " ")
		name, children, _ := strings.Cut(name, ">")
		name, parents, _ := strings.Cut(name, ":")
		name, keys, _ := strings.Cut(name, "@")
		row := Lease{Name: "s/" + name, Stateful: strings.Contains(marks, "s")}
		if strings.Contains(name, "/") {
			row.Name = name
		}
		if strings.Contains(marks, "a") {
			row.Epoch, row.Position = 7, checkpoint.At("5", 0)
		}
		if strings.Contains(marks, "e") {
			row.Epoch, row.Position = 7, checkpoint.ShardEnd()
		}
		s := Shard{StartingHashKey: "0", EndingHashKey: "9"}
		if first, last, ok := strings.Cut(keys, "-"); ok {
			s.StartingHashKey, s.EndingHashKey = first, last
		}
		for p := range strings.FieldsFuncSeq(parents, func(r rune) bool { return r == '+' }) {
			s.Parents = append(s.Parents, "s/"+p)
		}
		for c := range strings.FieldsFuncSeq(children, func(r rune) bool { return r == '+' }) {
			s.Children = append(s.Children, "s/"+c)
		}
		if !strings.Contains(marks, "?") {
			row.Shard = s
		}
		m.leases[row.Name] = &row
	}
	return m
}

func TestWhatIsGivenBack(t *testing.T) {
	for _, c := range []struct {
		what   string
		leases []string
		past   string // leases that ran here
		want   string
	}{
		{"all that is known", []string{"x a", "y e", "z"}, "", "x y z"},
		{"nothing of an unknown shard", []string{"x a?", "y"}, "", "y"},
		{"a position whose state is not known", []string{"x as", "y a"}, "", "y"},
		{"a state that is known", []string{"x as", "y as"}, "x", "x"},
		{"a shard that waits for a known one", []string{"p a", "c:p"}, "", "c p"},
		{"a shard that waits for an unknown one", []string{"p a?", "c:p", "m:c+q", "q a"}, "", "q"},
		{"a shard that started after an unknown one", []string{"p a?", "c:p a"}, "", "c"},
		{"an end of which the state that was left is not known", []string{"g e", "p:g e", "c:p s", "d:p s"}, "", ""},
		{"an end behind which a shard has gone on", []string{"p e", "c:p as", "d:p a"}, "", "d p"},
		{"an end, though a shard behind it has only begun to wait", []string{"p e", "c:p s", "d:p"}, "", ""},
		{"a state that was left, and is in another since", []string{"p e", "c:p as"}, "c", "c p"},
		{"an end, while what may follow it has a state and is of an unknown shard", []string{"p e", "x as?", "y a"}, "", "y"},
		{"an end, while what may follow it has ended and is of an unknown shard", []string{"p e", "x e?"}, "", ""},
		{"an end, while what may follow it has a state that is not known", []string{"p e", "x as"}, "", ""},
		{"an end, while what may follow it was left nothing", []string{"p e", "x a?"}, "", "p"},
		{"an end, while a shard of another stream is not known", []string{"p e", "o/x as?"}, "", "p"},
		{"an end of which the children are known", []string{"p>c e", "c:p a", "x as?"}, "", "c p"},
		{"an end of which a child has gone on", []string{"p e", "c@0-4:p a", "x as?"}, "", "c p"},
		{"an end of which one of the children may be unknown", []string{"p e", "c@0-4:p", "x as?"}, "", ""},
		{"an end of which the children have all its hash keys", []string{"p e", "c@0-4:p", "d@5-9:p", "x as?"}, "", "c d p"},
		{"the ends before one that is not given back", []string{"g>p e", "p:g e", "x as?"}, "", ""},
		{"what waits for an end that is not given back, and for another", []string{"p e", "q>m e", "m@0-4:p+q", "x as?"}, "", "q"},
	} {
		m, past := known(c.leases...), map[string]Remembered{}
		for name := range strings.FieldsSeq(c.past) {
			past["s/"+name] = Remembered{Name: "s/" + name, Epoch: 7, Entry: checkpoint.Entry{Position: checkpoint.At("9", 0), State: []byte("s")}}
		}
		got := m.remembered(past)
		names := strings.ReplaceAll(strings.Join(slices.Sorted(maps.Keys(got)), " "), "s/", "")
		if names != c.want {
			t.Errorf("%s: %q, want %q", c.what, names, c.want)
		}
		for name, n := range got {
			if err := n.validate(); err != nil {
				t.Errorf("%s: %v", c.what, err)
			}
			if _, own := past[name]; own && n.Entry.Position != checkpoint.At("9", 0) {
				t.Errorf("%s: %s is at %v, handled here up to 9", c.what, name, n.Entry.Position)
			}
		}
	}
}

func TestAnEndIsNotGivenBackBeforeWhatFollowsItWasRead(t *testing.T) {
	for leases, want := range map[string]string{"p e": "", "p>c+d e": "p", "p e;c:p": "c p", "p e;c@0-4:p a": "c p"} {
		for _, partial := range []bool{true, false} {
			m := newMirror()
			m.apply(View{More: partial}, time.Time{})
			m.leases = known(strings.Split(leases, ";")...).leases
			want := want
			if !partial && want == "" {
				want = "p"
			}
			got := strings.ReplaceAll(strings.Join(slices.Sorted(maps.Keys(m.remembered(nil))), " "), "s/", "")
			if got != want {
				t.Errorf("%s, of a table that is read in part: %v: %q, want %q", leases, partial, got, want)
			}
		}
	}
}

// What is given back once tells more of the table than was known of it: the store
// tells nobody the parents of a lease that was acquired.
func TestAnEndIsGivenBackWithTheShardsThatFollow(t *testing.T) {
	for leases, want := range map[string]string{
		"p e;d@5-9:p a;c@0-4:p": "s/c s/d", "p e;c@0-4:p a": "", "p>c+d e;d:p a": "s/c s/d", "p a;c:p": "",
	} {
		n := known(strings.Split(leases, ";")...).remembered(nil)["s/p"]
		if got := strings.Join(n.Shard.Children, " "); got != want {
			t.Errorf("%s: p is followed by %q, want %q", leases, got, want)
		}
	}
}

func TestWhatRanHereDoesNotCountOnceAnotherHasTheLease(t *testing.T) {
	m := known("x a", "y e")
	past := map[string]Remembered{}
	for _, name := range []string{"s/x", "s/y"} {
		past[name] = Remembered{Name: name, Epoch: 6, Entry: checkpoint.Entry{Position: checkpoint.At("4", 0)}}
	}
	got := m.remembered(past)
	if n := got["s/x"]; n.Entry.Position != checkpoint.At("5", 0) || n.Epoch != 7 {
		t.Errorf("x is %+v", n)
	}
	past["s/y"] = Remembered{Name: "s/y", Epoch: 7, Entry: checkpoint.Entry{Position: checkpoint.At("4", 0)}}
	if n := m.remembered(past)["s/y"]; !n.Entry.Position.IsEnd() {
		t.Errorf("y is %+v", n)
	}
}

// A fail-over has the table read anew, and a reset by hand, of which only one page was
// read, shows in that.
func TestAStreamThatWasMadeAnewIsNotRememberedAsItWas(t *testing.T) {
	made := func(m *mirror, day int) *mirror {
		for _, l := range m.leases {
			l.Shard.Created = time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC)
		}
		return m
	}
	for _, c := range []struct{ what, table, want string }{
		{"nothing was read", "", "o/x p x y z"},
		{"another stream was read", "o/x a", "o/x p x y z"},
		{"it was made anew", "x", "o/x x"},
	} {
		r := newRun(Config{})
		r.former = made(known("p e", "x:p a", "y:p a", "o/x a"), 1)
		past := r.former.leases["s/x"]
		r.past["s/x"] = Remembered{Name: past.Name, Epoch: 7, Shard: past.Shard, Entry: checkpoint.Entry{Position: checkpoint.At("9", 0)}}
		r.past["s/z"] = Remembered{Name: "s/z", Epoch: 7, Shard: past.Shard, Entry: checkpoint.Entry{Position: checkpoint.At("9", 0)}}
		if r.table.partial = true; c.table != "" {
			day := 2
			if strings.HasPrefix(c.table, "o/") {
				day = 1
			}
			r.table.leases = made(known(c.table), day).leases
		}
		r.remember()
		got := strings.ReplaceAll(strings.Join(slices.Sorted(maps.Keys(r.recall.rows)), " "), "s/", "")
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
		if x := r.recall.rows["s/x"]; strings.HasPrefix(c.table, "x") && (!x.Entry.Position.IsZero() || x.Epoch > 0) {
			t.Errorf("%s: x is remembered as %+v", c.what, x)
		}
	}
}

// What a call brought may be what a fail-over took back while it was answered.
func TestAnAnswerOfBeforeAFailOverTellsNothingOfWhatIsThere(t *testing.T) {
	r := newRun(Config{Logger: zap.NewNop()})
	c := &recall{from: "old", paused: true, rows: known("x a", "y a").remembered(nil)}
	r.recall = c
	c.again()
	seed, round := c.next(), c.round
	c.again()
	r.gaveBack(seed, round, nil, time.Now())
	if len(c.unsent) != 2 || c.told {
		t.Errorf("%q are to be sent, the pause was told: %v", c.unsent, c.told)
	}
	r.gaveBack(c.next(), c.round, nil, time.Now())
	if c.pending() {
		t.Errorf("%q are to be sent", c.unsent)
	}
}

func TestWhetherATableHasWhatIsRemembered(t *testing.T) {
	base := Remembered{Name: "s/x", Epoch: 7, Entry: checkpoint.Entry{Position: checkpoint.At("5", 0), Counter: 3}}
	state := base
	state.Entry.State = []byte{}
	left := base
	left.Entry.Inherited = map[string][]byte{"s/p": nil}
	paused := base
	paused.Flags = FlagPaused
	for _, c := range []struct {
		what string
		n    Remembered
		row  *Lease
		want bool
	}{
		{"no row", base, nil, false},
		{"the same", base, &Lease{Epoch: 7, Position: checkpoint.At("5", 0)}, true},
		{"more", base, &Lease{Epoch: 8, Position: checkpoint.At("6", 0)}, true},
		{"an end", state, &Lease{Epoch: 7, Position: checkpoint.ShardEnd()}, true},
		{"a lower epoch", base, &Lease{Epoch: 6, Position: checkpoint.At("5", 0)}, false},
		{"less", base, &Lease{Epoch: 7, Position: checkpoint.At("4", 0)}, false},
		{"less, with a state", base, &Lease{Epoch: 7, Position: checkpoint.At("4", 0), Stateful: true}, true},
		{"more, without the state", state, &Lease{Epoch: 7, Position: checkpoint.At("6", 0)}, false},
		{"no state that was left", left, &Lease{Epoch: 7, Position: checkpoint.At("5", 0)}, false},
		{"a state", state, &Lease{Epoch: 7, Position: checkpoint.At("5", 0), Stateful: true}, true},
		{"no flag", paused, &Lease{Epoch: 7, Position: checkpoint.At("5", 0)}, false},
		{"a flag more", paused, &Lease{Epoch: 7, Position: checkpoint.At("5", 0), Flags: "stopped:1,paused"}, true},
	} {
		if got := c.n.in(c.row); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}
