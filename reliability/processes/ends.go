//go:build unix

package main

import (
	"fmt"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/aggregate"
	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/lease"
)

// ends are where the shards of a stream end at this moment.
type ends struct {
	last   map[string]checkpoint.Position // of the last user record; none for an empty shard
	closed map[string]bool
}

// endsOf finds where the shards end.
func endsOf(s history.Stream) ends {
	e := ends{last: map[string]checkpoint.Position{}, closed: map[string]bool{}}
	for _, sh := range s.Shards {
		e.closed[sh.ID] = sh.EndSequence != ""
		if n := len(sh.Records); n > 0 {
			e.last[sh.ID] = lastIn(sh.Records[n-1])
		}
	}
	return e
}

// lastIn is the position of the last user record in a Kinesis record.
func lastIn(r history.Raw) checkpoint.Position {
	members, verdict := aggregate.Decode(r.Data, nil)
	if verdict != aggregate.Unpacked || len(members) == 0 {
		return checkpoint.At(checkpoint.SequenceNumber(r.Sequence), 0)
	}
	return checkpoint.At(checkpoint.SequenceNumber(r.Sequence), uint64(len(members)-1))
}

// missing says which shard has not been handled to its end by the positions in
// the lease table, "" when all have. A store that is forgetful, because something
// it had was taken from it, need not know of closed shards.
func (e ends) missing(view lease.View, forgetful bool) string {
	rows := map[string]lease.Lease{}
	for _, l := range view.Leases {
		rows[lease.ShardOf(l.Name)] = l
	}
	for id, closed := range e.closed {
		l, known := rows[id]
		switch {
		case !known && closed && forgetful:
			continue // the histories tell whether it was handled
		case !known:
			return fmt.Sprintf("%s has no lease", id)
		case closed && !l.Finished():
			return fmt.Sprintf("%s has ended and was handled up to %s", id, l.Position)
		case !closed && l.Position.Compare(e.last[id]) < 0:
			return fmt.Sprintf("%s was handled up to %s of %s", id, l.Position, e.last[id])
		}
	}
	return ""
}
