package peers

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/shardrun/shardrun/bench/harness"
)

// command is the import path of the shardrun command.
const command = "github.com/shardrun/shardrun/cmd/shardrun"

// Shardrun starts `shardrun serve` on a free port, with no limit of shards and
// the given durability ("sync", "async" or "memory"), on the data directory
// dir (empty for a fresh one). It returns the process and its URL.
func Shardrun(ctx context.Context, env *harness.Env, durability, dir string, args ...string) (*harness.Process, string, error) {
	path, err := env.Build(ctx, command)
	if err != nil {
		return nil, "", err
	}
	if dir == "" {
		if dir, err = os.MkdirTemp(env.Dir, "data-"); err != nil {
			return nil, "", fmt.Errorf("data directory: %w", err)
		}
	}
	var ready struct{ Listening string }
	p, err := env.Start(ctx, harness.Command{
		Name: "shardrun serve", Path: path,
		Args: append([]string{
			"serve", "--json", "--listen", "127.0.0.1:0", "--data-dir", dir,
			"--durability", durability, "--shard-limit", "0",
		}, args...),
		Ready: func(line string) bool { return json.Unmarshal([]byte(line), &ready) == nil && ready.Listening != "" },
	})
	if err != nil {
		return nil, "", fmt.Errorf("shardrun serve --durability %s: %w", durability, err)
	}
	return p, ready.Listening, nil
}
