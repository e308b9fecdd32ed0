package consumer

import (
	"strings"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
)

// pageOf is a page of records with these sequence numbers, one byte of data each.
func pageOf(seqs ...string) *page {
	p := &page{read: time.Unix(1, 0)}
	for _, s := range seqs {
		p.records = append(p.records, Record{Sequence: checkpoint.SequenceNumber(s), Data: []byte("x")})
		p.end = checkpoint.At(checkpoint.SequenceNumber(s), 0)
	}
	return p
}

func TestQueueNext(t *testing.T) {
	long := pageOf("1", "2", "3")
	long.records[1].Data = []byte(strings.Repeat("x", 10))
	ended := pageOf("1")
	ended.last = true
	for name, test := range map[string]struct {
		page    *page
		records int
		bytes   int
		n       int
		full    bool
	}{
		"nothing":                             {&page{}, 2, 100, 0, false},
		"less than a batch waits":             {pageOf("1"), 2, 100, 1, false},
		"just a batch":                        {pageOf("1", "2"), 2, 100, 2, true},
		"more than a batch":                   {pageOf("1", "2", "3"), 2, 100, 2, true},
		"bytes end it before a long record":   {long, 5, 5, 1, true},
		"just so many bytes":                  {pageOf("1", "2"), 5, 2, 2, true},
		"a record longer than all goes alone": {&page{records: long.records[1:]}, 5, 5, 1, true},
		"the shard's end does not wait":       {ended, 5, 100, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			var q queue
			q.add(test.page)
			if n, full := q.next(test.records, test.bytes); n != test.n || full != test.full {
				t.Errorf("next is %d, full %v; want %d, %v", n, full, test.n, test.full)
			}
		})
	}
}

func TestQueuePositions(t *testing.T) {
	q := queue{end: checkpoint.Start()}
	tail := pageOf("3", "4")
	tail.end = checkpoint.At("4", 9) // user records of another shard follow in the aggregate
	for _, p := range []*page{pageOf("1", "2"), tail} {
		if q.add(p) {
			t.Error("a page with records moved the position")
		}
	}
	var total int
	for i := range q.records {
		total += q.records[i].size()
	}
	var got []string
	for _, n := range []int{1, 1, 1, 1} {
		at, size := q.done(n)
		total -= size
		got = append(got, at.String())
	}
	if want := "1:0 2:0 3:0 4:9"; strings.Join(got, " ") != want {
		t.Errorf("positions %v, want %s", got, want)
	}
	if total != 0 || q.drop() != 0 {
		t.Errorf("%d bytes are left of the budget's", total)
	}
}

func TestQueueMovesOverPagesWithNothingToHandle(t *testing.T) {
	none := &page{end: checkpoint.At("7", 3)}
	var q queue
	if !q.add(none) || q.end != none.end {
		t.Error("an empty queue did not move")
	}
	q.add(pageOf("8"))
	if q.add(&page{end: checkpoint.At("9", 0)}) {
		t.Error("it moved over a record that is not handled")
	}
	if at, _ := q.done(1); at != checkpoint.At("9", 0) {
		t.Errorf("position %v", at)
	}
	if q.add(&page{}) {
		t.Error("a page without records moved the position")
	}
}

func TestQueueLetsGoOfWhatIsDone(t *testing.T) {
	var q queue
	p := pageOf("1", "2")
	q.add(p)
	q.done(1)
	if p.records[0].Data != nil || p.records[1].Data == nil {
		t.Error("the data of the record that is done is still held, or of the other one is not")
	}
}
