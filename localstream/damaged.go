package localstream

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/shardrun/shardrun/localstream/internal/state"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// DamagedError says that a place in a data directory is damaged: bytes that had
// been on the disk have changed, or files are gone. If it is the metadata, [Open]
// fails with it, and nothing was changed. If it is records, their shard refuses
// to serve until a repair, everything else works, Config.Damaged is called with
// it, and [Server.Records] of the stream fails with it. [Verify] finds all that
// is damaged, and [Repair] makes the directory one that serves again.
type DamagedError struct {
	// DataDir is that of the [Config].
	DataDir string
	// Stream is the ARN of the stream whose records they are, empty for the
	// metadata.
	Stream string
	// Damage is the place. Without a ShardID it concerns all shards of the stream.
	Damage Damage
}

// Error says where the damage is, and which commands help.
func (e *DamagedError) Error() string {
	place := e.Damage.File
	if e.Damage.Offset > 0 {
		place = fmt.Sprintf("%s at offset %d", place, e.Damage.Offset)
	}
	if e.Stream != "" {
		place = fmt.Sprintf("%s, %s of %s", place, cmp.Or(e.Damage.ShardID, "all shards"), e.Stream)
	}
	dir := cmp.Or(e.DataDir, "DIR")
	return fmt.Sprintf("damaged: %s: %s; shardrun verify %s finds all that is damaged, shardrun repair %s says what can be kept",
		place, e.Damage.Reason, dir, dir)
}

// damagedMetadata is the error of damage in the journal.
func (c *Config) damagedMetadata(d Damage) *DamagedError {
	return &DamagedError{DataDir: c.DataDir, Damage: d}
}

// asDamaged gives an error of the log of a stream, if it is about damage, as
// others can tell it, and any other as it is.
func (c *Config) asDamaged(err error, key state.Key) error {
	if d, ok := errors.AsType[*wal.DamageError](err); ok {
		return &DamagedError{DataDir: c.DataDir, Stream: key.ARN(), Damage: damageOf(d)}
	}
	return err
}

// tellOfDamage is what the log of a stream calls when it comes upon damage.
func (c *Config) tellOfDamage(key state.Key) func(*wal.DamageError) {
	if c.Damaged == nil {
		return nil
	}
	return func(d *wal.DamageError) {
		c.Damaged(&DamagedError{DataDir: c.DataDir, Stream: key.ARN(), Damage: damageOf(d)})
	}
}

func damageOf(d *wal.DamageError) Damage {
	out := Damage{File: d.Segment, Offset: d.Offset, Reason: d.Reason}
	if !d.AllShards {
		out.ShardID = state.ShardID(d.Shard)
	}
	return out
}

// lostJournal is the damage of a data directory with streams that no journal
// knows.
func lostJournal() Damage {
	return Damage{File: wal.JournalFile(journalDir), Reason: "it is missing or empty, and there are records of streams in " + streamsDir}
}

// misfit is the damage of a journal with an entry that cannot follow on those
// before, or that is none.
func misfit(err error) Damage {
	return Damage{File: wal.JournalFile(journalDir), Reason: "an entry does not fit those before: " + err.Error()}
}
