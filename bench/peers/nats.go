package peers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/internal/freeport"
)

// NATS starts a nats-server with JetStream, whose file store is in the scratch
// directory, and returns the process and its URL.
func NATS(ctx context.Context, env *harness.Env) (*harness.Process, string, error) {
	path, err := natsServer(ctx, env)
	if err != nil {
		return nil, "", err
	}
	port, err := freeport.Find()
	if err != nil {
		return nil, "", err
	}
	p, err := env.Start(ctx, harness.Command{
		Name: "nats-server", Path: path,
		Args: []string{"-a", "127.0.0.1", "-p", strconv.Itoa(port), "-js", "-sd", filepath.Join(env.Dir, "jetstream")},
	})
	if err != nil {
		return nil, "", err
	}
	address := "127.0.0.1:" + strconv.Itoa(port)
	if err := harness.WaitTCP(ctx, p, address); err != nil {
		return nil, "", fmt.Errorf("nats-server: %w", err)
	}
	return p, "nats://" + address, nil
}

// natsServer finds nats-server, or unpacks Debian's package of it into the
// cache folder, which needs no root and starts no service.
func natsServer(ctx context.Context, env *harness.Env) (string, error) {
	if path, err := exec.LookPath("nats-server"); err == nil {
		return path, nil
	}
	unpacked := filepath.Join(env.Cache, "nats-server")
	path := filepath.Join(unpacked, "usr", "sbin", "nats-server")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	for _, program := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", fmt.Errorf("%w: nats-server is not installed and there is no %s", harness.ErrUnavailable, program)
		}
	}
	if err := os.MkdirAll(unpacked, 0o755); err != nil {
		return "", fmt.Errorf("install nats-server: %w", err)
	}
	script := `set -e; apt-get download -qq nats-server; dpkg-deb -x nats-server_*.deb .; rm nats-server_*.deb`
	cmd := exec.CommandContext(ctx, "sh", "-c", script)
	cmd.Dir = unpacked
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: nats-server: %w: %s", harness.ErrUnavailable, err, out)
	}
	return path, nil
}
