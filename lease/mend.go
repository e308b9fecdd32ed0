package lease

import (
	"errors"
	"fmt"
	"strings"

	"github.com/shardrun/shardrun/checkpoint"
)

// maxEpoch is the highest epoch that a store has to count on from; epochs are about
// microseconds since 1970.
const maxEpoch = 1 << 53

// maxGeneration is the highest generation of leases that a store has to keep: as many
// digits as the JSON of Redis writes.
const maxGeneration = 1e14 - 1

// Seed is what a worker remembers of the rows of a group whose state was lost.
//
// A row of a later generation of its stream's leases (Shard.Generation) wins over all
// rows of earlier ones, also of other shards: the stream was reset by hand since.
// Within one, a row at the end of its shard wins over all others, then the one of the
// highest epoch: a reset by hand raises it. Of two of one epoch one that has a state wins
// over those that have none; else the higher position wins, and of two starts the
// earlier. Epochs only rise, flags add up, but for the pause by hand: whether there is
// one says the seed that is as of the latest time. A row that was acquired once waits
// for no parents.
//
// A worker may seed whatever it had seen of the table, complete or not, old or
// new: all of it was true once. A row that was never acquired is seeded only with
// its shard known; without its parents it could start before they end.
type Seed struct {
	// From is the incarnation that the rows are remembered of.
	From string
	// Paused says that it was paused by hand.
	Paused bool
	// AsOf is when the worker last heard of that, and of the flags of rows: the
	// Stamp of its last view.
	AsOf int64
	Rows []Remembered
}

// Remembered is a row of the table, as a worker knew it.
type Remembered struct {
	Name  string
	Shard Shard
	// Entry is how far the shard was handled: what the table said or, from its
	// owner, what the owner had saved, with the states.
	Entry  checkpoint.Entry
	Weight uint8
	Epoch  uint64
	Flags  string
}

// Validate reports what is wrong with a seed before it is sent anywhere.
func (s Seed) Validate() error {
	if s.From == "" {
		return errors.New("seed without the incarnation that it is from")
	}
	if s.AsOf < 0 {
		return fmt.Errorf("seed as of %d, it must be a time in µs since 1970", s.AsOf)
	}
	for _, r := range s.Rows {
		if err := r.validate(); err != nil {
			return fmt.Errorf("seed of %q: %w", r.Name, err)
		}
	}
	return nil
}

func (r Remembered) validate() error {
	if StreamOf(r.Name) == "" || ShardOf(r.Name) == "" {
		return errors.New("not the name of a lease, which is a stream, a slash and a shard")
	}
	for flag := range strings.SplitSeq(r.Flags, ",") {
		if flag == "" && r.Flags == "" {
			continue
		}
		if err := validateFlag(flag); err != nil {
			return err
		}
	}
	if r.Epoch > maxEpoch {
		return fmt.Errorf("epoch %d, at most %d is allowed", r.Epoch, uint64(maxEpoch))
	}
	if g := r.Shard.Generation; g < 0 || g > maxGeneration {
		return fmt.Errorf("generation %d, at most %d is allowed", g, int64(maxGeneration))
	}
	if n := len(r.Entry.State); n > checkpoint.MaxState {
		return fmt.Errorf("%d bytes of state, at most %d are allowed", n, checkpoint.MaxState)
	}
	for from, state := range r.Entry.Inherited {
		if n := len(state); n > checkpoint.MaxState {
			return fmt.Errorf("%d bytes of state of %s, at most %d are allowed", n, from, checkpoint.MaxState)
		}
	}
	return r.Entry.Position.Validate()
}

// Adoption makes the rows of shards that a listing has and the table has not.
type Adoption struct {
	// Stream is account:region:stream:creationEpochMs.
	Stream string
	// Rows are shards with their parents as listed: all that have no row, and
	// all that descend from those, because a shard with a child that has started
	// has been handled to its end. A parent that is listed no more holds its
	// children up until it is retired.
	Rows []Row
}

// Validate reports what is wrong with an adoption before it is sent anywhere.
func (a Adoption) Validate() error {
	if err := validateRows(a.Stream, a.Rows); err != nil {
		return fmt.Errorf("adopt shards of %s: %w", a.Stream, err)
	}
	return nil
}

// validateRows checks rows of one stream.
func validateRows(stream string, rows []Row) error {
	names := make(map[string]bool, len(rows))
	for _, row := range rows {
		switch err := row.Position.Validate(); {
		case StreamOf(row.Name) != stream || ShardOf(row.Name) == "":
			return fmt.Errorf("%q is not a lease of it", row.Name)
		case names[row.Name]:
			return fmt.Errorf("%s stands twice", row.Name)
		case err != nil:
			return fmt.Errorf("%s: %w", row.Name, err)
		}
		names[row.Name] = true
	}
	return nil
}

// Collection removes rows.
type Collection struct {
	// Names are leases of shards that are gone from their stream.
	Names []string
	// Deleted says that the whole stream was deleted, and perhaps made anew under
	// another creation time: its rows are removed wherever they are.
	Deleted bool
}

// Retirement ends a shard that is gone from its stream, with what nobody handled of
// it. Two listings of one creation epoch must have lacked it.
type Retirement struct {
	Name string
	// Children are the shards that followed, as in [Completion].
	Children []Row
}
