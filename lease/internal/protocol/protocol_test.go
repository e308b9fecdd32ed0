package protocol

import (
	"flag"
	"reflect"
	"sync/atomic"
	"testing"
)

var large = flag.Bool("models.large", false, "explore the larger models too, 100 million states in some minutes")

const (
	// least is how many states the models have together, leastLarge with the larger.
	least, leastLarge = 3_000_000, 50_000_000
	// counted is how many runs make reliability-models adds to the ledger.
	counted = 31
)

// The bytes of a world are packed eight at a time, and are compared for the world.
func TestAWorldIsBytes(t *testing.T) {
	if size%8 != 0 {
		t.Errorf("a world has %d bytes, want a multiple of 8", size)
	}
	var walk func(reflect.Type)
	walk = func(x reflect.Type) {
		switch x.Kind() {
		case reflect.Struct:
			for f := range x.Fields() {
				walk(f.Type)
			}
		case reflect.Array:
			walk(x.Elem())
		case reflect.Uint8:
		default:
			t.Errorf("a world has a %v in it, want nothing but bytes", x)
		}
	}
	walk(reflect.TypeFor[world]())
}

func TestAPackedStateIsTheState(t *testing.T) {
	for _, m := range Models()[:1] {
		m.prepare()
		w := m.initial()
		for range 40 { // a way through the model, always by the last step
			var to world
			m.next(&w, func(_ step, t *world) { to = *t })
			w = to
			var back world
			unpack(pack(&w, make([]byte, 0, 2*size)), &back)
			if back != w {
				t.Fatalf("unpacked %+v, want %+v", back, w)
			}
		}
	}
}

// All that can happen within small bounds breaks no promise, and from wherever it
// leads, a fair schedule without faults brings every lease a runner and every shard
// to its end.
func TestTheProtocolKeepsItsPromises(t *testing.T) {
	models := Models()
	if *large {
		models = append(models, Larger()...)
		if len(models) != counted {
			t.Errorf("%d models, and make reliability-models counts %d", len(models), counted)
		}
	}
	whole := !raceEnabled && !testing.Short()
	var states, settled, explored atomic.Int64
	t.Run("models", func(t *testing.T) {
		for _, m := range models {
			t.Run(m.Name, func(t *testing.T) {
				if !whole && m.Name != "reset" {
					t.Skip("only the smallest with -race and -short")
				}
				t.Parallel()
				r := m.Explore()
				explored.Add(1)
				states.Add(int64(r.States))
				settled.Add(int64(r.Settled))
				t.Logf("%d states, %d steps, depth %d, %d schedules, %d MiB, all of them: %t", r.States, r.Steps, r.Depth, r.Settled, r.Bytes>>20, r.Exhaustive)
				if r.Violation != none {
					t.Error(r.Text())
				} else if !r.Exhaustive && m.Most == 0 {
					t.Error("there are more states")
				}
			})
		}
	})
	t.Logf("%d states in all, %d schedules", states.Load(), settled.Load())
	want := int64(least)
	if *large {
		want = leastLarge
	}
	if n := states.Load(); int(explored.Load()) == len(models) && n < want && !t.Failed() {
		t.Errorf("the models have %d states in all, want at least %d", n, want)
	}
}

// Each rule is there for a reason: without it a promise breaks.
func TestEveryPlantedMistakeIsFound(t *testing.T) {
	for _, p := range Plants() {
		t.Run(p.Name, func(t *testing.T) {
			if raceEnabled && p.In != "fence" && p.In != "lineage" {
				t.Skip("slow under the race detector, and nothing here is concurrent")
			}
			t.Parallel()
			m := p.Model()
			r := m.Explore()
			t.Logf("%d states; %s", r.States, r.Text())
			if r.Violation != p.Breaks {
				t.Errorf("%q finds: %s; want: %s", m.Name, r.Violation, p.Breaks)
			}
			for k, line := range r.Trace {
				if line == "" {
					t.Errorf("step %d of the trace is not told", k+1)
				}
			}
		})
	}
}
