package consumer

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/checkpoint"
)

// queue holds what has been read of a shard and is not done, in order. It
// decides what the next batch is; nothing in it waits.
type queue struct {
	records  []Record
	end      checkpoint.Position // where the next read goes on
	since    time.Time           // when the first of records was read, about
	read     time.Time           // of the last page
	behind   time.Duration       // of the last page
	last     bool                // nothing follows: the shard ends
	children []types.ChildShard  // of a shard that ends
}

// add appends a page. It reports whether the position can move although there
// is nothing to be handled: the page had no user record for this shard.
func (q *queue) add(p *page) (moved bool) {
	moved = len(q.records) == 0 && len(p.records) == 0 && p.end.Rank == checkpoint.RankRecord
	if len(q.records) == 0 {
		q.records, q.since = p.records, p.read
	} else {
		q.records = append(q.records, p.records...)
	}
	if p.end.Rank == checkpoint.RankRecord {
		q.end = p.end
	}
	q.read, q.behind = p.read, p.behind
	q.last, q.children = p.last, p.children
	return moved
}

// next is how many records the next batch has, by number and bytes, and whether
// more could not join it. A record longer than maxBytes goes alone.
func (q *queue) next(maxRecords, maxBytes int) (n int, full bool) {
	bytes := 0
	for i := range q.records {
		r := &q.records[i]
		bytes += len(r.Key) + len(r.Data)
		if n == maxRecords || n > 0 && bytes > maxBytes {
			return n, true
		}
		n++
	}
	return n, q.last || n == maxRecords || bytes >= maxBytes
}

// done takes the first n records out. It returns the position up to which all
// is done, and the bytes that they counted in the memory budget.
func (q *queue) done(n int) (at checkpoint.Position, size int) {
	size = q.held(n)
	if n == len(q.records) {
		q.records = nil
		return q.end, size
	}
	at = q.records[n-1].Position()
	clear(q.records[:n]) // lets go of their data
	q.records = q.records[n:]
	q.since = q.read
	return at, size
}

// cut takes out what is behind the first n records, undone, and returns its
// bytes. Reading goes on at end.
func (q *queue) cut(n int) (size int) {
	if n >= len(q.records) {
		return 0
	}
	size = q.held(len(q.records)) - q.held(n)
	q.end = q.records[n-1].Position()
	q.records = slices.Clone(q.records[:n]) // lets go of the others' data
	q.last, q.children = false, nil
	return size
}

// held is the bytes that the first n records count in the memory budget.
func (q *queue) held(n int) (size int) {
	for i := range q.records[:n] {
		size += q.records[i].size()
	}
	return size
}

// drop takes all records out, undone, and returns their bytes.
func (q *queue) drop() (size int) {
	size = q.held(len(q.records))
	q.records = nil
	return size
}
