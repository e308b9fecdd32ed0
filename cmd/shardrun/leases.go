package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// leaseInfo is a lease as the command prints it.
type leaseInfo struct {
	Lease       string   `json:"lease"`
	Stream      string   `json:"stream"`
	Shard       string   `json:"shard"`
	State       string   `json:"state"` // held, lapsed, free, waiting, finished
	Owner       string   `json:"owner"`
	Epoch       uint64   `json:"epoch"`
	Position    string   `json:"position"` // a sequence number, START, START@time or SHARD_END
	Subsequence uint64   `json:"subsequence"`
	Want        string   `json:"want"`
	Parents     []string `json:"parents"`
}

func (a *app) leasesCommand() *cobra.Command {
	var redis, group string
	c := &cobra.Command{
		Use:   "leases --group GROUP",
		Short: "Show who holds the shards of a group, and how far each was handled",
		Example: `  shardrun leases --group billing --redis 127.0.0.1:6379
  shardrun leases --group billing --json | jq -r 'select(.state == "free") | .shard'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if group == "" {
				return usagef("leases: --group is required: the consumer's Config.Group")
			}
			return a.leases(c.Context(), redis, group)
		},
	}
	c.Flags().StringVar(&redis, "redis", "127.0.0.1:6379", "address or redis:// URL of the Redis that the workers use")
	c.Flags().StringVar(&group, "group", "", "the group of workers")
	return c
}

func (a *app) leases(ctx context.Context, redis, group string) (err error) {
	store, err := openRedis(ctx, redis)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.close()) }()
	view, err := store.View(ctx, group)
	if errors.Is(err, lease.ErrGone) || err == nil && len(view.Leases) == 0 {
		return fmt.Errorf("group %s has no leases in this Redis: did a worker of it ever start?", group)
	}
	if err != nil {
		return err
	}
	infos := leaseInfos(view)
	if a.json {
		for _, i := range infos {
			if err := printJSON(a.out, i); err != nil {
				return err
			}
		}
		return nil
	}
	t := newTable(a.out, "STREAM", "SHARD", "STATE", "OWNER", "EPOCH", "POSITION", "WANTED BY", "WAITS FOR")
	for _, i := range infos {
		position := i.Position
		if i.Subsequence > 0 {
			position += ":" + strconv.FormatUint(i.Subsequence, 10)
		}
		var parents []string
		for _, p := range i.Parents {
			parents = append(parents, lease.ShardOf(p))
		}
		t.row(plain(i.Stream), plain(i.Shard), i.State, plain(cmp.Or(i.Owner, "-")), strconv.FormatUint(i.Epoch, 10), plain(position),
			plain(cmp.Or(i.Want, "-")), plain(cmp.Or(strings.Join(parents, ", "), "-")))
	}
	return t.flush()
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
	infos := make([]leaseInfo, 0, len(view.Leases))
	for _, l := range view.Leases {
		info := leaseInfo{
			Lease: l.Name, Stream: lease.StreamOf(l.Name), Shard: lease.ShardOf(l.Name),
			Epoch: l.Epoch, Position: l.Position.String(), Parents: []string{},
		}
		if l.Position.Rank == checkpoint.RankRecord {
			info.Position, info.Subsequence = string(l.Position.Sequence), l.Position.Subsequence
		}
		for _, p := range l.Shard.Parents {
			if !finished[p] {
				info.Parents = append(info.Parents, p)
			}
		}
		owner, living := sessions[lease.SessionOf(l.Token)]
		switch {
		case l.Finished():
			info.State = "finished"
		case l.Free() && len(info.Parents) > 0:
			info.State = "waiting"
		case l.Free():
			info.State = "free"
		case !living || owner.Deadline < view.Now:
			info.State, info.Owner = "lapsed", name(lease.SessionOf(l.Token))
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
