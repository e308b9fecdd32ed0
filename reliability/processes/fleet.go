//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go/logging"
	goredis "github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/internal/awsclient"
	"github.com/shardrun/shardrun/internal/freeport"
)

// What the parts of a run call one another.
const (
	streamName = "chaos"
	groupName  = "chaos"
)

// fleet is the processes of a run.
type fleet struct {
	cfg       config
	dir       string
	endpoint  string // of the server
	redisAddr string
	client    *kinesis.Client

	group string

	server, redis      *process
	set                *sentinels // nil when Redis is one server
	cables             []*cable   // of the first workers to Redis; none in a Sentinel set
	workers, producers []*process

	// crashed is told which actor is no more when a process ended by itself.
	crashed func(actor string)

	mu       sync.Mutex // guards all below
	mode     redisMode  // of the Redis that runs, or ran last
	failures failures   // of processes
}

// redisMode is how a redis-server keeps what it is told.
type redisMode string

const (
	redisAlways   redisMode = "always"   // an append-only file, synced for each write
	redisEverysec redisMode = "everysec" // synced each second
	redisNone     redisMode = "none"     // memory only
)

// errNotBuilt is that there are no programs to run, and so no run.
var errNotBuilt = errors.New("the programs cannot be built")

// buildPrograms builds shardrun and the node into a directory, which it makes. When
// that fails there is none.
func buildPrograms(ctx context.Context, dir string) error {
	const server, node = module + "/cmd/shardrun", module + "/reliability/processes/node"
	// Outside of the module the first one fails, and says what only those who know
	// modules understand.
	if out, err := exec.CommandContext(ctx, "go", "list", server, node).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: want the go command and, as the directory to run this in, the module %s; or -programs, a directory with the programs shardrun and node: %w\n%s",
			errNotBuilt, module, err, bytes.TrimSpace(out))
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", dir, server, node).CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("%w: %w\n%s", errNotBuilt, err, bytes.TrimSpace(out)), os.RemoveAll(dir))
	}
	return nil
}

// module is where the programs are built.
const module = "github.com/shardrun/shardrun"

// newFleet is a fleet that has not started. Its processes end with ctx.
func newFleet(ctx context.Context, cfg config, dir string, crashed func(actor string)) (*fleet, error) {
	serverAddr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	redisAddr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	f := &fleet{
		cfg: cfg, dir: dir, endpoint: "http://" + serverAddr, redisAddr: redisAddr, group: groupName, mode: redisAlways, crashed: crashed,
	}
	client, err := awsclient.New(ctx, awsclient.Options{Endpoint: f.endpoint})
	if err != nil {
		return nil, err
	}
	options := client.Options()
	options.Logger = logging.Nop{} // of connections that were cut, which is what we do
	f.client = kinesis.New(options)
	f.server = newProcess("server", dir, func(*process, int) *exec.Cmd {
		return exec.CommandContext(ctx, filepath.Join(cfg.programs, "shardrun"), "serve", "--listen", serverAddr,
			"--data-dir", filepath.Join(dir, "data"), "--durability", "sync", "--shard-limit", "0", "--log-level", "info")
	}, f.serverReady, f.died)
	if cfg.sentinels {
		if f.set, err = f.newSentinels(ctx); err != nil {
			return nil, err
		}
		f.redis = f.set.servers[0] // whoever has claimed it has the set
	} else {
		f.redis = newProcess("redis", dir, func(*process, int) *exec.Cmd { return f.redisCommand(ctx) }, f.redisReady, f.died)
		for range wired(cfg.workers) {
			c, err := newCable(ctx, redisAddr)
			if err != nil {
				return nil, err
			}
			f.cables = append(f.cables, c)
		}
	}
	for i := range cfg.workers {
		f.workers = append(f.workers, f.node(ctx, "worker", i, append(f.redisFlags(i), "-group", f.group, "-lease-ttl", cfg.ttl.String())...))
	}
	for i := range cfg.producers {
		f.producers = append(f.producers, f.node(ctx, "producer", i,
			"-rate", strconv.Itoa(cfg.rate), "-ordered="+strconv.FormatBool(i%2 == 0)))
	}
	return f, nil
}

// node is a worker or a producer. Each life has a history of its own.
func (f *fleet) node(ctx context.Context, role string, index int, args ...string) *process {
	return newProcess(nodeName(role, index), f.dir, func(p *process, life int) *exec.Cmd {
		all := append([]string{role, "-name", p.actor(life), "-endpoint", f.endpoint, "-stream", streamName,
			"-history", filepath.Join(f.dir, lifeName(p.name, life)+historySuffix), "-up", f.upFile(role, index, life),
			"-seed", strconv.FormatUint(f.cfg.seed, 10)}, args...)
		return exec.CommandContext(ctx, filepath.Join(f.cfg.programs, "node"), all...)
	}, func(_ context.Context, life int) error { return os.Remove(f.upFile(role, index, life)) }, f.died)
}

// upFile is the file that a life of a node makes when it is up, and that goes
// away when that was seen.
func (f *fleet) upFile(role string, index, life int) string {
	return filepath.Join(f.dir, lifeName(nodeName(role, index), life)+".up")
}

// nodeName is the name of a worker or a producer.
func nodeName(role string, index int) string { return fmt.Sprintf("%s-%d", role, index+1) }

