package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/spf13/cobra"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/lease"
)

type resetFlags struct {
	groupFlags
	to, shard  string
	force, yes bool
}

func (a *app) resetCommand() *cobra.Command {
	var f resetFlags
	c := a.clientFlags(&cobra.Command{
		Use:   "reset STREAM --group GROUP --to trim|latest|TIME|POSITION",
		Short: "Set where a group goes on from, also backwards",
		Long: `Set where a group goes on from in a stream: trim (the oldest records), latest (those that
arrive from now on), or a time. Without --yes it says what would be done.

The leases of the stream are removed and made anew, as the group's first worker would make
them at that point: shards that were handled to their end are among them when they have
records from it on. What followed them is removed, and comes back when they end, so each
key is in order again. State that handlers saved with positions is dropped.

--shard sets one shard only: to a start as above, or to a position, which is the last
record that counts as handled, as shardrun leases shows it. A shard that was handled to
its end is not set alone: what followed it has begun, and its records would come behind
theirs.

The group has to be paused, or with --shard that one lease: shardrun pause --wait lets
handlers finish. With --force it need not be: whoever holds a shard is fenced, and what it
has not saved is handled again. The whole group is paused for the moment then, when all of a
stream is set.

A time may not be ahead of now. Exits with 3 when nothing was done because --yes is missing.`,
		Example: `  shardrun pause billing --wait
  shardrun reset orders --group billing --to 2026-01-02T15:04:05Z          # what it would do
  shardrun reset orders --group billing --to 2026-01-02T15:04:05Z --yes
  shardrun resume billing
  shardrun reset orders --group billing --to latest --shard shardId-000000000003 --force --yes`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.reset(c.Context(), f, args[0]) },
	})
	f.addGroup(c)
	c.Flags().StringVar(&f.to, "to", "", "trim, latest, a time (RFC 3339), a duration ago (15m), or with --shard a sequence number, also with :NUMBER in an aggregate (required)")
	c.Flags().StringVar(&f.shard, "shard", "", "this shard only")
	completeFlags(c, map[string][]string{"to": {"trim", "latest"}})
	c.Flags().BoolVar(&f.force, "force", false, "do it though the group is not paused")
	c.Flags().BoolVar(&f.yes, "yes", false, "do it")
	return c
}

// resetLine is what becomes of one lease, as the command prints it.
type resetLine struct {
	Lease string `json:"lease"`
	Shard string `json:"shard"`
	State string `json:"state"`
	From  string `json:"from"` // empty for none
	To    string `json:"to"`   // empty when it is removed, to be made when its parents end, if there are any
	Done  bool   `json:"done"`
}

// resetting is a reset of one group and stream that is under way.
type resetting struct {
	*app
	*group
	flags  resetFlags
	stream string // its id
	rows   []lease.Row
	to     checkpoint.Position
}

func (a *app) reset(ctx context.Context, f resetFlags, stream string) (err error) {
	if f.to == "" {
		return usagef("--to is required: trim, latest, a time like 2026-01-02T15:04:05Z, a duration like 15m, or with --shard a sequence number")
	}
	record, at, err := parseReset(f.to, f.shard != "", time.Now())
	if err != nil {
		return err
	}
	g, err := openGroup(ctx, f.groupFlags)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	client, err := a.client(ctx)
	if err != nil {
		return err
	}
	r := &resetting{app: a, group: g, flags: f}
	if r.stream, r.rows, err = consumer.FirstLeases(ctx, client, stream, at); err != nil {
		return taken(err, stream, f.group)
	}
	r.to = r.rows[0].Position
	if record != nil {
		r.to = *record
	}
	v, err := g.known(ctx)
	if err != nil {
		return err
	}
	leases := of(v.Leases, r.stream)
	if len(leases) == 0 {
		return fmt.Errorf("group %s has no leases of stream %s: shardrun leases init makes them", f.group, streamName(r.stream))
	}
	if f.shard != "" {
		return r.one(ctx, client, v, leases)
	}
	return r.all(ctx, v, leases)
}

// may fails unless the group is paused, or the one lease that is meant, or the reset
// forced.
func (r *resetting) may(v lease.View, one *lease.Lease) error {
	if v.Paused || r.flags.force || one != nil && one.Marked(lease.FlagPaused) {
		return nil
	}
	if one != nil {
		return fmt.Errorf("neither group %s nor its lease is paused: shardrun pause %s --shard %s --wait lets its handler finish, --force does without",
			r.flags.group, r.flags.group, r.flags.shard)
	}
	return fmt.Errorf("group %s is not paused: shardrun pause %s --wait lets its handlers finish, --force does without", r.flags.group, r.flags.group)
}

