package child_test

import (
	"context"
	"os"
	"testing"

	"github.com/shardrun/shardrun/bench/child"
	"github.com/shardrun/shardrun/bench/harness"
)

// asChild marks the test program when it is started as a child.
const asChild = "SHARDRUN_BENCH_CHILD"

type greeting struct {
	Name string `json:"name"`
}

// TestMain makes the test program a child where it is started as one.
func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		child.Main(func(ctx context.Context, args []string) error {
			return child.As(func(_ context.Context, say *child.Speaker, to greeting) error {
				say.Say(greeting{"ready for " + to.Name})
				say.Say(greeting{"hello " + to.Name})
				return nil
			})(ctx, args[1:]) // behind the role's name
		})
		return
	}
	os.Exit(m.Run())
}

func TestAChildIsToldWhatToDoAndHeard(t *testing.T) {
	t.Setenv(asChild, "1")
	heard := make(chan string, 1)
	env := &harness.Env{Dir: t.TempDir()}
	p, ready, err := child.Start[greeting](t.Context(), env, "greeter", greeting{"Ann"}, func(line []byte) { heard <- string(line) })
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ready.Name != "ready for Ann" {
		t.Errorf("it was ready with %q", ready.Name)
	}
	if got := <-heard; got != `{"name":"hello Ann"}` {
		t.Errorf("it said %q", got)
	}
}