// lifeName is the name of one life of a process.
func lifeName(process string, life int) string { return fmt.Sprintf("%s.%d", process, life) }

// actor is what a life calls itself in its group and in the history. A worker
// with an even number keeps its name, and so takes over from its former life at
// once; all others are strangers in each life.
func (p *process) actor(life int) string {
	if number, ok := strings.CutPrefix(p.name, "worker-"); ok && strings.ContainsRune("02468", rune(number[len(number)-1])) {
		return p.name
	}
	return lifeName(p.name, life)
}

// historySuffix is that of the files with histories.
const historySuffix = ".history.jsonl"

// processes are those of one kind.
func (f *fleet) processes(k kind) []*process {
	switch k {
	case kindServer:
		return []*process{f.server}
	case kindRedis:
		return []*process{f.redis}
	case kindWorker:
		return f.workers
	case kindProducer:
		return f.producers
	}
	return nil
}

// died notes the end of a process that nobody ended.
func (f *fleet) died(p *process, life int, err error) {
	f.crashed(p.actor(life))
	f.failed("%s ended by itself, and %s.log tells more: %v", p.name, p.name, err)
}

// failed notes what processes did that they should not have done.
func (f *fleet) failed(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failures.add(fmt.Sprintf(format, args...))
}

// unexpected are the failures so far, each text once.
func (f *fleet) unexpected() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failures.texts()
}

// failures counts texts, in the order in which they came first.
type failures struct {
	order []string
	times map[string]int
}

func (f *failures) add(text string) {
	if f.times == nil {
		f.times = map[string]int{}
	}
	if f.times[text]++; f.times[text] == 1 {
		f.order = append(f.order, text)
	}
}

func (f *failures) texts() []string {
	var out []string
	for _, text := range f.order {
		if n := f.times[text]; n > 1 {
			text = fmt.Sprintf("%s (%d times)", text, n)
		}
		out = append(out, text)
	}
	return out
}

// redisCommand starts Redis in its mode. Its directory is shared by the modes: a
// server without a file of its own leaves alone what another wrote.
func (f *fleet) redisCommand(ctx context.Context) *exec.Cmd {
	host, port, _ := net.SplitHostPort(f.redisAddr) // we made it
	args := []string{"--bind", host, "--port", port, "--save", "", "--dir", filepath.Join(f.dir, "redis"), "--daemonize", "no",
		"--auto-aof-rewrite-percentage", "0"} // so that the file only grows, see aofSizes
	if mode := f.redisMode(); mode == redisNone {
		args = append(args, "--appendonly", "no")
	} else {
		args = append(args, "--appendonly", "yes", "--appendfsync", string(mode))
	}
	return exec.CommandContext(ctx, f.cfg.redisServer, args...)
}

func (f *fleet) redisMode() redisMode {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mode
}

func (f *fleet) setRedisMode(m redisMode) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mode = m
}

// redisReady asks Redis whether it serves. One that still reads its file says no.
func (f *fleet) redisReady(ctx context.Context, _ int) error { return serves(ctx, f.redisAddr) }

// serves asks a Redis whether it serves.
func serves(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && strings.TrimSpace(line) != "+PONG" {
		err = fmt.Errorf("redis says %q", line)
	}
	return err
}

// serverReady asks the server whether it serves.
func (f *fleet) serverReady(ctx context.Context, _ int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	once := func(o *kinesis.Options) { o.RetryMaxAttempts = 1 } // the caller asks again, sooner
	_, err := f.client.ListStreams(ctx, &kinesis.ListStreamsInput{}, once)
	return err
}

// startServers starts Redis and the server; run starts the others when there is a
// stream.
func (f *fleet) startServers(ctx context.Context) error {
	if err := os.Mkdir(filepath.Join(f.dir, "redis"), 0o755); err != nil {
		return err
	}
	if f.set != nil {
		if err := f.set.start(ctx); err != nil {
			return err
		}
	} else if err := f.redis.start(ctx); err != nil {
		return err
	}
	return f.server.start(ctx)
}

// redisFlags tell a worker how to reach Redis.
func (f *fleet) redisFlags(worker int) []string {
	switch {
	case f.set != nil:
		return []string{"-sentinels", strings.Join(f.set.watchAddrs, ",")}
	case worker < len(f.cables):
		return []string{"-redis", f.cables[worker].addr}
	}
	return []string{"-redis", f.redisAddr}
}

// redisClient is a client of the Redis that workers use.
func (f *fleet) redisClient() *goredis.Client {
	if f.set != nil {
		return goredis.NewFailoverClient(&goredis.FailoverOptions{MasterName: masterName, SentinelAddrs: f.set.watchAddrs})
	}
	return goredis.NewClient(&goredis.Options{Addr: f.redisAddr})
}

// killAll ends everything, at the end of a run.
func (f *fleet) killAll() {
	for _, k := range []kind{kindProducer, kindWorker, kindServer, kindRedis} {
		for _, p := range f.processes(k) {
			p.kill()
		}
	}
	for _, c := range f.cables {
		c.close()
	}
	if f.set != nil {
		f.set.kill()
	}
}

// freeAddr is an address of this machine that nobody listens on.
func freeAddr() (string, error) {
	port, err := freeport.Find()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}
