package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/internal/rediskeys"
)

// groupsAtMost is how many groups are listed: the tables of all of them are read.
const groupsAtMost = 1000

// groupInfo is a group as the command prints it.
type groupInfo struct {
	Group    string   `json:"group"`
	Streams  []string `json:"streams"`
	Leases   int      `json:"leases"`
	Finished int      `json:"finished"` // of the leases
	Workers  int      `json:"workers"`  // that run
	Held     int      `json:"held"`
	Paused   bool     `json:"paused"`
	Note     string   `json:"note,omitempty"` // why it has no leases, or cannot be read
}

// groups lists the groups that a Redis has.
func (a *app) groups(ctx context.Context, address string) (err error) {
	store, err := openRedis(ctx, address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.close()) }()
	names, more, err := store.groupNames(ctx, groupsAtMost)
	if err != nil {
		return err
	}
	infos := make([]groupInfo, 0, len(names))
	for _, name := range names {
		i, err := (&group{store, name}).info(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			i = groupInfo{Group: name, Streams: []string{}, Note: err.Error()}
		}
		infos = append(infos, i)
	}
	if more {
		fmt.Fprintf(a.err, "shardrun: there are more than %d groups: these are some of them\n", groupsAtMost)
	}
	if a.json {
		return printLines(a.out, infos)
	}
	return a.printGroups(infos)
}

// info counts what a group has.
func (g *group) info(ctx context.Context) (groupInfo, error) {
	v, broken, err := g.seen(ctx)
	if err != nil {
		return groupInfo{}, err
	}
	i := groupInfo{Group: g.name, Streams: []string{}, Leases: len(v.Leases), Paused: v.Paused, Note: g.bare(v, broken)}
	i.Workers, i.Held = running(v)
	for _, l := range v.Leases {
		if l.Finished() {
			i.Finished++
		}
	}
	if len(v.Leases) > 0 {
		i.Streams, err = streamsOf(v.Leases, "")
	}
	return i, err
}

func (a *app) printGroups(infos []groupInfo) error {
	if len(infos) == 0 {
		_, err := fmt.Fprintln(a.out, "there are no groups in this Redis")
		return err
	}
	t := newTable(a.out, "GROUP", "STREAMS", "LEASES", "HELD", "WORKERS", "PAUSED")
	for _, i := range infos {
		streams, paused := strings.Join(i.Streams, ", "), "no"
		if streams == "" {
			streams = "-"
		}
		if i.Paused {
			paused = "yes"
		}
		t.row(plain(i.Group), plain(streams), strconv.Itoa(i.Leases-i.Finished), strconv.Itoa(i.Held), strconv.Itoa(i.Workers), paused)
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, i := range infos {
		if i.Note != "" {
			fmt.Fprintln(a.out, plain(i.Note))
		}
	}
	return nil
}

// groupNames finds the groups that a Redis has, in order, by a walk over all of its
// keys. It ends early when there are more than are wanted.
func (s *redisStore) groupNames(ctx context.Context, most int) (names []string, more bool, err error) {
	var (
		mu   sync.Mutex // guards seen: the nodes of a cluster are walked at a time
		seen = map[string]bool{}
	)
	walk := func(ctx context.Context, node redis.Cmdable) error {
		keys := node.ScanType(ctx, 0, rediskeys.Keys("*")[0], 1000, "hash").Iterator()
		for keys.Next(ctx) {
			name, ok := groupOf(keys.Val())
			if !ok {
				continue
			}
			mu.Lock()
			seen[name] = true
			full := len(seen) > most
			mu.Unlock()
			if full {
				return nil
			}
		}
		return keys.Err()
	}
	if cluster, ok := s.client.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return walk(ctx, node) })
	} else {
		err = walk(ctx, s.client)
	}
	if err != nil {
		return nil, false, fmt.Errorf("look for groups in Redis: %w", err)
	}
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	if more = len(names) > most; more {
		names = names[:most]
	}
	return names, more, nil
}

// groupOf is the group that a key is the first of; ok is false for a key of somebody
// else.
func groupOf(key string) (name string, ok bool) {
	name, _ = strings.CutPrefix(key, "{")
	name, _ = strings.CutSuffix(name, "}:m")
	return name, rediskeys.ValidateGroup(name) == nil && rediskeys.Keys(name)[0] == key
}
