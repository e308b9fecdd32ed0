package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// leaseInfo is a lease as the command prints it.
type leaseInfo struct {
	Lease       string   `json:"lease"`
	Stream      string   `json:"stream"`
	Shard       string   `json:"shard"`
	State       string   `json:"state"` // held, silent, lapsed, free, waiting, finished; gone in a watch
	Owner       string   `json:"owner"`
	Epoch       uint64   `json:"epoch"`
	Position    string   `json:"position"` // a sequence number, START, START@time or SHARD_END
	Subsequence uint64   `json:"subsequence"`
	LagMs       *int64   `json:"lag_ms,omitempty"` // with --lag, where it is known
	Want        string   `json:"want"`
	Parents     []string `json:"parents"` // those that the lease waits for
	Flags       []string `json:"flags"`   // paused, stopped:<version>
	GroupPaused bool     `json:"group_paused"`
	Former      bool     `json:"former,omitempty"` // of a stream that was deleted and made anew since, as other leases tell
}

type leasesFlags struct {
	groupFlags
	watch, sessions, lag, all, groups bool
}

func (a *app) leasesCommand() *cobra.Command {
	var f leasesFlags
	c := a.clientFlags(&cobra.Command{
		Use:   "leases GROUP",
		Short: "Show who holds the shards of a group, and how far each was handled",
		Long: `Show the leases of a group of workers: who holds each shard, and how far it was handled.

STATE is held; silent, when nothing was heard of the owner for half a lease time; lapsed,
when others may take it; free; waiting, for the shards of WAITS FOR to be handled to their
end; or finished. POSITION is the last record handled, with its number in an aggregate:
START and SHARD_END are the ends of a shard, and START@time is where a group began. FLAGS
are paused, and stopped:VERSION where the handler of a version said Stop. Finished shards
are counted, and shown with --all; --json has all.

A stream that was deleted and made anew is another stream, with leases of its own. Workers
that read it meanwhile go on with the new one when it is there within Config.StartTimeout,
from Config.StartAt, and where that is Latest from its oldest record; others begin it when
they start. The leases of the old one stay: shardrun gc GROUP removes them once the new
stream is older than its retention, and with STREAM --deleted those of a stream that does
not come back.

--lag asks Kinesis how long ago the records behind each position arrived. That takes one
read of each shard, of the five a second that all its readers have, and the rights
kinesis:DescribeStreamSummary, kinesis:GetShardIterator and kinesis:GetRecords. Records
that the owner has handled and not yet saved are in it.

--watch shows the table anew when it changes, and looks at least each second; positions
alone are not announced. With --json it prints what has changed.`,
		Example: `  shardrun leases billing --redis 127.0.0.1:6379
  shardrun leases billing --watch --lag
  shardrun leases billing --redis "rediss+sentinel://ann@s1,s2,s3?master=leases"    # password in $REDISCLI_AUTH
  shardrun leases billing --sessions
  shardrun leases --groups
  shardrun leases billing --json | jq -r 'select(.state == "free") | .shard'
  shardrun leases init orders --group billing --at latest`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if f.groups && (len(args) > 0 || f.group != "" || f.watch || f.sessions || f.lag || f.all) {
				return usagef("leases: --groups lists the groups: no GROUP and no other flag goes with it")
			}
			if f.groups {
				return a.groups(c.Context(), f.redis)
			}
			if err := f.named("leases", args); err != nil {
				return err
			}
			if f.sessions && f.lag {
				return usagef("leases: --lag is of shards, which --sessions does not show: use one of them")
			}
			return a.leases(c.Context(), f)
		},
	})
	f.addNamed(c)
	c.Flags().BoolVar(&f.all, "all", false, "show the finished shards too")
	c.Flags().BoolVar(&f.groups, "groups", false, "list the groups that this Redis has instead: a walk over all its keys")
	c.Flags().BoolVarP(&f.watch, "watch", "w", false, "go on showing changes, until ctrl-C")
	c.Flags().BoolVar(&f.sessions, "sessions", false, "show the workers instead")
	c.Flags().BoolVar(&f.lag, "lag", false, "show how far behind each shard is: one read of each")
	c.AddCommand(a.leasesInitCommand(), a.leasesRemoveCommand())
	return c
}

func (a *app) leases(ctx context.Context, f leasesFlags) (err error) {
	g, err := openGroup(ctx, f.groupFlags)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	show := &leasesView{app: a, group: g, flags: f}
	if f.lag {
		client, err := a.client(ctx)
		if err != nil {
			return err
		}
		show.lag = &lagReader{client: client, streams: map[string]bool{}}
	}
	if f.watch {
		return show.watch(ctx)
	}
	p, err := show.read(ctx)
	if err != nil {
		return err
	}
	if a.json && p.bare != "" {
		fmt.Fprintln(a.err, "shardrun: "+plain(p.bare))
	}
	return p.print(a, a.out)
}

