package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/shardrun/shardrun/cmd/shardrun/internal/plural"
	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/lease"
)

type leasesInitFlags struct {
	groupFlags
	at  string
	ttl time.Duration
}

func (a *app) leasesInitCommand() *cobra.Command {
	var f leasesInitFlags
	c := a.clientFlags(&cobra.Command{
		Use:   "init STREAM --group GROUP --at trim|latest|TIME",
		Short: "Make a group's leases before its first worker starts",
		Long: `Make the leases of a group for a stream, as its first worker would, and so fix where the
group begins: what arrives from then on is handled, whenever workers start. Without it a
group that begins at Latest begins when its first worker does; and one that lost all its
state with no worker running would begin there again.

Where the group has leases of the stream, nothing is changed: shardrun reset moves them.
Where the state of the group was lost and no worker remembers it, this says where it goes
on; it waits one lease time for what workers give back. A time may not be ahead of now.`,
		Example: `  shardrun leases init orders --group billing --at latest
  shardrun leases init orders --group billing --at 2026-01-02T15:04:05Z`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.leasesInit(c.Context(), f, args[0]) },
	})
	f.addGroup(c)
	c.Flags().StringVar(&f.at, "at", "", "where the group begins: trim (the oldest), latest, a time (RFC 3339), or a duration ago (15m) (required)")
	completeFlags(c, map[string][]string{"at": {"trim", "latest"}})
	c.Flags().DurationVar(&f.ttl, "lease-ttl", 10*time.Second, "the lease time of a group that does not exist yet; its workers keep to it, whatever their LeaseTTL")
	return c
}

func (a *app) leasesInit(ctx context.Context, f leasesInitFlags, stream string) (err error) {
	if f.at == "" {
		return usagef("--at is required: trim, latest, a time like 2026-01-02T15:04:05Z, or a duration like 15m")
	}
	at, err := parseStart("--at", f.at, time.Now())
	if err != nil {
		return err
	}
	if f.ttl < lease.MinTTL || f.ttl > lease.MaxTTL {
		return usagef("--lease-ttl %v: it must be from %v to %v", f.ttl, lease.MinTTL, lease.MaxTTL)
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
	id, rows, err := consumer.FirstLeases(ctx, client, stream, at)
	if err != nil {
		return taken(err, stream, f.group)
	}
	v, broken, err := g.seen(ctx)
	if err == nil && (broken || v.SyncUntil > v.Now) {
		fmt.Fprintf(a.err, "shardrun: the state of group %s was lost: for one lease time workers that run may give back what they remember\n", plain(f.group))
		if err = settle(ctx, g, f.ttl); err == nil {
			v, err = g.view(ctx)
		}
	}
	if err != nil {
		return err
	}
	if have := len(of(v.Leases, id)); have > 0 {
		return existError(f.group, id, have)
	}
	switch err := makeLeases(ctx, g, f.ttl, id, rows); {
	case errors.Is(err, lease.ErrExists), errors.Is(err, lease.ErrHeld):
		return fmt.Errorf("somebody else makes the leases of stream %s just now: nothing was changed; shardrun leases %s shows them", streamName(id), f.group)
	case err != nil:
		return err
	}
	return a.printMade(made{Group: f.group, Stream: id, Leases: len(rows), Position: rows[0].Position.String()})
}

func existError(group, id string, have int) error {
	name := streamName(id)
	return fmt.Errorf("group %s has %s of stream %s already: nothing was changed; to move them: shardrun reset %s --group %s --to …",
		group, plural.Of(have, "lease", "leases"), name, name, group)
}

// made is what was made, as the commands print it.
type made struct {
	Group    string `json:"group"`
	Stream   string `json:"stream"`
	Leases   int    `json:"leases"`
	Position string `json:"position"`
}

func (a *app) printMade(m made) error {
	if a.json {
		return printJSON(a.out, m)
	}
	_, err := fmt.Fprintf(a.out, "made %s of %s for group %s, at %s\n",
		plural.Of(m.Leases, "lease", "leases"), plain(streamName(m.Stream)), plain(m.Group), plain(m.Position))
	return err
}
