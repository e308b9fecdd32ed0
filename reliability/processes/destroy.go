//go:build unix

package main

import (
	"context"
	"time"
)

// keysOfAGroup are the last letters of the keys that the state of a group has in
// Redis; all are needed.
const keysOfAGroup = "msiocdgw"

// destroy takes what Redis has from it, while it runs: everything, or one key of
// the group, without which the rest is of no use.
func (r *run) destroy(ctx context.Context, f fault) {
	command := []any{"FLUSHALL"}
	if f.do == actDelete {
		command = []any{"DEL", "{" + r.fleet.group + "}:" + string(keysOfAGroup[f.draw%uint64(len(keysOfAGroup))])}
	}
	client := r.fleet.redisClient()
	defer func() { _ = client.Close() }() // it is only for this
	ctx, cancel := context.WithTimeout(ctx, clientPatience)
	defer cancel()
	r.lost("all", time.Time{}) // before a worker can see it
	err := client.Do(ctx, command...).Err()
	if err != nil {
		r.fleet.failed("%v: %v", command, err)
	}
	r.history.Note(controller, "%v: %v", command, err)
}
