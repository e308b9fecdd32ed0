package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/spf13/cobra"

	"github.com/shardrun/shardrun/cmd/shardrun/internal/plural"
)

// streamWait bounds the wait for a stream to become active.
const streamWait = 10 * time.Minute

// streamInfo is a stream as the commands print it, with the API's field names.
type streamInfo struct {
	StreamName              string
	StreamARN               string
	StreamStatus            types.StreamStatus
	StreamMode              types.StreamMode `json:",omitempty"`
	OpenShardCount          int32
	RetentionPeriodHours    int32
	StreamCreationTimestamp time.Time
}

func (a *app) streamsCommand() *cobra.Command {
	list := a.clientFlags(&cobra.Command{
		Use:   "streams",
		Short: "List the streams; create and delete them",
		Example: `  shardrun streams
  shardrun streams --json
  shardrun streams create orders --shards 4
  shardrun streams delete orders --yes`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.listStreams(c.Context()) },
	})
	list.AddCommand(a.createStreamCommand(), a.deleteStreamCommand())
	return list
}

func (a *app) listStreams(ctx context.Context) error {
	client, err := a.client(ctx)
	if err != nil {
		return err
	}
	var infos []streamInfo
	pages := kinesis.NewListStreamsPaginator(client, &kinesis.ListStreamsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list streams: %w", err)
		}
		for _, name := range page.StreamNames {
			info, err := describe(ctx, client, name)
			if err != nil {
				return err
			}
			infos = append(infos, info)
		}
	}
	if a.json {
		for _, info := range infos {
			if err := printJSON(a.out, info); err != nil {
				return err
			}
		}
		return nil
	}
	if len(infos) == 0 {
		fmt.Fprintf(a.out, "no streams %s (create one: shardrun streams create NAME --shards N)\n", whereOf(ctx, client))
		return nil
	}
	t := newTable(a.out, "STREAM", "STATUS", "MODE", "OPEN SHARDS", "RETENTION", "CREATED")
	for _, i := range infos {
		t.row(i.StreamName, string(i.StreamStatus), string(i.StreamMode), strconv.Itoa(int(i.OpenShardCount)),
			fmt.Sprintf("%d h", i.RetentionPeriodHours), i.StreamCreationTimestamp.Local().Format(time.DateTime))
	}
	return t.flush()
}

// whereOf is where a client looks: there are other streams in other regions, and
// for other accounts. An account is told as far as the credentials say it.
func whereOf(ctx context.Context, client *kinesis.Client) string {
	o := client.Options()
	where := "in " + o.Region
	if who, err := o.Credentials.Retrieve(ctx); err == nil {
		account := who.AccountID
		if len(who.AccessKeyID) == 12 && strings.Trim(who.AccessKeyID, "0123456789") == "" { // as localstream takes it
			account = who.AccessKeyID
		}
		if account != "" {
			where += " of account " + account
		}
	}
	if o.BaseEndpoint != nil {
		where += " at " + *o.BaseEndpoint
	}
	return where
}

func describe(ctx context.Context, client *kinesis.Client, name string) (streamInfo, error) {
	out, err := client.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(name)})
	if err != nil {
		return streamInfo{}, fmt.Errorf("describe stream %s: %w", name, err)
	}
	s := out.StreamDescriptionSummary
	info := streamInfo{
		StreamName:              aws.ToString(s.StreamName),
		StreamARN:               aws.ToString(s.StreamARN),
		StreamStatus:            s.StreamStatus,
		OpenShardCount:          aws.ToInt32(s.OpenShardCount),
		RetentionPeriodHours:    aws.ToInt32(s.RetentionPeriodHours),
		StreamCreationTimestamp: aws.ToTime(s.StreamCreationTimestamp),
	}
	if s.StreamModeDetails != nil {
		info.StreamMode = s.StreamModeDetails.StreamMode
	}
	return info, nil
}

