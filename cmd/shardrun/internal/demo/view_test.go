package demo

import (
	"strings"
	"testing"

	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/lease"
)

func TestTheViewCountsRecordsInWords(t *testing.T) {
	r := &run{history: history.New(), totals: newTotals()}
	table := lease.View{Leases: []lease.Lease{{Name: "s/a"}, {Name: "s/b"}}}
	r.totals.ack("a")
	r.totals.ack("b")
	r.totals.ack("b")
	lines := (&view{run: r}).live(table)
	last := lines[len(lines)-2:]
	if !strings.HasSuffix(last[0], " 1 record") || !strings.HasSuffix(last[1], " 2 records") {
		t.Errorf("shown: %q", last)
	}
}
