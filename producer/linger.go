package producer

import "time"

// lingerSteps is the number of doublings from the first linger time to the
// longest.
const lingerSteps = 4

// nextLinger is how long the next aggregate of a shard should wait, given that
// one waited for a time before it was sent and got its last record at lastAdd
// into that wait. If records were still coming in the second half, waiting
// longer will gather more, and the time doubles; if not, waiting brought
// nothing but delay, and it halves. So there is none for an idle shard, and for
// a caller who waits for each result before the next Put.
func nextLinger(current, longest, waited, lastAdd time.Duration) time.Duration {
	if longest <= 0 {
		return 0
	}
	shortest := longest >> lingerSteps
	if lastAdd > waited/2 {
		return min(longest, max(shortest, current*2))
	}
	if current/2 < shortest {
		return 0
	}
	return current / 2
}
