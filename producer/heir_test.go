package producer

import (
	"testing"
	"time"
)

// What a retired lane could not send goes ahead of what its heir has taken since,
// also of entries that are closed already.
func TestHeirloomsGoFirst(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Ordered, c.AggregateRecords = true, 1 }, ranges("p", 4)...)
	b.put(0, "first")
	cl := b.one()
	b.put(0, "second")
	// The split of p0 becomes known while its call is in flight.
	b.c.mapped(b.now, append(ranges("c", 2, 4)[:2], ranges("p", 4)[1]))
	b.put(0, "third")
	b.put(0, "fourth")
	b.none()
	b.answer(cl, "", errReset)
	b.now = b.now.Add(time.Second)
	for _, want := range []string{"first", "second", "third", "fourth"} {
		cl := b.one()
		if got := text(cl); got != want {
			t.Fatalf("sent %q, want %q", got, want)
		}
		b.take(cl)
	}
}
