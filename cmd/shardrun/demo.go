package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/shardrun/shardrun/cmd/shardrun/internal/demo"
	"github.com/shardrun/shardrun/internal/flights"
	"github.com/shardrun/shardrun/internal/redisurl"
)

func (a *app) demoCommand() *cobra.Command {
	var cfg demo.Config
	var redis, data string
	c := a.clientFlags(&cobra.Command{
		Use:   "demo",
		Short: "Show the whole framework at work, on real data, with an audit",
		Long: `Put 20,000 real flights into a stream while workers count them by airport. On the way
the stream is split twice and merged once, a worker joins, one is killed in the middle of
a batch (handled in part, not checkpointed), and one drains. It ends with the result and
an audit of what was lost, repeated and out of order, and exits with 0 only if nothing was
lost or out of order and the result is that of the file.

All of it runs in this process: a local stream on a durable log in a temporary directory,
and leases in memory. --redis and --endpoint put the one or the other elsewhere.`,
		Example: `  shardrun demo
  shardrun demo --rate 0 --json
  shardrun demo --redis 127.0.0.1:6379
  shardrun demo --endpoint http://127.0.0.1:4567 --redis 127.0.0.1:6379 --workers 4 --shards 4`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg.Input = flights.Embedded
			if data != "" {
				cfg.Input = func() (io.ReadCloser, error) { return os.Open(data) }
			}
			return a.demo(c.Context(), cfg, redis)
		},
	})
	flags := c.Flags()
	flags.Lookup("endpoint").Usage = "URL of a Kinesis API to use instead of a local stream in this process"
	flags.Lookup("region").Usage = "AWS region; alone it means AWS instead of a local stream in this process"
	flags.IntVar(&cfg.Records, "records", 20_000, "records to send; a shorter input is repeated")
	flags.Float64Var(&cfg.Rate, "rate", 2_000, "records per second, 0 for full speed")
	flags.IntVar(&cfg.Shards, "shards", 2, "shards at the start")
	flags.IntVar(&cfg.Workers, "workers", 2, "workers at the start")
	flags.StringVar(&redis, "redis", "", redisurl.Usage+" (default: in memory)")
	flags.StringVar(&cfg.Stream, "stream", "", "name of the stream to create (default: shardrun-demo-UUID)")
	flags.BoolVar(&cfg.Keep, "keep", false, "leave the stream there at the end")
	flags.StringVar(&data, "data", "", "file of flights, one JSON object a line (default: the embedded ones)")
	return c
}

func (a *app) demo(ctx context.Context, cfg demo.Config, redis string) (err error) {
	// The group is the demo's own, whatever the stream is called: it is removed
	// at the end.
	cfg.Group = "shardrun-demo-" + uuid.NewString()
	cfg.Stream = cmp.Or(cfg.Stream, cfg.Group)
	if err := cfg.Validate(); err != nil {
		return usageError{err}
	}
	cfg.Out = a.out
	if a.json {
		cfg.Out = io.Discard
	} else {
		cfg.Live = isTerminal(a.out)
	}
	stream, leases := "in this process", "in memory"
	if endpoint := cmp.Or(a.endpoint, os.Getenv("AWS_ENDPOINT_URL_KINESIS"), os.Getenv("AWS_ENDPOINT_URL")); a.endpoint != "" || a.region != "" {
		if cfg.Client, err = a.client(ctx); err != nil {
			return err
		}
		stream = "at " + cmp.Or(endpoint, "AWS in "+a.region)
	}
	if redis != "" {
		store, err := openRedis(ctx, redis)
		if err != nil {
			return err
		}
		defer func() {
			if !cfg.Keep {
				err = errors.Join(err, store.forget(context.WithoutCancel(ctx), cfg.Group))
			}
			err = errors.Join(err, store.close())
		}()
		cfg.Store, leases = store, "in Redis at "+store.addr
	}
	cfg.Where = fmt.Sprintf("%s; leases %s", stream, leases)

	summary, err := demo.Run(ctx, cfg)
	if err != nil {
		return err
	}
	if a.json {
		if err := printJSON(a.out, summary); err != nil {
			return err
		}
	}
	if !summary.OK() {
		return exitError(exitFail)
	}
	return nil
}
