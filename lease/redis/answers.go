package redis

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/shardrun/shardrun/checkpoint"
	checkpointredis "github.com/shardrun/shardrun/checkpoint/redis"
	"github.com/shardrun/shardrun/internal/rediskeys"
	"github.com/shardrun/shardrun/lease"
)

// reached is the error of a call that got no answer of its script.
func reached(err error) error {
	if _, refused := errors.AsType[*rediskeys.RefusedError](err); refused {
		return fmt.Errorf("%w: %w", lease.ErrRefused, err)
	}
	return err
}

// refusal is the error of a status that a whole call was answered with.
func refusal(r rediskeys.Reply) error {
	switch r.Status {
	case "LOST", "NONE":
		return lease.ErrStateLost
	case "RESET":
		return lease.ErrReset
	case "VERSION":
		return fmt.Errorf("%w: %s", lease.ErrVersion, r.Text(0))
	case "REGRESSED":
		number, err := strconv.ParseUint(r.Text(0), 10, 64)
		if err != nil {
			return fmt.Errorf("%w: %w", lease.ErrRegressed, err)
		}
		return &lease.RegressedError{Number: number}
	}
	return itemError(r.Status)
}

// itemError is the error of a status of one lease, nil for OK.
func itemError(status string) error {
	switch status {
	case "OK":
		return nil
	case "HELD":
		return lease.ErrHeld
	case "PARENT":
		return lease.ErrParent
	case "GONE":
		return lease.ErrGone
	case "EXPIRED":
		return lease.ErrExpired
	case "SYNCING":
		return lease.ErrSyncing
	case "SEEDED":
		return lease.ErrSeeded
	case "NOTREADY":
		return lease.ErrNotReady
	case "NEEDED":
		return lease.ErrNeeded
	case "RESYNC":
		return lease.ErrResync
	case "EXISTS":
		return lease.ErrExists
	case "STALE":
		return lease.ErrStale
	case "PAUSED":
		return lease.ErrPaused
	case "UNPAUSED":
		return lease.ErrNotPaused
	case "CHANGED":
		return lease.ErrChanged
	case "SUPERSEDED":
		return lease.ErrSuperseded
	case "FENCED":
		return checkpoint.ErrFenced
	case "NOTFOUND":
		return checkpoint.ErrNotFound
	}
	return fmt.Errorf("unknown answer %q", status)
}

// grant reads {status, token, epoch, c, d, w, parent, its w…}.
func grant(row []string) lease.Grant {
	if len(row) == 0 {
		return lease.Grant{Err: errors.New("no answer for the lease")}
	}
	if row[0] != "OK" || len(row) < 6 {
		return lease.Grant{Err: itemError(row[0])}
	}
	epoch, err := strconv.ParseUint(row[2], 10, 64)
	entry, err2 := checkpointredis.Entry(row[3], row[5])
	var shard lease.Shard
	err3 := json.Unmarshal([]byte(row[4]), &shard)
	for i := 6; i+1 < len(row); i += 2 {
		if entry.Inherited == nil {
			entry.Inherited = map[string][]byte{}
		}
		entry.Inherited[row[i]] = []byte(row[i+1])
	}
	return lease.Grant{
		Err: errors.Join(err, err2, err3), Token: checkpoint.Token(row[1]), Epoch: epoch, Entry: entry, Shard: shard,
	}
}
