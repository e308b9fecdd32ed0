package peers

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/internal/freeport"
)

// pkg is a package of npm at the version that is compared with.
type pkg struct{ name, version string }

var (
	kinesalite   = pkg{"kinesalite", "3.3.3"}
	kinesisLocal = pkg{"kinesis-local", "0.6.2"}
	dynalite     = pkg{"dynalite", "4.0.0"}
)

// install installs the package into a folder of the cache, unless it is
// there, and returns the package's own directory.
func (p pkg) install(ctx context.Context, env *harness.Env) (string, error) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", fmt.Errorf("%w: %s needs %s, which is not installed", harness.ErrUnavailable, p.name, program)
		}
	}
	prefix := filepath.Join(env.Cache, p.name+"-"+p.version)
	dir := filepath.Join(prefix, "node_modules", p.name)
	if p.installed(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(prefix, 0o755); err != nil {
		return "", fmt.Errorf("install %s: %w", p.name, err)
	}
	cmd := exec.CommandContext(ctx, "npm", "install", "--prefix", prefix, "--no-audit", "--no-fund", "--loglevel", "error", p.name+"@"+p.version)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: npm install %s@%s: %w: %s", harness.ErrUnavailable, p.name, p.version, err, out)
	}
	if !p.installed(dir) {
		return "", fmt.Errorf("%w: npm did not install %s@%s", harness.ErrUnavailable, p.name, p.version)
	}
	return dir, nil
}

// installed reports whether the package is in dir, in its version.
func (p pkg) installed(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "package.json"))
	var found struct{ Version string }
	return err == nil && json.Unmarshal(text, &found) == nil && found.Version == p.version
}

// listen starts a server of the package, in its own directory, and waits until
// it accepts connections on port.
func (p pkg) listen(ctx context.Context, env *harness.Env, port int, variables []string, script string, args ...string) (*harness.Process, string, error) {
	dir, err := p.install(ctx, env)
	if err != nil {
		return nil, "", err
	}
	process, err := env.Start(ctx, harness.Command{
		Name: p.name, Path: "node", Dir: dir, Env: variables, Args: append([]string{script}, args...),
	})
	if err != nil {
		return nil, "", err
	}
	address := "127.0.0.1:" + strconv.Itoa(port)
	if err := harness.WaitTCP(ctx, process, address); err != nil {
		return nil, "", fmt.Errorf("%s: %w", p.name, err)
	}
	return process, "http://" + address, nil
}

// Kinesalite starts kinesalite, which keeps its data in memory, and returns
// the process and its URL. Streams are active at once.
func Kinesalite(ctx context.Context, env *harness.Env) (*harness.Process, string, error) {
	port, err := freeport.Find()
	if err != nil {
		return nil, "", err
	}
	return kinesalite.listen(ctx, env, port, nil, "cli.js",
		"--port", strconv.Itoa(port), "--shardLimit", "100000", "--createStreamMs", "0")
}

// KinesisLocal starts kinesis-local (kinesis-mock), which keeps its data in
// memory, and returns the process and its URL. Streams are active at once.
func KinesisLocal(ctx context.Context, env *harness.Env) (*harness.Process, string, error) {
	plain, err := freeport.Find()
	if err != nil {
		return nil, "", err
	}
	tls, err := freeport.Find()
	if err != nil {
		return nil, "", err
	}
	return kinesisLocal.listen(ctx, env, plain, []string{
		"KINESIS_MOCK_PLAIN_PORT=" + strconv.Itoa(plain), "KINESIS_MOCK_TLS_PORT=" + strconv.Itoa(tls),
		"SHARD_LIMIT=100000", "LOG_LEVEL=ERROR", "CREATE_STREAM_DURATION=0ms",
	}, "main.js")
}

// Dynalite starts dynalite, a DynamoDB that keeps its data in memory, and
// returns the process and its URL.
func Dynalite(ctx context.Context, env *harness.Env) (*harness.Process, string, error) {
	port, err := freeport.Find()
	if err != nil {
		return nil, "", err
	}
	return dynalite.listen(ctx, env, port, nil, "cli.js",
		"--port", strconv.Itoa(port), "--host", "127.0.0.1", "--createTableMs", "0")
}
