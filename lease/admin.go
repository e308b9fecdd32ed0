package lease

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

const (
	// FlagPaused is the flag of a lease that is paused by hand: nobody can
	// acquire it, and who holds it should give it back.
	FlagPaused = "paused"
	// flagStopped begins the flag of a version that stopped.
	flagStopped = "stopped:"
	// stoppedAtMost is how many versions a lease remembers to have stopped.
	stoppedAtMost = 8
	// flagLength is the longest flag, in bytes.
	flagLength = 200
	// aheadAtMost is how far a time may be ahead of this clock, which may be behind
	// the one of the service.
	aheadAtMost = time.Minute
)

// FlagStopped is the flag of a lease at which the handler of a version said
// Stop. The store grants it all the same: workers of that version leave it out
// of their plan. A lease has the flags of the last 8 versions that stopped.
func FlagStopped(version string) string { return flagStopped + version }

// Mark puts a flag on a lease.
type Mark struct {
	Name string
	// Token is that of the owner; empty marks the lease by hand, whoever has it.
	Token checkpoint.Token
	// Flag is FlagPaused or a FlagStopped; Off takes it off.
	Flag string
	Off  bool
}

// Validate reports what is wrong with a mark before it is sent anywhere.
func (m Mark) Validate() error {
	if m.Name == "" {
		return fmt.Errorf("mark without a lease name")
	}
	if err := validateFlag(m.Flag); err != nil {
		return fmt.Errorf("mark of %s: %w", m.Name, err)
	}
	return nil
}

func validateFlag(flag string) error {
	version, stopped := strings.CutPrefix(flag, flagStopped)
	switch {
	case flag == FlagPaused:
		return nil
	case !stopped || version == "":
		return fmt.Errorf("flag %q is neither %q nor %q with a version", flag, FlagPaused, flagStopped)
	case len(flag) > flagLength:
		return fmt.Errorf("flag has %d bytes, at most %d are allowed", len(flag), flagLength)
	case strings.ContainsAny(flag, "|,") || strings.ContainsFunc(flag, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("flag %q has a comma, a bar or a control character", flag)
	}
	return nil
}

// marked reports whether a list of flags has one.
func marked(flags, flag string) bool { return slices.Contains(strings.Split(flags, ","), flag) }

// remark is a list of flags after a flag was put on or taken off. Of the
// versions that stopped the oldest give way.
func remark(flags, flag string, off bool) string {
	list := slices.DeleteFunc(strings.Split(flags, ","), func(f string) bool { return f == "" || f == flag })
	if !off {
		list = append(list, flag)
	}
	stopped := func(f string) bool { return strings.HasPrefix(f, flagStopped) }
	versions := 0
	for _, f := range list {
		if stopped(f) {
			versions++
		}
	}
	if versions > stoppedAtMost {
		at := slices.IndexFunc(list, stopped)
		list = slices.Delete(list, at, at+1)
	}
	return strings.Join(list, ",")
}

// Reset sets a position by hand.
type Reset struct {
	Name string
	// Position is where to go on from, any but the end of the shard, and a time to
	// come: Kinesis refuses those, and the shard would stand still until then. Clocks
	// may differ by a minute.
	Position checkpoint.Position
	// Epoch is the lease's as the caller saw it: a lease that was acquired since
	// is left alone.
	Epoch uint64
	// Ended says that the caller saw the shard at its end: without, one that was
	// handled to its end since is left alone. What follows it has begun.
	Ended bool
	// Forced resets though neither the group nor the lease is paused.
	Forced bool
}

// Validate reports what is wrong with a reset before it is sent anywhere.
func (r Reset) Validate() error {
	if r.Name == "" {
		return fmt.Errorf("reset without a lease name")
	}
	if r.Position.IsEnd() {
		return fmt.Errorf("reset of %s to the end of the shard: what follows the shard would not be read; a start or a record is accepted", r.Name)
	}
	if err := r.Position.Validate(); err != nil {
		return fmt.Errorf("reset of %s: %w", r.Name, err)
	}
	if now := time.Now(); r.Position.Since.After(now.Add(aheadAtMost)) {
		return fmt.Errorf("reset of %s to %v, which is ahead of now, %s: times up to now are accepted",
			r.Name, r.Position, now.UTC().Format(time.RFC3339))
	}
	return nil
}
