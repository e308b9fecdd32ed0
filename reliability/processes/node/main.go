// The node command is what the processes command starts: one worker or one
// producer, which writes down what it sees. SIGTERM ends it in peace.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
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
)

// node is what workers and producers have in common.
type node struct {
	name     string // what the history calls it
	endpoint string
	stream   string
	seed     uint64
	file     string // of the history

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
	defer stop()
	status, err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		status = 1
	}
	os.Exit(status)
}

// run is one life. It returns the status to exit with unless there is an error.
func run(ctx context.Context, args []string) (status int, err error) {
	if len(args) == 0 {
		return 0, errors.New("want worker or producer")
	}
	var (
		n     node
		flags = flag.NewFlagSet(args[0], flag.ExitOnError)
		role  func(context.Context, *node) error
	)
	flags.StringVar(&n.name, "name", "", "name of the node in the group and in the history")
	flags.StringVar(&n.endpoint, "endpoint", "", "URL of the Kinesis API")
	flags.StringVar(&n.stream, "stream", "", "name of the stream")
	flags.StringVar(&n.file, "history", "", "file for the history")
	flags.Uint64Var(&n.seed, "seed", 0, "what the node does of its own choice is drawn from it")
	switch args[0] {
	case "worker":
		role = workerFlags(flags)
	case "producer":
		role = producerFlags(flags)
	default:
		return 0, fmt.Errorf("%q: want worker or producer", args[0])
	}
	_ = flags.Parse(args[1:]) // exits on an error

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
	err = role(ctx, &n)
	if n.unfinished {
		status = exitUnfinished
	}
	return status, errors.Join(err, n.history.Err(), file.Close())
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
