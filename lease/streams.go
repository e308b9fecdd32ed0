package lease

import "time"

// creation is the making of the first leases of one stream.
type creation struct {
	busy  bool      // it is being tried
	due   time.Time // not before
	tries int       // failures in a row
	redo  bool      // the leases that are there may not be complete
	seen  *mirror   // the view in which it was looked whether they are
}

// again has the making tried once more from a time on.
func (c *creation) again(at time.Time) {
	if c != nil && !c.redo {
		c.redo, c.due = true, at
	}
}

// look has it asked, once in each view that began anew, whether the leases are
// complete. That there are some does not tell: after a loss they may be seeds, of a
// maker that died the first part, after a pause by hand what a removal that was
// broken off left, and after lost writes what was there before. An acquire that is
// refused would tell, but there may be none that is tried, where all that there is
// was paused by hand, or stopped, or has ended, or waits for what is missing.
func (c *creation) look(view *mirror) {
	if c.seen != view {
		c.seen = view
		c.again(c.due)
	}
}
