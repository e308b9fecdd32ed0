package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shardrun/shardrun/cmd/shardrun/internal/plural"
	"github.com/shardrun/shardrun/lease"
)

type pauseFlags struct {
	groupFlags
	shard string
	wait  bool
}

func (a *app) pauseCommand() *cobra.Command {
	var f pauseFlags
	c := &cobra.Command{
		Use:   "pause GROUP",
		Short: "Have the workers of a group give back their shards, and take none",
		Long: `Pause a group of workers, or one lease of it: they finish what they handle, save its
position, give the shards back and take none until shardrun resume. The workers go on
running; what arrives meanwhile waits in the stream, up to its retention.

It returns when the store has it; with --wait when nothing is held any more. Who interrupts
the wait ends the wait and not the pause. A pause outlasts workers that stop and start, and
the loss of all else that Redis has of the group.`,
		Example: `  shardrun pause billing --wait
  shardrun pause billing --shard shardId-000000000003
  shardrun resume billing`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.named("pause", args); err != nil {
				return err
			}
			return a.pause(c.Context(), f, true)
		},
	}
	f.add(c)
	c.Flags().BoolVar(&f.wait, "wait", false, "return when nothing is held any more")
	return c
}

func (a *app) resumeCommand() *cobra.Command {
	var f pauseFlags
	c := &cobra.Command{
		Use:   "resume GROUP",
		Short: "Let a paused group, or a paused lease, go on",
		Long: `Let a group of workers go on that shardrun pause has paused, where it was. Leases that were
paused alone stay so until they are resumed alone.`,
		Example: `  shardrun resume billing
  shardrun resume billing --shard shardId-000000000003`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.named("resume", args); err != nil {
				return err
			}
			return a.pause(c.Context(), f, false)
		},
	}
	f.add(c)
	return c
}

func (f *pauseFlags) add(c *cobra.Command) {
	f.addNamed(c)
	c.Flags().StringVar(&f.shard, "shard", "", "one lease only: its shard, or its whole name as leases --json shows it")
}

// pauseInfo is what the commands print.
type pauseInfo struct {
	Group   string `json:"group"`
	Lease   string `json:"lease,omitempty"` // with --shard
	Paused  bool   `json:"paused"`
	Workers int    `json:"workers"` // that run
	Held    int    `json:"held"`    // leases that they have
	Note    string `json:"note,omitempty"`
}

// pausePoll is how often --wait looks.
const pausePoll = 100 * time.Millisecond

func (a *app) pause(ctx context.Context, f pauseFlags, on bool) (err error) {
	g, err := openGroup(ctx, f.groupFlags)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	v, _, err := g.there(ctx)
	if err != nil {
		return err
	}
	info := pauseInfo{Group: f.group, Paused: on}
	if f.shard == "" {
		if err = g.Pause(ctx, g.scope(v), on); errors.Is(err, lease.ErrStateLost) {
			return fmt.Errorf("group %s: part of its state was lost, and with it whether it is paused: the first worker that runs makes it anew; try again then", f.group)
		}
	} else {
		if v, err = g.known(ctx); err != nil {
			return err
		}
		if info.Lease, err = leaseNamed(f.group, v.Leases, f.shard); err != nil {
			return err
		}
		err = g.Mark(ctx, g.scope(v), lease.Mark{Name: info.Lease, Flag: lease.FlagPaused, Off: !on})
	}
	if err != nil {
		return err
	}
	v, err = a.pauseWait(ctx, g, f, &info, v)
	if err != nil {
		return stillPaused(err, f, info, v)
	}
	return a.printPause(info, v.Paused)
}

