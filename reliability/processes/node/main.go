// The node command is what the processes command starts: one worker or one
// producer, which writes down what it sees. SIGTERM ends it in peace.
package main

import (
	"cmp"
	"context"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"go.uber.org/zap"

	"github.com/shardrun/shardrun/internal/awsclient"
	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/reliability/cmdline"
)

// node is what workers and producers have in common.
type node struct {
	name     string // what the history calls it
	endpoint string
	stream   string
	seed     uint64
	file     string // of the history
	upFile   string // made when the node is up; empty for none

	client  *kinesis.Client
	history *history.History
	log     *zap.Logger

	unfinished bool // it was asked to end, and could not finish its work
}

// exitUnfinished is the status of a node that was asked to end and could not
// finish its work. The processes command knows when that may be.
const exitUnfinished = 3

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	status, err := run(ctx, os.Args[1:])
	stop()
	os.Exit(cmp.Or(cmdline.Status("node", err, os.Stdout, os.Stderr), status))
}

const about = `node: one worker or producer of a run of reliability/processes, which starts it.

  node worker -name W -endpoint URL -stream S -history FILE -redis ADDR -group G
  node producer -name P -endpoint URL -stream S -history FILE

SIGTERM ends it; status 3 says that work was left undone.`

// roles are what a node can be: each declares its flags, and returns what checks
// them and the life.
func roles() map[string]func(*cmdline.Flags) role {
	return map[string]func(*cmdline.Flags) role{"worker": workerFlags, "producer": producerFlags}
}

// role is what one kind of node does.
type role struct {
	check func() error
	live  func(context.Context, *node) error
}

// run is one life. It returns the status to exit with unless there is an error.
func run(ctx context.Context, args []string) (status int, err error) {
	kind := ""
	if len(args) > 0 {
		kind, args = args[0], args[1:]
	}
	declare, known := roles()[kind]
	flags := cmdline.New("node "+kind, about)
	if !known {
		if err := flags.Read([]string{kind}); errors.Is(err, cmdline.ErrHelp) {
			return 0, err
		}
		return 0, cmdline.Wrong("the first argument is %q; want worker or producer", kind)
	}
	var n node
	flags.StringVar(&n.name, "name", "", "name of the node in the group and in the history")
	flags.StringVar(&n.endpoint, "endpoint", "", "URL of the Kinesis API")
	flags.StringVar(&n.stream, "stream", "", "name of the stream")
	flags.StringVar(&n.file, "history", "", "file for the history")
	flags.StringVar(&n.upFile, "up", "", "file to make when the node is up: it works, and ends in peace when asked to (default none)")
	flags.Uint64Var(&n.seed, "seed", 0, "what the node does of its own choice is drawn from it")
	r := declare(flags)
	if err := flags.Read(args); err != nil {
		return 0, err
	}
	if err := errors.Join(flags.Need("name", "endpoint", "stream", "history"), r.check()); err != nil {
		return 0, err
	}

	file, err := os.OpenFile(n.file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	n.history = history.NewRecorder(file)
	if n.client, err = awsclient.New(ctx, awsclient.Options{Endpoint: n.endpoint}); err != nil {
		return 0, err
	}
	if n.log, err = zap.NewDevelopment(); err != nil {
		return 0, err
	}
	err = r.live(ctx, &n)
	if n.unfinished {
		status = exitUnfinished
	}
	return status, errors.Join(err, n.history.Err(), file.Close())
}

// up says that the node is up: from now on a signal to end is heard, and leads to
// a clean end.
func (n *node) up() error {
	if n.upFile == "" {
		return nil
	}
	return os.WriteFile(n.upFile, nil, 0o644)
}

// rand is a source of chance of this life, whose file has a name of its own.
func (n *node) rand() *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(n.file)) // a hash never fails
	return rand.New(rand.NewPCG(n.seed, h.Sum64()))
}

// sleep waits for d or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
