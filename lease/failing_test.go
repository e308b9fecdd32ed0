package lease

import (
	"testing"
	"time"
)

// A worker that is about to lapse may be dead to others already.
func TestAWorkerThatMissedBeatsIsFailing(t *testing.T) {
	m := newMirror()
	m.ttl = 12 * time.Second
	m.late = map[string]int64{"late": 20_000, "dead": 4_000}
	session := func(id string) []Session { return []Session{{ID: "well"}, {ID: id}} }
	for _, c := range []struct {
		id   string
		at   int64
		want bool
	}{
		{"other", 30_000, false}, // it was not late when the last beat was answered
		{"late", 16_999, false},
		{"late", 17_000, true},
		{"late", 20_100, true}, // it lapsed, and this worker waits a moment yet
		{"dead", 1_500, true},
		{"dead", 900, false},
	} {
		if got := m.failing(session(c.id), c.at); got != c.want {
			t.Errorf("%s at %d: failing %v, want %v", c.id, c.at, got, c.want)
		}
	}
	if m.failing([]Session{{ID: "well"}}, 30_000) {
		t.Error("who is not there any more counts")
	}
}
