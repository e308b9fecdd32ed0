package child

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/shardrun/shardrun/bench/harness"
)

// Start starts this program in a role, waits for the first line that it says,
// and decodes it. heard gets the later ones, one at a time, and must not
// block; nil ignores them.
func Start[Ready any](ctx context.Context, env *harness.Env, role string, config any, heard func(line []byte)) (*harness.Process, Ready, error) {
	return start[Ready](ctx, env, env.Self(role), config, heard)
}

// StartProgram is [Start] for a program of one role, by its import path.
func StartProgram[Ready any](ctx context.Context, env *harness.Env, pkg string, config any, heard func(line []byte)) (*harness.Process, Ready, error) {
	path, err := env.Build(ctx, pkg)
	if err != nil {
		var none Ready
		return nil, none, err
	}
	return start[Ready](ctx, env, harness.Command{Name: pkg, Path: path}, config, heard)
}

func start[Ready any](ctx context.Context, env *harness.Env, c harness.Command, config any, heard func(line []byte)) (*harness.Process, Ready, error) {
	var first Ready
	text, err := json.Marshal(config)
	if err != nil {
		return nil, first, fmt.Errorf("start %s: configuration: %w", c.Name, err)
	}
	c.Args = append(c.Args, string(text))
	c.Ready = func(string) bool { return true }
	if heard != nil {
		c.Output = func(line string) { heard([]byte(line)) }
	}
	p, err := env.Start(ctx, c)
	if err != nil {
		return nil, first, err
	}
	if err := json.Unmarshal([]byte(p.ReadyLine), &first); err != nil {
		p.Stop()
		return nil, first, fmt.Errorf("%s said %q: %w", c.Name, p.ReadyLine, err)
	}
	return p, first, nil
}
