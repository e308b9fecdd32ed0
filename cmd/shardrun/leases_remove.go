package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/shardrun/shardrun/cmd/shardrun/internal/plural"
	"github.com/shardrun/shardrun/internal/rediskeys"
)

func (a *app) leasesRemoveCommand() *cobra.Command {
	var (
		f   groupFlags
		yes bool
	)
	c := &cobra.Command{
		Use:   "remove GROUP --yes",
		Short: "Remove a whole group that is not used any more",
		Long: `Remove all that Redis has of a group: its leases, how far each shard was handled, and what
handlers saved with that. Workers that start under its name later begin as a new group, at
Config.StartAt. It is refused while a worker of the group runs.

Without --yes it says what would be removed, and exits with 3.`,
		Example: `  shardrun leases --groups
  shardrun leases remove billing-test          # what it would do
  shardrun leases remove billing-test --yes`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.named("leases remove", args); err != nil {
				return err
			}
			return a.leasesRemove(c.Context(), f, yes)
		},
	}
	f.addNamed(c)
	c.Flags().BoolVar(&yes, "yes", false, "do it")
	return c
}

// removed is what the command prints.
type removed struct {
	groupInfo
	Removed bool `json:"removed"`
}

func (a *app) leasesRemove(ctx context.Context, f groupFlags, yes bool) (err error) {
	g, err := openGroup(ctx, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	if _, _, err := g.there(ctx); err != nil {
		return err
	}
	r := removed{Removed: yes}
	if yes {
		r.groupInfo, err = g.removeUnused(ctx)
	} else {
		r.groupInfo, err = g.unused(ctx)
	}
	if err != nil {
		return err
	}
	if a.json {
		err = printJSON(a.out, r)
	} else {
		what := "would be removed"
		if yes {
			what = "is removed"
		}
		_, err = fmt.Fprintf(a.out, "group %s %s, with %s\n", plain(f.group), what, plural.Of(r.Leases, "lease", "leases"))
	}
	if err == nil && !yes {
		fmt.Fprintln(a.err, "shardrun: nothing was changed: say --yes to remove")
		err = exitError(exitPlan)
	}
	return err
}

// unused counts what a group has of which no worker runs.
func (g *group) unused(ctx context.Context) (groupInfo, error) {
	i, err := g.info(ctx)
	if err == nil && i.Workers > 0 {
		err = fmt.Errorf("group %s is in use: %s (shardrun leases %s --sessions); nothing was removed", g.name, workersText(i.Workers), g.name)
	}
	return i, err
}

// removeUnused removes a group of which no worker runs. Each beat writes the first key
// of the group, so one that comes between the look and the removal keeps it.
func (g *group) removeUnused(ctx context.Context) (i groupInfo, err error) {
	keys := rediskeys.Keys(g.name)
	err = g.client.Watch(ctx, func(tx *redis.Tx) error {
		if i, err = g.unused(ctx); err != nil {
			return err
		}
		_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.Unlink(ctx, keys...)
			return nil
		})
		return err
	}, keys...)
	if errors.Is(err, redis.TxFailedErr) {
		err = fmt.Errorf("a worker of group %s started just now: nothing was removed", g.name)
	}
	return i, err
}
