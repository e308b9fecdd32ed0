package peers

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/internal/freeport"
)

// redisScript installs redis-server where it is missing; its path is from the
// folder of the bench program.
const redisScript = "../tools/redis.sh"

// Redis starts a redis-server on a free port and returns the process and its
// address. fsync is its appendfsync ("everysec", "always"), or empty for no
// append-only file.
func Redis(ctx context.Context, env *harness.Env, fsync string) (*harness.Process, string, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if out, err := exec.CommandContext(ctx, redisScript).CombinedOutput(); err != nil {
			return nil, "", fmt.Errorf("%w: redis-server: %w: %s", harness.ErrUnavailable, err, out)
		}
		if path, err = exec.LookPath("redis-server"); err != nil {
			return nil, "", fmt.Errorf("%w: redis-server: %w", harness.ErrUnavailable, err)
		}
	}
	port, err := freeport.Find()
	if err != nil {
		return nil, "", err
	}
	args := []string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--dir", env.Dir}
	if fsync == "" {
		args = append(args, "--appendonly", "no")
	} else {
		args = append(args, "--appendonly", "yes", "--appendfsync", fsync, "--appendfilename", filepath.Base(env.Dir)+"-"+fsync)
	}
	p, err := env.Start(ctx, harness.Command{Name: "redis-server", Path: path, Args: args})
	if err != nil {
		return nil, "", err
	}
	address := "127.0.0.1:" + strconv.Itoa(port)
	if err := harness.WaitTCP(ctx, p, address); err != nil {
		return nil, "", fmt.Errorf("redis-server: %w", err)
	}
	return p, address, nil
}
