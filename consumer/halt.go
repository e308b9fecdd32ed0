package consumer

import (
	"fmt"
	"time"

	"github.com/shardrun/shardrun/lease"
)

// goOn says with which command a group goes on that stopped with Halt, after a loss that
// nobody could make good. Where nothing was given back there is nothing to reset: the
// leases are made as for a new group. Where some leases were, only a reset of the whole
// stream sets the others by hand; but what was remembered is given up with it.
func (c *Consumer) goOn(lost *lease.UnrestoredError) string {
	seen := lost.Seen.UTC().Truncate(time.Second).Format(time.RFC3339)
	const config = "without a command Config.OnStateLoss does it: TrimHorizon, or AtTimestamp, but not Latest, which would skip"
	if lost.Kept == 0 {
		return fmt.Sprintf("nothing of the stream is remembered: to go on, `shardrun leases init %s --group %s --at trim` handles all of it again; "+
			"for trim a time may stand, and what arrived before it is skipped (the loss was seen by %s; some of what came before was not handled); %s",
			c.cfg.Stream, c.cfg.Group, seen, config)
	}
	return fmt.Sprintf("%d leases of the stream are remembered: to go on in all of it from one point, `shardrun reset %s --group %s --to trim --force --yes`; "+
		"for trim a time may stand, and what arrived before it is skipped (the loss was seen by %s; some of what came before was not handled); %s, and keeps what is remembered",
		lost.Kept, c.cfg.Stream, c.cfg.Group, seen, config)
}