// one sets one shard.
func (r *resetting) one(ctx context.Context, client *kinesis.Client, v lease.View, leases []lease.Lease) error {
	i := slices.IndexFunc(leases, func(l lease.Lease) bool {
		return lease.ShardOf(l.Name) == r.flags.shard || l.Name == r.flags.shard
	})
	if i < 0 {
		return fmt.Errorf("group %s has no lease of shard %s of stream %s: shardrun leases %s shows what it has",
			r.flags.group, r.flags.shard, streamName(r.stream), r.flags.group)
	}
	l := leases[i]
	if l.Finished() {
		return fmt.Errorf("shard %s was handled to its end: what followed it has begun, and its records would come behind theirs; without --shard all of stream %s is set, in order",
			lease.ShardOf(l.Name), streamName(r.stream))
	}
	if r.to.Rank == checkpoint.RankRecord {
		if err := checkRecord(ctx, client, streamName(r.stream), lease.ShardOf(l.Name), r.to); err != nil {
			return fmt.Errorf("--to %s: %w", r.flags.to, err)
		}
	}
	line := resetLine{Lease: l.Name, Shard: lease.ShardOf(l.Name), State: stateOf(v, l), From: l.Position.String(), To: r.to.String()}
	if !r.flags.yes {
		return r.planned([]resetLine{line}, r.may(v, &l))
	}
	if err := r.may(v, &l); err != nil {
		return err
	}
	err := r.Reset(ctx, r.scope(v), lease.Reset{Name: l.Name, Position: r.to, Epoch: l.Epoch, Forced: r.flags.force})
	switch {
	case errors.Is(err, lease.ErrNotPaused):
		return fmt.Errorf("group %s, or its lease, was resumed just now: nothing was changed", r.flags.group)
	case errors.Is(err, lease.ErrChanged):
		return fmt.Errorf("shard %s was taken by a worker, or handled to its end, just now: nothing was changed, look again", line.Shard)
	case err != nil:
		return err
	}
	line.Done = true
	return r.print([]resetLine{line})
}

// all makes the leases of the stream anew.
func (r *resetting) all(ctx context.Context, v lease.View, leases []lease.Lease) error {
	lines := r.lines(v, leases)
	if !r.flags.yes {
		return r.planned(lines, r.may(v, nil))
	}
	if err := r.may(v, nil); err != nil {
		return err
	}
	scope, forced := r.scope(v), !v.Paused
	if forced {
		// Nobody takes a lease, or makes the ones that are missing, meanwhile.
		if err := r.Pause(ctx, scope, true); err != nil {
			return err
		}
		now, err := r.known(ctx)
		if err != nil {
			return err
		}
		leases = of(now.Leases, r.stream)
	}
	if err := r.anew(ctx, scope, v.TTL, leases); err != nil {
		return fmt.Errorf("%w; group %s stays paused: reset it again or, when it has no leases of stream %s any more, make them with shardrun leases init, then shardrun resume %s",
			err, r.flags.group, streamName(r.stream), r.flags.group)
	}
	if forced {
		if err := r.Pause(ctx, scope, false); err != nil {
			return err
		}
	}
	for i := range lines {
		lines[i].Done = true
	}
	return r.print(lines)
}

// lines are what becomes of each lease.
func (r *resetting) lines(v lease.View, leases []lease.Lease) []resetLine {
	lines := map[string]*resetLine{}
	line := func(name string) *resetLine {
		if lines[name] == nil {
			lines[name] = &resetLine{Lease: name, Shard: lease.ShardOf(name)}
		}
		return lines[name]
	}
	for _, l := range leases {
		line(l.Name).State, line(l.Name).From = stateOf(v, l), l.Position.String()
	}
	for _, row := range r.rows {
		line(row.Name).To = row.Position.String()
	}
	out := make([]resetLine, 0, len(lines))
	for _, l := range lines {
		out = append(out, *l)
	}
	slices.SortFunc(out, func(x, y resetLine) int { return cmp.Compare(x.Lease, y.Lease) })
	return out
}

// stateOf is the state of a lease as leases shows it.
func stateOf(v lease.View, l lease.Lease) string {
	infos := leaseInfos(lease.View{Now: v.Now, TTL: v.TTL, Sessions: v.Sessions, Leases: []lease.Lease{l}})
	return infos[0].State
}

func (r *resetting) print(lines []resetLine) error {
	if r.json {
		return printLines(r.out, lines)
	}
	from, to := "IS AT", "WOULD GO ON FROM"
	if lines[0].Done {
		from, to = "WAS AT", "GOES ON FROM"
	}
	t := newTable(r.out, "SHARD", "STATE", from, to)
	for _, l := range lines {
		t.row(plain(l.Shard), cmp.Or(l.State, "-"), plain(cmp.Or(l.From, "-")), plain(cmp.Or(l.To, "(removed)")))
	}
	return t.flush()
}
