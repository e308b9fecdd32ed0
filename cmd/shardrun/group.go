package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/spf13/cobra"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/cmd/shardrun/internal/plural"
	"github.com/shardrun/shardrun/internal/redisurl"
	"github.com/shardrun/shardrun/internal/streamid"
	"github.com/shardrun/shardrun/lease"
)

// groupFlags say which group of workers is meant.
type groupFlags struct{ redis, group string }

func (f *groupFlags) addRedis(c *cobra.Command) {
	c.Flags().StringVar(&f.redis, "redis", "127.0.0.1:6379", redisurl.Usage)
}

// addGroup is for commands whose argument is a stream.
func (f *groupFlags) addGroup(c *cobra.Command) {
	f.addRedis(c)
	c.Flags().StringVar(&f.group, "group", "", "the group of workers (required)")
}

// addNamed is for commands whose first argument is a group, which --group may name too,
// as it does for the commands whose argument is a stream.
func (f *groupFlags) addNamed(c *cobra.Command) {
	f.addRedis(c)
	c.Flags().StringVar(&f.group, "group", "", "the group, where it is not an argument")
}

// named takes the group from the arguments, of which there is one at most, or from
// --group.
func (f *groupFlags) named(command string, args []string) error {
	switch {
	case len(args) > 0 && f.group != "" && args[0] != f.group:
		return usagef("%s: GROUP is given twice, as %s and as %s", command, args[0], f.group)
	case len(args) > 0:
		f.group = args[0]
	case f.group == "":
		return usagef("%s: GROUP is required: the consumer's Config.Group", command)
	}
	return nil
}

// group is a group of workers in its store.
type group struct {
	*redisStore
	name string
}

// openGroup reaches the store of a group.
func openGroup(ctx context.Context, f groupFlags) (*group, error) {
	if f.group == "" {
		return nil, usagef("--group is required: the consumer's Config.Group")
	}
	store, err := openRedis(ctx, f.redis)
	if err != nil {
		return nil, err
	}
	return &group{store, f.group}, nil
}

// view reads the group's table, which may be empty.
func (g *group) view(ctx context.Context) (lease.View, error) {
	v, err := g.View(ctx, g.name)
	if errors.Is(err, lease.ErrGone) {
		return lease.View{}, nil
	}
	return v, err
}

// there reads the table of a group that is there, though it may have no leases. Broken
// says that part of its state is missing: then v has no more than whether it is paused.
func (g *group) there(ctx context.Context) (v lease.View, broken bool, err error) {
	v, broken, err = g.seen(ctx)
	if err == nil && !broken && v.Incarnation == "" {
		err = fmt.Errorf("there is no group %s in this Redis (GROUP is the consumer's Config.Group): did a worker of it ever start? "+
			"shardrun leases --groups shows what there is", g.name)
	}
	return v, broken, err
}

// seen is there for a group that may not be there.
func (g *group) seen(ctx context.Context) (v lease.View, broken bool, err error) {
	v, err = g.view(ctx)
	if errors.Is(err, lease.ErrStateLost) {
		return v, true, nil
	}
	return v, false, err
}

// known reads the table of a group that has leases.
func (g *group) known(ctx context.Context) (lease.View, error) {
	v, broken, err := g.there(ctx)
	if text := g.bare(v, broken); err == nil && text != "" {
		err = errors.New(text)
	}
	return v, err
}

// bare says why a group that is there has no leases and what becomes of it, "" when it
// has some.
func (g *group) bare(v lease.View, broken bool) string {
	if len(v.Leases) > 0 {
		return ""
	}
	paused := ""
	if v.Paused {
		paused = fmt.Sprintf("; no worker makes any while it is paused: shardrun resume %s", g.name)
	}
	begin := fmt.Sprintf("; to say where it goes on: shardrun leases init STREAM --group %s --at …", g.name)
	switch {
	case broken:
		return fmt.Sprintf("group %s has no leases: part of its state was lost; the first worker that runs makes it anew, with what the workers remember%s%s", g.name, paused, begin)
	case v.SyncUntil > v.Now:
		return fmt.Sprintf("group %s has no leases: its state was lost, and the workers give back what they remember%s", g.name, paused)
	case v.Lost:
		return fmt.Sprintf("group %s has no leases: its state was lost%s%s", g.name, paused, begin)
	}
	return fmt.Sprintf("group %s has no leases yet%s", g.name, paused)
}

// scope is the group as a view showed it.
func (g *group) scope(v lease.View) checkpoint.Scope {
	return checkpoint.Scope{Group: g.name, Incarnation: v.Incarnation}
}

// silent reports whether nothing was heard of a session for half a lease time. When
// nobody beats, session time stands still there, and nobody lapses.
func silent(v lease.View, s lease.Session) bool {
	return s.Deadline-v.Now <= v.TTL.Milliseconds()/2
}

// sessionState is the state of a session as it is shown: as it says, or silent, or
// lapsed.
func sessionState(v lease.View, s lease.Session) string {
	switch {
	case s.Deadline <= v.Now:
		return "lapsed"
	case silent(v, s):
		return "silent"
	}
	return string(s.State)
}

// running counts the workers that are heard of, and held the leases that they have.
func running(v lease.View) (workers, held int) {
	heard := map[string]bool{}
	for _, s := range v.Sessions {
		if heard[s.ID] = !silent(v, s); heard[s.ID] {
			workers++
		}
	}
	for _, l := range v.Leases {
		if !l.Free() && heard[lease.SessionOf(l.Token)] {
			held++
		}
	}
	return workers, held
}

// workersText is how many workers run, in words.
func workersText(n int) string {
	switch n {
	case 0:
		return "no worker runs"
	case 1:
		return "1 worker runs"
	}
	return plural.Of(n, "worker", "workers") + " run"
}

// found is a stream as it is now.
type found struct {
	name, arn, id string
	created       time.Time
	retention     time.Duration
	now           time.Time // by the service's clock, or up to a second before
}

// findStream asks what a stream, a name or an ARN, is now.
func findStream(ctx context.Context, client *kinesis.Client, stream string) (found, error) {
	in := &kinesis.DescribeStreamSummaryInput{StreamName: &stream}
	if strings.HasPrefix(stream, "arn:") {
		in = &kinesis.DescribeStreamSummaryInput{StreamARN: &stream}
	}
	out, err := client.DescribeStreamSummary(ctx, in)
	if err != nil {
		return found{}, fmt.Errorf("describe stream %s: %w", stream, err)
	}
	d := out.StreamDescriptionSummary
	f := found{
		name: aws.ToString(d.StreamName), arn: aws.ToString(d.StreamARN), created: aws.ToTime(d.StreamCreationTimestamp),
		retention: time.Duration(aws.ToInt32(d.RetentionPeriodHours)) * time.Hour, now: time.Now(),
	}
	if server, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
		f.now = server
	}
	f.id, err = streamid.Of(f.arn, f.name, f.created)
	return f, err
}

// of picks the leases of a stream.
func of(leases []lease.Lease, id string) []lease.Lease {
	var out []lease.Lease
	for _, l := range leases {
		if lease.StreamOf(l.Name) == id {
			out = append(out, l)
		}
	}
	return out
}

// taken adds to the error of a command what it took for the stream and what for the
// group: some commands take the one as their argument, and some the other.
func taken(err error, stream, group string) error {
	return fmt.Errorf("%w (taken as STREAM %s, GROUP %s)", err, stream, group)
}

// streamName is the name of the stream that an id is of.
func streamName(id string) string {
	if name, _, _, ok := streamid.Cut(id); ok {
		return name
	}
	return id
}
