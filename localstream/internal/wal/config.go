package wal

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/internal/vfs"
)

// Durability says what an acknowledged append has survived.
type Durability uint8

// The durabilities.
const (
	// Sync: written and synced, so it survives a power failure.
	Sync Durability = iota
	// Async: given to the operating system, so it survives the end of the
	// process in any way, but a power failure may lose the last 100 ms.
	Async
	// Memory: the file system is memory, so nothing is ever synced.
	Memory
)

// String is the name of the durability as users write it.
func (d Durability) String() string {
	switch d {
	case Sync:
		return "sync"
	case Async:
		return "async"
	case Memory:
		return "memory"
	default:
		return fmt.Sprintf("durability(%d)", uint8(d))
	}
}

// Bounds of the configuration and of what is in flight.
const (
	defaultSegmentBytes = 64 << 20
	minSegmentBytes     = 4 << 10
	// maxSegmentBytes keeps offsets, with the largest batch, in 32 bits.
	maxSegmentBytes = 1 << 30
	// maxAppendBytes bounds one call to [Log.Append].
	maxAppendBytes = 256 << 20
	// maxQueuedBytes is how much may wait to be committed before further
	// appends wait for room.
	maxQueuedBytes = 64 << 20
	// maxBatchBytes is when a batch takes no further calls.
	maxBatchBytes = 8 << 20
	// flushEvery is how long a written batch may stay unsynced with Async.
	flushEvery = 100 * time.Millisecond
)

// Config describes a log. The zero value of a field that is not required means
// its default.
type Config struct {
	// FS holds the log. Required.
	FS vfs.FS
	// Dir is the directory of the log in FS. It belongs to the log alone and
	// is made if it does not exist. Required.
	Dir string
	// Exists says that the log was opened before. That nothing is there of it is
	// damage then, and not a log to begin.
	Exists bool
	// Durability says when an append is acknowledged. Defaults to Sync.
	Durability Durability
	// SegmentBytes is the size at which a segment is sealed and the next one
	// begun, from 4 KiB to 1 GiB. A batch larger than that has a segment of
	// its own. Defaults to 64 MiB.
	SegmentBytes int64
	// Logger hears of recovery, damage and failure. Defaults to no logging.
	Logger *zap.Logger
	// Damaged is called on damage, once for each place, maybe concurrently, with
	// no lock held. Defaults to nothing.
	Damaged func(*DamageError)
}

func (c Config) withDefaults() Config {
	c.SegmentBytes = cmp.Or(c.SegmentBytes, defaultSegmentBytes)
	c.Logger = cmp.Or(c.Logger, zap.NewNop()).With(zap.String("log", c.Dir))
	if c.Damaged == nil {
		c.Damaged = func(*DamageError) {}
	}
	return c
}

func (c Config) validate() error {
	switch {
	case c.FS == nil:
		return errors.New("wal config: FS is required")
	case c.Dir == "":
		return errors.New("wal config: Dir is required")
	case c.Durability > Memory:
		return fmt.Errorf("wal config: Durability is %d, it must be Sync, Async or Memory", c.Durability)
	case c.SegmentBytes < minSegmentBytes || c.SegmentBytes > maxSegmentBytes:
		return fmt.Errorf("wal config: SegmentBytes is %d, it must be from %d to %d", c.SegmentBytes, minSegmentBytes, maxSegmentBytes)
	}
	return nil
}