// leasesView reads a group for the command.
type leasesView struct {
	app   *app
	group *group
	flags leasesFlags
	lag   *lagReader // nil without --lag
}

// picture is a group at one moment, as it is printed.
type picture struct {
	group    string
	paused   bool
	sync     time.Duration // for how long nothing is granted
	lag, all bool
	bare     string // why there are no leases
	leases   []leaseInfo
	sessions []sessionInfo // with --sessions, in place of leases
}

func (w *leasesView) read(ctx context.Context) (*picture, error) {
	v, broken, err := w.group.there(ctx)
	if err != nil {
		return nil, err
	}
	p := &picture{group: w.group.name, paused: v.Paused, lag: w.lag != nil, all: w.flags.all, bare: w.group.bare(v, broken)}
	if v.SyncUntil > v.Now {
		p.sync = time.Duration(v.SyncUntil-v.Now) * time.Millisecond
	}
	if w.flags.sessions {
		p.sessions = sessionInfos(v)
		return p, nil
	}
	p.leases = leaseInfos(v)
	if w.lag != nil {
		err = w.lag.read(ctx, w.app.err, v.Leases, p.leases)
	}
	return p, err
}

// print prints all of it.
func (p *picture) print(a *app, out io.Writer) error {
	switch {
	case a.json && p.sessions != nil:
		return printLines(out, p.sessions)
	case a.json:
		return printLines(out, p.leases)
	case p.bare != "" && p.sessions == nil:
		_, err := fmt.Fprintln(out, plain(p.bare))
		return err
	case p.paused:
		fmt.Fprintf(out, "group %s is paused (shardrun resume %s)\n", plain(p.group), plain(p.group))
	case p.sync > 0:
		fmt.Fprintf(out, "the state of group %s was lost; the workers restore it for %v yet\n", plain(p.group), p.sync)
	}
	if p.sessions != nil {
		return printSessions(out, p.sessions)
	}
	return p.printLeases(out)
}

func printLines[T any](out io.Writer, list []T) error {
	for _, v := range list {
		if err := printJSON(out, v); err != nil {
			return err
		}
	}
	return nil
}

// leaseInfos turns a view into what is printed, sorted by stream and shard.
func leaseInfos(view lease.View) []leaseInfo {
	sessions := make(map[string]lease.Session, len(view.Sessions))
	for _, s := range view.Sessions {
		sessions[s.ID] = s
	}
	name := func(session string) string {
		if s, ok := sessions[session]; ok && s.Name != "" {
			return s.Name
		}
		return session
	}
	finished := make(map[string]bool, len(view.Leases))
	for _, l := range view.Leases {
		finished[l.Name] = l.Finished()
	}
	before := former(view.Leases)
	infos := make([]leaseInfo, 0, len(view.Leases))
	for _, l := range view.Leases {
		info := leaseInfo{
			Lease: l.Name, Stream: lease.StreamOf(l.Name), Shard: lease.ShardOf(l.Name),
			Epoch: l.Epoch, Position: l.Position.String(), Parents: []string{}, Flags: []string{}, GroupPaused: view.Paused,
			Former: before[lease.StreamOf(l.Name)],
		}
		if l.Position.Rank == checkpoint.RankRecord {
			info.Position, info.Subsequence = string(l.Position.Sequence), l.Position.Subsequence
		}
		if l.Flags != "" {
			info.Flags = strings.Split(l.Flags, ",")
		}
		for _, p := range l.Shard.Parents {
			if !finished[p] {
				info.Parents = append(info.Parents, p)
			}
		}
		owner, known := sessions[lease.SessionOf(l.Token)]
		switch {
		case l.Finished():
			info.State = "finished"
		case l.Free() && len(info.Parents) > 0:
			info.State = "waiting"
		case l.Free():
			info.State = "free"
		case !known || owner.Deadline <= view.Now:
			info.State, info.Owner = "lapsed", name(lease.SessionOf(l.Token))
		case silent(view, owner):
			info.State, info.Owner = "silent", owner.Name
		default:
			info.State, info.Owner = "held", owner.Name
		}
		if l.Want != "" && l.WantUntil > view.Now {
			info.Want = name(l.Want)
		}
		infos = append(infos, info)
	}
	slices.SortFunc(infos, func(x, y leaseInfo) int {
		return cmp.Or(cmp.Compare(x.Stream, y.Stream), cmp.Compare(x.Shard, y.Shard))
	})
	return infos
}
