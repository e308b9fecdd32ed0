package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/spf13/cobra"

	"github.com/shardrun/shardrun/internal/streamid"
	"github.com/shardrun/shardrun/lease"
)

// gcTwice is how long after the first list of shards the second one is asked for:
// one answer may come from a part of the service that is behind.
const gcTwice = 5 * time.Second

func (a *app) gcCommand() *cobra.Command {
	var (
		f            groupFlags
		yes, deleted bool
	)
	c := a.clientFlags(&cobra.Command{
		Use:   "gc GROUP [STREAM] | gc [STREAM] --group GROUP",
		Short: "Remove leases that nobody needs any more",
		Long: `Remove the leases of a group that nobody needs any more: of shards that were handled to
their end and are gone from their stream by two lists, five seconds apart; and of streams
that were deleted and made anew under the same name, once the new one is older than its
retention. Without --yes it says which those are, and exits with 3 when there are some.

A lease that a worker holds, or another shard waits for, stays. Streams that are not at the
endpoint are left alone: they may be in another account. With --deleted all leases of STREAM
in the region go, when Kinesis says twice, five seconds apart, that there is no such stream.`,
		Example: `  shardrun gc billing            # what it would do
  shardrun gc billing orders --yes
  shardrun gc billing invoices --deleted --yes`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if f.group == "" || len(args) == 2 {
				if err := f.named("gc", args[:min(len(args), 1)]); err != nil {
					return err
				}
				args = args[1:]
			}
			if deleted && len(args) == 0 {
				return usagef("gc: --deleted needs STREAM: which of the streams was deleted")
			}
			return a.gc(c.Context(), f, strings.Join(args, ""), deleted, yes)
		},
	})
	f.addNamed(c)
	c.Flags().BoolVar(&deleted, "deleted", false, "STREAM was deleted, for good: remove all of its leases")
	c.Flags().BoolVar(&yes, "yes", false, "do it")
	return c
}

// gcLine is a lease that nobody needs, as the command prints it.
type gcLine struct {
	Lease   string `json:"lease"`
	Why     string `json:"why"`
	Removed bool   `json:"removed"`
	Kept    string `json:"kept,omitempty"` // why it was not removed after all

	deleted bool // with its stream
}

func (a *app) gc(ctx context.Context, f groupFlags, stream string, deleted, yes bool) (err error) {
	g, err := openGroup(ctx, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	client, err := a.client(ctx)
	if err != nil {
		return err
	}
	v, err := g.known(ctx)
	if err != nil {
		return err
	}
	find := func() ([]gcLine, error) { return a.garbage(ctx, client, v.Leases, stream) }
	if deleted {
		find = func() ([]gcLine, error) { return a.ofDeleted(ctx, client, v.Leases, stream) }
	}
	lines, err := find()
	if err != nil {
		return err
	}
	if yes {
		if err := g.collect(ctx, v, lines); err != nil {
			return err
		}
	}
	if err := a.printGarbage(lines, yes); err != nil {
		return err
	}
	if !yes && len(lines) > 0 {
		fmt.Fprintln(a.err, "shardrun: nothing was changed: say --yes to remove")
		return exitError(exitPlan)
	}
	return nil
}

// garbage finds what nobody needs, of one stream or, when that is empty, of all that
// the group has leases of.
func (a *app) garbage(ctx context.Context, client *kinesis.Client, leases []lease.Lease, only string) ([]gcLine, error) {
	names, err := streamsOf(leases, only)
	if err != nil {
		return nil, err
	}
	var lines []gcLine
	listed := map[string][]shardInfo{} // by name: the first list, of streams that may have lost shards
	for _, name := range names {
		st, err := findStream(ctx, client, name)
		if _, gone := errors.AsType[*types.ResourceNotFoundException](err); gone && only == "" {
			fmt.Fprintf(a.err, "shardrun: stream %s is not at this endpoint: its leases are left alone\n", plain(name))
			continue
		}
		if err != nil {
			return nil, err
		}
		lines = append(lines, remade(st, leases)...)
		shards, err := allShards(ctx, client, st.name)
		if err != nil {
			return nil, err
		}
		if len(expired(st.id, shards, leases)) > 0 {
			listed[name] = shards
		}
	}
	if len(listed) > 0 {
		if err := a.beforeAskingAgain(ctx); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		if listed[name] == nil {
			continue
		}
		shards, err := allShards(ctx, client, name)
		if err != nil {
			return nil, err
		}
		st, err := findStream(ctx, client, name) // the lists were of this one
		if err != nil {
			return nil, err
		}
		lines = append(lines, expired(st.id, slices.Concat(listed[name], shards), leases)...)
	}
	slices.SortFunc(lines, func(x, y gcLine) int { return cmp.Compare(x.Lease, y.Lease) })
	return lines, nil
}

// ofDeleted are the leases of a stream that is not there, and will not be again.
func (a *app) ofDeleted(ctx context.Context, client *kinesis.Client, leases []lease.Lease, name string) ([]gcLine, error) {
	if _, err := streamsOf(leases, name); err != nil {
		return nil, err
	}
	for again := range 2 {
		if again > 0 {
			if err := a.beforeAskingAgain(ctx); err != nil {
				return nil, err
			}
		}
		_, err := findStream(ctx, client, name)
		if _, gone := errors.AsType[*types.ResourceNotFoundException](err); gone {
			continue
		}
		if err == nil {
			err = fmt.Errorf("stream %s is there: without --deleted its leases that nobody needs are removed", name)
		}
		return nil, err
	}
	var lines []gcLine
	for _, l := range leases {
		was, place, _, ok := streamid.Cut(lease.StreamOf(l.Name))
		if ok && was == name && strings.HasSuffix(place, ":"+client.Options().Region+":"+name) {
			lines = append(lines, gcLine{Lease: l.Name, Why: "its stream was deleted", deleted: true})
		}
	}
	return lines, nil
}

// beforeAskingAgain waits for what one answer may have missed.
func (a *app) beforeAskingAgain(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(cmp.Or(a.gcTwice, gcTwice)):
		return nil
	}
}

