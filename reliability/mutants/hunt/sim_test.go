package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/shardrun/shardrun/reliability/mutants"
)

func TestFailedSeedsAreThoseThatAreToldHowToReplay(t *testing.T) {
	out := `=== RUN   TestSim
seed 12: sent 9, handled 8, repeats 0
  H1: k was not handled
  H2: x
replay: go test ./sim -run TestSim -seed=12 -minutes=3 -v
seed 3 ended its process: exit status 2
panic: no
replay: go test ./sim -run TestSim -seed=3 -minutes=3 -v
seed 12: sent 9, handled 8, repeats 0
  H1: k was not handled
  H2: x
replay: go test ./sim -run TestSim -seed=12 -minutes=3 -v
--- FAIL: TestSim (3.97s)
`
	if got := failedSeeds(out); !slices.Equal(got, []uint64{3, 12}) {
		t.Errorf("seeds %v, want 3 and 12", got)
	}
	if got := failedSeeds("PASS\n"); len(got) != 0 {
		t.Errorf("seeds %v of a batch that passed", got)
	}
}

func TestWrongIsTheFirstThingThatWas(t *testing.T) {
	for name, test := range map[string]struct{ out, want string }{
		"a rule": {
			"3m0s simulated in 1s, 0 ties, digest ab\nseed 12: sent 9, handled 8, repeats 0\n  H1: k was not handled\n  H2: x\n", "H1: k was not handled",
		},
		"a panic":       {"goroutine 1\npanic: index out of range [recovered]\n\tpanic: again\n", "panic: index out of range [recovered]"},
		"another seed":  {"seed 1: sent 9, handled 8, repeats 0\n  H1: k\n", "TestSim"},
		"a long text":   {"panic: " + strings.Repeat("x", 300), "panic: " + strings.Repeat("x", longest-len("panic: ")) + "…"},
		"no such thing": {"", "TestSim"},
	} {
		if got := wrong(test.out, 12, "TestSim"); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestACatchIsReplayedByItsSeed(t *testing.T) {
	m := mutants.Mutant{Name: "a-b"}
	if got, want := simCommand(m, 7), "go run ./reliability/mutants/hunt -sim -only a-b -seed 7 -v"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := simCommand(m, 0), "go run ./reliability/mutants/hunt -sim -only a-b"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestChoose(t *testing.T) {
	gallery := func() []mutants.Mutant {
		return []mutants.Mutant{{Name: "a-b", Sim: true}, {Name: "a-b-c"}, {Name: "a-d", Sim: true}}
	}
	for _, test := range []struct {
		o    options
		want string
	}{
		{options{}, "a-b a-b-c a-d"},
		{options{only: "a-b"}, "a-b"},
		{options{only: "b"}, "a-b a-b-c"},
		{options{sim: true}, "a-b a-d"},
		{options{sim: true, only: "a-b-c"}, "a-b-c"},
		{options{only: "x"}, ""},
	} {
		var names []string
		for _, m := range choose(gallery(), test.o) {
			names = append(names, m.Name)
		}
		if got := strings.Join(names, " "); got != test.want {
			t.Errorf("%+v: %q, want %q", test.o, got, test.want)
		}
	}
}

func TestBatchesAddUp(t *testing.T) {
	sum := 0
	for i, n := range batches {
		sum += n
		if i > 0 && n <= batches[i-1] {
			t.Errorf("batches %v do not grow", batches)
		}
	}
	if sum != mutants.SimSeeds {
		t.Errorf("batches of %d seeds, want %d", sum, mutants.SimSeeds)
	}
}
