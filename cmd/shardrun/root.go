package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/shardrun/shardrun/internal/awsclient"
	"github.com/spf13/cobra"
)

// The exit codes.
const (
	exitOK    = 0
	exitFail  = 1
	exitUsage = 2 // a flag or an argument is wrong, or serve could not listen
	exitPlan  = 3 // nothing was done, because --yes is missing
)

// app is what every command shares.
type app struct {
	in       io.Reader
	out, err io.Writer
	json     bool
	endpoint string
	region   string
	// connect makes the client, in place of awsclient: for tests.
	connect func(context.Context) (*kinesis.Client, error)
	gcTwice time.Duration // when not zero, in place of the constant: for tests
}

// usageError is an error of the person at the keyboard: exit code 2.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exitError ends the program with a code and without a message: what was
// wrong has been told already.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// run is the program. It returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	return (&app{in: in, out: out, err: errOut}).run(ctx, args)
}

func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	named, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if code, ok := errors.AsType[exitError](err); ok {
		return int(code)
	}
	fmt.Fprintf(a.err, "shardrun: %v\n", explain(err))
	if _, ok := errors.AsType[usageError](err); ok || strings.HasPrefix(err.Error(), "unknown command") {
		fmt.Fprintf(a.err, "see: %s --help\n", named.CommandPath())
		return exitUsage
	}
	return exitFail
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "shardrun",
		Short: "Run Go handlers on the shards of Kinesis streams; serve, fill, read and administer them",
		Long: `shardrun runs Go handlers on the shards of Kinesis data streams. This command serves a
local Kinesis, shows the framework at work, and fills, reads and administers streams.

Commands that talk to a stream use --endpoint, $AWS_ENDPOINT_URL_KINESIS or
$AWS_ENDPOINT_URL, and else AWS with the usual credentials. An endpoint on this machine
needs neither credentials nor region, but for a server with --auth sigv4: that one knows
its own keys only. For a server with --tls set AWS_CA_BUNDLE to the file of its --ca-out.

Exits with 0 when it is done, 1 when it failed, 2 when a flag or an argument is wrong, and 3
when a plan was shown and nothing done, because --yes is missing.`,
		Example: `  shardrun demo                                       # the whole framework, on real data
  shardrun serve                                      # a local Kinesis on 127.0.0.1:4567
  export AWS_ENDPOINT_URL_KINESIS=http://127.0.0.1:4567
  shardrun streams create orders --shards 2
  shardrun put orders --key customer-7 '{"total": 12}'
  shardrun tail orders --from trim`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
	}
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON (one object a line) instead of tables")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		a.demoCommand(), a.serveCommand(), a.putCommand(), a.tailCommand(),
		a.streamsCommand(), a.shardsCommand(), a.splitCommand(), a.mergeCommand(), a.scaleCommand(),
		a.leasesCommand(), a.pauseCommand(), a.resumeCommand(), a.resetCommand(), a.gcCommand(),
		a.verifyCommand(), a.repairCommand(),
	)
	for _, c := range root.Commands() {
		usageErrors(c)
	}
	return root
}

// usageErrors makes wrong arguments of c and the commands below it usage errors.
func usageErrors(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usagef("%s: %w; usage: %s", c.Name(), err, c.UseLine())
			}
			return nil
		}
	}
	for _, below := range c.Commands() {
		usageErrors(below)
	}
}

// clientFlags gives c the flags that say which Kinesis it talks to.
func (a *app) clientFlags(c *cobra.Command) *cobra.Command {
	c.Flags().StringVar(&a.endpoint, "endpoint", "", "URL of the Kinesis API, e.g. http://127.0.0.1:4567 (else $AWS_ENDPOINT_URL_KINESIS, $AWS_ENDPOINT_URL, or AWS)")
	c.Flags().StringVar(&a.region, "region", "", "AWS region (else the environment's; us-east-1 for a local endpoint)")
	return c
}

func (a *app) client(ctx context.Context) (*kinesis.Client, error) {
	if a.connect != nil {
		return a.connect(ctx)
	}
	return awsclient.New(ctx, awsclient.Options{Endpoint: a.endpoint, Region: a.region})
}
