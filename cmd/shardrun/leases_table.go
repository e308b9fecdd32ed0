package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/cmd/shardrun/internal/plural"
	"github.com/shardrun/shardrun/internal/streamid"
	"github.com/shardrun/shardrun/lease"
)

// printLeases prints the leases as a table, without those that are finished unless all
// are asked for.
func (p *picture) printLeases(out io.Writer) error {
	shown := p.leases
	if !p.all {
		shown = slices.DeleteFunc(slices.Clone(shown), func(i leaseInfo) bool { return i.State == "finished" })
	}
	flagged := slices.ContainsFunc(shown, func(i leaseInfo) bool { return len(i.Flags) > 0 })
	header := []string{"STREAM", "SHARD", "STATE", "OWNER", "EPOCH", "POSITION"}
	if p.lag {
		header = append(header, "LAG")
	}
	header = append(header, "WANTED BY", "WAITS FOR")
	if flagged {
		header = append(header, "FLAGS")
	}
	t := newTable(out, header...)
	for _, i := range shown {
		row := []string{plain(i.Stream), plain(i.Shard), i.State, plain(cmp.Or(i.Owner, "-")), strconv.FormatUint(i.Epoch, 10), plain(i.position())}
		if p.lag {
			row = append(row, i.lagText())
		}
		var parents []string
		for _, p := range i.Parents {
			parents = append(parents, lease.ShardOf(p))
		}
		row = append(row, plain(cmp.Or(i.Want, "-")), plain(cmp.Or(strings.Join(parents, ", "), "-")))
		if flagged {
			row = append(row, plain(cmp.Or(strings.Join(i.Flags, ", "), "-")))
		}
		t.row(row...)
	}
	if err := t.flush(); err != nil {
		return err
	}
	p.printHidden(out, len(p.leases)-len(shown))
	return nil
}

// printHidden tells of what the table does not show, or not well.
func (p *picture) printHidden(out io.Writer, finished int) {
	if finished > 0 {
		fmt.Fprintf(out, "%s not shown (--all)\n", plural.Of(finished, "finished shard", "finished shards"))
	}
	former := map[string]int{}
	for _, i := range p.leases {
		if i.Former {
			former[i.Stream]++
		}
	}
	for _, id := range slices.Sorted(maps.Keys(former)) {
		fmt.Fprintf(out, "%s of %s, which was deleted and made anew since: shardrun gc %s\n",
			plural.Of(former[id], "lease is", "leases are"), plain(id), plain(p.group))
	}
}

// former are the streams, by their ids, of which a later one of the same name has leases.
func former(leases []lease.Lease) map[string]bool {
	last := map[string]time.Time{} // by account, region and name
	for _, l := range leases {
		if _, place, created, ok := streamid.Cut(lease.StreamOf(l.Name)); ok && created.After(last[place]) {
			last[place] = created
		}
	}
	out := map[string]bool{}
	for _, l := range leases {
		id := lease.StreamOf(l.Name)
		_, place, created, ok := streamid.Cut(id)
		out[id] = ok && created.Before(last[place])
	}
	return out
}

// position is the position as text, in the form that it has in logs and that --to takes.
func (i leaseInfo) position() string {
	if i.Position == "" || i.Position[0] < '0' || i.Position[0] > '9' {
		return i.Position // a start or the end
	}
	return checkpoint.At(checkpoint.SequenceNumber(i.Position), i.Subsequence).String()
}

func (i leaseInfo) lagText() string {
	if i.LagMs == nil {
		return "-"
	}
	lag := time.Duration(*i.LagMs) * time.Millisecond
	if lag > time.Minute {
		lag = lag.Round(time.Second)
	}
	return lag.String()
}