// pauseWait looks what is held, with --wait until that is nothing. It returns what was
// seen last, also when it fails.
func (a *app) pauseWait(ctx context.Context, g *group, f pauseFlags, info *pauseInfo, seen lease.View) (lease.View, error) {
	for {
		v, broken, err := g.there(ctx)
		if err != nil {
			return seen, err
		}
		seen = v
		if info.Workers, info.Held = running(v); info.Lease != "" {
			info.Held = len(holders(v, info.Lease))
		} else {
			info.Note = g.bare(v, broken)
		}
		if !f.wait || info.Held == 0 {
			return seen, nil
		}
		select {
		case <-ctx.Done():
			return seen, ctx.Err()
		case <-time.After(pausePoll):
		}
	}
}

// stillPausedNames is how many leases an interrupted wait names.
const stillPausedNames = 10

// stillPaused is the error of a command that was ended, or failed, after the pause was
// set: that it stays, who held what, and how it ends.
func stillPaused(err error, f pauseFlags, i pauseInfo, v lease.View) error {
	if !i.Paused {
		return err
	}
	why := explain(err).Error()
	if errors.Is(err, context.DeadlineExceeded) {
		why = "timed out"
	}
	what, resume := "group "+i.Group, "shardrun resume "+i.Group
	if i.Lease != "" {
		what, resume = "lease "+i.Lease, resume+" --shard "+f.shard
	}
	held := holders(v, i.Lease)
	switch more := len(held) - stillPausedNames; {
	case len(held) == 0:
		return fmt.Errorf("%s: %s stays paused until %s", why, what, resume)
	case more > 0:
		held = append(held[:stillPausedNames], fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("%s: %s stays paused until %s; held yet: %s", why, what, resume, strings.Join(held, ", "))
}

// holders says which worker that is heard of holds what, of one lease or, for no name,
// of all.
func holders(v lease.View, name string) []string {
	workers := map[string]string{}
	for _, s := range v.Sessions {
		if !silent(v, s) {
			workers[s.ID] = s.Name
		}
	}
	var out []string
	for _, l := range v.Leases {
		if worker, heard := workers[lease.SessionOf(l.Token)]; heard && !l.Free() && (name == "" || name == l.Name) {
			out = append(out, fmt.Sprintf("%s of %s by %s", lease.ShardOf(l.Name), streamName(lease.StreamOf(l.Name)), worker))
		}
	}
	return out
}

// leaseNamed finds the one lease of a shard, or of a whole name.
func leaseNamed(group string, leases []lease.Lease, shard string) (string, error) {
	var names []string
	for _, l := range leases {
		if l.Name == shard || lease.ShardOf(l.Name) == shard {
			names = append(names, l.Name)
		}
	}
	switch len(names) {
	case 0:
		return "", fmt.Errorf("group %s has no lease of shard %s: shardrun leases %s shows what it has", group, shard, group)
	case 1:
		return names[0], nil
	}
	return "", usagef("--shard %s: several leases have it; name one of %s", shard, strings.Join(names, ", "))
}

func (a *app) printPause(i pauseInfo, group bool) error {
	if a.json {
		return printJSON(a.out, i)
	}
	if i.Note != "" {
		defer fmt.Fprintln(a.out, plain(i.Note))
	}
	what, held := "group "+i.Group, plural.Of(i.Held, "lease is", "leases are")+" held"
	if i.Lease != "" {
		what = "lease " + i.Lease
		held = "it is held"
	}
	if i.Held == 0 {
		held = "nothing is held"
	}
	switch {
	case i.Paused && i.Held > 0:
		_, err := fmt.Fprintf(a.out, "%s is paused: %s, %s yet\n", plain(what), workersText(i.Workers), held)
		return err
	case i.Paused:
		_, err := fmt.Fprintf(a.out, "%s is paused: %s, %s\n", plain(what), workersText(i.Workers), held)
		return err
	case i.Lease != "" && group:
		_, err := fmt.Fprintf(a.out, "%s is not paused any more, but its group is: shardrun resume %s\n", plain(what), plain(i.Group))
		return err
	}
	_, err := fmt.Fprintf(a.out, "%s goes on: %s\n", plain(what), workersText(i.Workers))
	return err
}
