package wal

import (
	"errors"
	"fmt"
)

// ErrClosed is returned by calls on a log or journal that was closed.
var ErrClosed = errors.New("log is closed")

// SealedError means that an append names a shard that was sealed. Nothing of
// the append was written.
type SealedError struct {
	Shard uint32
}

func (e *SealedError) Error() string { return fmt.Sprintf("shard %d is sealed", e.Shard) }

// UnknownShardError means that a call names a shard that [Log.OpenShard] was
// not called for.
type UnknownShardError struct {
	Shard uint32
}

func (e *UnknownShardError) Error() string {
	return fmt.Sprintf("shard %d is not open in the log", e.Shard)
}

// notWrittenError means that a write failed and left nothing in the log, which
// goes on. The commonest cause is a full disk.
type notWrittenError struct {
	err error
}

func (e *notWrittenError) Error() string { return e.err.Error() }

func (e *notWrittenError) Unwrap() error { return e.err }

// DamageError means that bytes which were durable have changed. The shard that
// they belong to is neither read nor written until the log is repaired; when
// the bytes do not tell the shard, none of the log is.
type DamageError struct {
	// Segment is the file.
	Segment string
	// Offset is where in the file the damaged frame or header begins.
	Offset int64
	// Shard is whose records they are, unless AllShards.
	Shard uint32
	// AllShards means that the damage may concern any shard of the log.
	AllShards bool
	// Reason says what is wrong.
	Reason string
}

func (e *DamageError) Error() string {
	whose := fmt.Sprintf("shard %d", e.Shard)
	if e.AllShards {
		whose = "all shards"
	}
	return fmt.Sprintf("damaged log: %s at offset %d (%s): %s", e.Segment, e.Offset, whose, e.Reason)
}

// VersionError means that a file is of a format that this program does not read.
// It is whole, and nothing of the log is changed.
type VersionError struct {
	// File is its path.
	File string
	// Version is its format version.
	Version uint32
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s has format version %d, and this program reads version %d: it was written by another version of shardrun, use that one",
		e.File, e.Version, formatVersion)
}
