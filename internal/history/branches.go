package history

import (
	"math"
	"slices"
)

// losses are what the store lost, in order. They make its history a tree: what
// happened between the instant that a loss fell back to and the loss is a branch
// that ended.
type losses []loss

// loss is one of them: at is when it was told, since what it fell back to, both
// in Unix nanoseconds. All is lost when since is 0.
type loss struct{ at, since int64 }

// forEver is later than any event.
const forEver = math.MaxInt64

// kept reports whether what the store had answered at one time was so at
// another. Of an answer given in the very instant it is not sure, and says no.
func (l losses) kept(answered, then int64) bool {
	for i := range slices.Backward(l) {
		switch {
		case l[i].at >= then: // not yet
		case answered > l[i].at:
			return answered < then
		default:
			then = l[i].since
		}
	}
	return answered < then
}
