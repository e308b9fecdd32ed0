package lease

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/hashkey"
)

func TestHeirs(t *testing.T) {
	// The lease's own shard is S, of the lower half of the hash keys.
	for name, test := range map[string]struct {
		listed []string
		leases []string // "id start end [parents…]", finished with a "!" behind the id, held once with a "+"
		want   []string // "id parents…"
		err    string
	}{
		"one that is listed and still to be read is waited for": {
			[]string{"x* 0 3 m", "y* 3 8 m", "T 4 8"}, []string{"S+ 0 4", "T+ 4 8"},
			[]string{"x S", "y S T"}, "",
		},
		"what descends from it is not": {
			[]string{"x 0 4 c", "y* 0 2 x", "z* 2 4 x", "b* 4 8"}, []string{"S+ 0 4", "b+ 4 8", "x 0 4", "y 0 2 x", "z 2 4 x"},
			[]string{"x S"}, "",
		},
		"an ancestor that is listed was handled": {
			[]string{"a 0 8", "x* 0 4 c", "b* 4 8 a"}, []string{"a!+ 0 8", "S+ 0 4 a", "b+ 4 8 a"},
			[]string{"x S"}, "",
		},
		"grandchildren": {
			[]string{"e* 0 2 c", "f* 2 4 d", "b* 4 8"}, []string{"S+ 0 4", "b+ 4 8"},
			[]string{"e S", "f S"}, "",
		},
		"children of one side, grandchildren of the other": {
			[]string{"c 0 2 S", "e* 0 2 c", "f* 2 4 d", "b* 4 8"}, []string{"S+ 0 4", "b+ 4 8"},
			[]string{"c S", "f S"}, "",
		},
		"a shard that reaches over waits for the expired one beside it": {
			[]string{"x* 0 3 m", "y* 3 8 m"}, []string{"S+ 0 4", "T+ 4 8"},
			[]string{"x S", "y S T"}, "",
		},
		"but not for one that was handled": {
			[]string{"x* 0 3 m", "y* 3 8 m"}, []string{"S+ 0 4", "T!+ 4 8"},
			[]string{"x S", "y S"}, "",
		},
		"and for a parent that is listed": {
			[]string{"x* 0 2 c", "y* 2 8 d b", "b 4 8"}, []string{"S+ 0 4", "b+ 4 8"},
			[]string{"x S", "y S b"}, "",
		},
		"one that follows an expired shard and one that is listed": {
			[]string{"c 0 2 S", "x* 0 4 c d", "b* 4 8"}, []string{"S+ 0 4", "b+ 4 8"},
			[]string{"c S", "x S c"}, "",
		},
		"a hole": {
			[]string{"e* 0 2 c", "b* 4 8"}, []string{"S+ 0 4", "b+ 4 8"}, nil, "what follows them is not known",
		},
		"none": {
			[]string{"b* 4 8"}, []string{"S+ 0 4", "b+ 4 8"}, nil, "what follows them is not known",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var listed []Row
			for _, text := range test.listed {
				listed = append(listed, rowOf(t, text))
			}
			leases, rest := leasesOf(t, test.leases), []Lease(nil)
			mine := leases[slices.IndexFunc(leases, func(l Lease) bool { return ShardOf(l.Name) == "S" })]
			other := rowOf(t, "other 0 8")
			rest = append(rest, Lease{Name: "another/other", Shard: other.Shard}) // of another stream
			rows, err := Heirs(mine, listed, slices.Concat(leases, rest))
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want one of %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := textOf(rows); !slices.Equal(got, test.want) {
				t.Errorf("heirs %q, want %q", got, test.want)
			}
		})
	}
}

// rowOf is a shard of the stream "s:1": "id start end [parents…]", hash keys in
// eighths of the whole range. A "*" behind the id is for the reader: it is open.
func rowOf(t *testing.T, text string) Row {
	t.Helper()
	f := strings.Fields(text)
	eighths := hashkey.Split(8)
	start, err := strconv.Atoi(f[1])
	end, err2 := strconv.Atoi(f[2])
	if err != nil || err2 != nil || start >= end {
		t.Fatalf("shard %q", text)
	}
	r := Row{Name: Name("s:1", strings.TrimRight(f[0], "*"))}
	r.Shard.StartingHashKey, r.Shard.EndingHashKey = eighths[start].Start.String(), eighths[end-1].End.String()
	for _, p := range f[3:] {
		r.Shard.Parents = append(r.Shard.Parents, Name("s:1", p))
	}
	return r
}

// leasesOf are rows of the table, as [rowOf] reads them with marks behind the ids:
// "!" finished, "+" held once, "&" held by the living.
func leasesOf(t *testing.T, texts []string) []Lease {
	t.Helper()
	var out []Lease
	for _, text := range texts {
		id, rest, _ := strings.Cut(text, " ")
		r := rowOf(t, strings.TrimRight(id, "+!&")+" "+rest)
		l := Lease{Name: r.Name, Shard: r.Shard}
		if strings.Contains(id, "!") {
			l.Position = checkpoint.ShardEnd()
		}
		if strings.ContainsAny(id, "+&") {
			l.Epoch = 1
		}
		if strings.Contains(id, "&") {
			l.Token = "living#1"
		}
		out = append(out, l)
	}
	return out
}

// textOf tells of each row its shard and parents.
func textOf(rows []Row) []string {
	var out []string
	for _, r := range rows {
		text := ShardOf(r.Name)
		for _, p := range r.Shard.Parents {
			text += " " + ShardOf(p)
		}
		out = append(out, text)
	}
	return out
}
