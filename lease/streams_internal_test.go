package lease

import (
	"fmt"
	"testing"
	"time"
)

func TestWhichStreamsAGroupMayHaveReadBeforeALoss(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	named := func(made time.Time) string {
		return fmt.Sprintf("000000000000:us-east-1:orders:%d", made.UnixMilli())
	}
	born := now.Add(-10 * time.Hour) // of the incarnation
	for what, test := range map[string]struct {
		stream string
		change func(r *run, stream string)
		want   bool
	}{
		"one that was there":           {stream: named(born.Add(-time.Minute)), want: true},
		"one made about then":          {stream: named(born.Add(50 * time.Minute)), want: true},
		"one made well after":          {stream: named(born.Add(70 * time.Minute))},
		"one made just now":            {stream: named(now.Add(time.Second))},
		"one made in times to come":    {stream: named(now.Add(2 * time.Hour)), want: true},
		"one whose name tells no time": {stream: "orders", want: true},
		"a group that nothing was lost of": {
			stream: named(born.Add(-time.Minute)), change: func(r *run, _ string) { r.lost = false },
		},
		"a loss that this worker saw, and the store does not know of": {
			stream: named(born.Add(-time.Minute)), change: func(r *run, _ string) { r.lost, r.stateLost = false, true }, want: true,
		},
		"one made since, and a loss that this worker saw": {
			stream: named(born.Add(70 * time.Minute)), change: func(r *run, _ string) { r.stateLost = true },
		},
		"one that this worker knew before": {
			stream: named(born.Add(70 * time.Minute)), change: func(r *run, s string) { r.streams[s].known = true }, want: true,
		},
		"one with a seed that was acquired": {
			stream: named(born.Add(70 * time.Minute)), change: func(r *run, s string) { r.table.put(Lease{Name: s + "/1", Epoch: 1}, now) }, want: true,
		},
		"one whose leases another worker is making": {
			stream: named(born.Add(70 * time.Minute)), change: func(r *run, s string) { r.table.put(Lease{Name: s + "/1"}, now) },
		},
		"session time that stood still for a while": {
			stream: named(born.Add(70 * time.Minute)), change: func(r *run, _ string) { r.table.now -= time.Hour.Milliseconds() }, want: true,
		},
	} {
		r := newRun(Config{Streams: []string{test.stream}}.withDefaults())
		r.lost, r.stamp, r.table.now = true, now.UnixMicro(), now.Sub(born).Milliseconds()
		if test.change != nil {
			test.change(r, test.stream)
		}
		if got := r.mayHaveRead(test.stream); got != test.want {
			t.Errorf("%s: %v", what, got)
		}
	}
}