// streamsOf are the names of the streams that leases are of, or only the one.
func streamsOf(leases []lease.Lease, only string) ([]string, error) {
	var names []string
	for _, l := range leases {
		names = append(names, streamName(lease.StreamOf(l.Name)))
	}
	slices.Sort(names)
	names = slices.Compact(names)
	switch {
	case only == "":
		return names, nil
	case slices.Contains(names, only):
		return []string{only}, nil
	}
	return nil, fmt.Errorf("the group has no leases of a stream %s, but of %s", only, strings.Join(names, ", "))
}

// expired are the leases of a stream whose shards were handled to their end and are
// not listed.
func expired(id string, listed []shardInfo, leases []lease.Lease) []gcLine {
	there := make(map[string]bool, len(listed))
	for _, s := range listed {
		there[s.ShardId] = true
	}
	var out []gcLine
	for _, l := range of(leases, id) {
		if l.Finished() && !there[lease.ShardOf(l.Name)] {
			out = append(out, gcLine{Lease: l.Name, Why: "its shard was handled to its end and is gone from the stream"})
		}
	}
	return out
}

// remade are the leases of streams that were deleted, and of which st is the present
// one, when that is so old that nothing of them is left.
func remade(st found, leases []lease.Lease) []gcLine {
	_, place, created, ok := streamid.Cut(st.id)
	if !ok || st.now.Sub(created) <= st.retention {
		return nil
	}
	var out []gcLine
	for _, l := range leases {
		if _, was, before, ok := streamid.Cut(lease.StreamOf(l.Name)); ok && was == place && before.Before(created) {
			out = append(out, gcLine{
				Lease: l.Name, Why: "its stream was deleted and made anew at " + created.Format(time.RFC3339), deleted: true,
			})
		}
	}
	return out
}

// collect removes leases, and notes what became of each.
func (g *group) collect(ctx context.Context, v lease.View, lines []gcLine) error {
	for _, deleted := range []bool{false, true} {
		var (
			names []string
			at    []int
		)
		for i, l := range lines {
			if l.deleted == deleted {
				names, at = append(names, l.Lease), append(at, i)
			}
		}
		if len(names) == 0 {
			continue
		}
		left, err := g.Collect(ctx, g.scope(v), lease.Collection{Names: names, Deleted: deleted})
		if err != nil {
			return err
		}
		for k, err := range left {
			switch line := &lines[at[k]]; {
			case err == nil:
				line.Removed = true
			case errors.Is(err, lease.ErrHeld):
				line.Kept = "a worker holds it"
			case errors.Is(err, lease.ErrNeeded):
				line.Kept = "another shard waits for it"
			default:
				line.Kept = err.Error()
			}
		}
	}
	return nil
}

func (a *app) printGarbage(lines []gcLine, done bool) error {
	switch {
	case a.json:
		return printLines(a.out, lines)
	case len(lines) == 0:
		_, err := fmt.Fprintln(a.out, "nothing is to be removed")
		return err
	}
	header := "WOULD BE REMOVED BECAUSE"
	if done {
		header = "REMOVED BECAUSE"
	}
	t := newTable(a.out, "STREAM", "SHARD", header)
	for _, l := range lines {
		why := l.Why
		if l.Kept != "" {
			why = "(kept: " + l.Kept + ")"
		}
		t.row(plain(lease.StreamOf(l.Lease)), plain(lease.ShardOf(l.Lease)), why)
	}
	return t.flush()
}