// await waits until the stream is active and prints it.
func (a *app) await(ctx context.Context, client *kinesis.Client, name string) error {
	err := kinesis.NewStreamExistsWaiter(client, func(o *kinesis.StreamExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 100*time.Millisecond, 5*time.Second
	}).Wait(ctx, &kinesis.DescribeStreamInput{StreamName: aws.String(name)}, streamWait)
	if err != nil {
		return fmt.Errorf("wait for stream %s to be active: %w", name, err)
	}
	info, err := describe(ctx, client, name)
	if err != nil {
		return err
	}
	if a.json {
		return printJSON(a.out, info)
	}
	fmt.Fprintf(a.out, "stream %s is %s with %s\n", info.StreamName, info.StreamStatus, plural.Of(info.OpenShardCount, "open shard", "open shards"))
	return nil
}

func (a *app) createStreamCommand() *cobra.Command {
	var shards int32
	var mode string
	c := a.clientFlags(&cobra.Command{
		Use:   "create STREAM",
		Short: "Create a stream and wait until it is active",
		Long: `Create a stream and wait until it is active. A provisioned stream has the shards that it
is given; the service sees to those of an on-demand stream.`,
		Example: `  shardrun streams create orders --shards 4
  shardrun streams create orders --mode on-demand`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			in, err := newStream(args[0], mode, shards, c.Flags().Changed("shards"))
			if err != nil {
				return err
			}
			client, err := a.client(c.Context())
			if err != nil {
				return err
			}
			if _, err := client.CreateStream(c.Context(), in); err != nil {
				return fmt.Errorf("create stream %s: %w", args[0], err)
			}
			return a.await(c.Context(), client, args[0])
		},
	})
	c.Flags().Int32Var(&shards, "shards", 1, "number of shards of a provisioned stream")
	c.Flags().StringVar(&mode, "mode", modeProvisioned, "provisioned, or on-demand")
	completeFlags(c, map[string][]string{"mode": {modeProvisioned, modeOnDemand}})
	return c
}

// The modes of a stream, as --mode has them.
const (
	modeProvisioned = "provisioned"
	modeOnDemand    = "on-demand"
)

// newStream is the request for a stream; given tells whether --shards was.
func newStream(name, mode string, shards int32, given bool) (*kinesis.CreateStreamInput, error) {
	in := &kinesis.CreateStreamInput{StreamName: aws.String(name)}
	switch {
	case mode != modeProvisioned && mode != modeOnDemand:
		return nil, usagef("--mode %q: want provisioned or on-demand", mode)
	case mode == modeOnDemand && given:
		return nil, usagef("--shards is for provisioned streams: the service sees to the shards of --mode on-demand")
	case mode == modeOnDemand:
		in.StreamModeDetails = &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand}
	case shards < 1:
		return nil, usagef("--shards %d: at least 1, or --mode on-demand without it", shards)
	default:
		in.ShardCount = aws.Int32(shards)
	}
	return in, nil
}

func (a *app) deleteStreamCommand() *cobra.Command {
	var yes bool
	c := a.clientFlags(&cobra.Command{
		Use:     "delete STREAM --yes",
		Short:   "Delete a stream and all its records",
		Example: `  shardrun streams delete orders --yes`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if !yes {
				fmt.Fprintf(a.err, "shardrun: nothing was changed: deleting stream %s removes all its records for good: say --yes\n", plain(args[0]))
				return exitError(exitPlan)
			}
			client, err := a.client(c.Context())
			if err != nil {
				return err
			}
			if _, err := client.DeleteStream(c.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String(args[0])}); err != nil {
				return fmt.Errorf("delete stream %s: %w", args[0], err)
			}
			if a.json {
				return printJSON(a.out, map[string]string{"StreamName": args[0], "StreamStatus": string(types.StreamStatusDeleting)})
			}
			fmt.Fprintf(a.out, "stream %s is being deleted\n", args[0])
			return nil
		},
	})
	c.Flags().BoolVar(&yes, "yes", false, "do it without asking back")
	return c
}
