package lease

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/shardrun/shardrun/checkpoint"
)

// known is a table as a worker knows it: names of leases, each with its parents
// behind a colon, and marks: a acquired, e ended, s with a state, ? of unknown shard.
func known(leases ...string) *mirror {
	m := newMirror()
	for _, l := range leases {
		name, marks, _ := strings.Cut(l, " ")
		name, parents, _ := strings.Cut(name, ":")
		row := Lease{Name: "s/" + name, Stateful: strings.Contains(marks, "s")}
		if strings.Contains(marks, "a") {
			row.Epoch, row.Position = 7, checkpoint.At("5", 0)
		}
		if strings.Contains(marks, "e") {
			row.Epoch, row.Position = 7, checkpoint.ShardEnd()
		}
		s := Shard{StartingHashKey: "0", EndingHashKey: "1"}
		for p := range strings.FieldsFuncSeq(parents, func(r rune) bool { return r == '+' }) {
			s.Parents = append(s.Parents, "s/"+p)
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
