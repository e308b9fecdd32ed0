package consumer

import (
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/aggregate"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// maxGrowth is how much more memory the records of a page may take than the
// Kinesis records that they came in. What is behind becomes another page when
// this one has been taken.
const maxGrowth = 1 << 20

// page is what one read of a shard brought, ready to be delivered, or a part of
// it that unpacks to much.
type page struct {
	records []Record
	// end is the position of the last user record read, delivered or not;
	// RankStart when the page was empty.
	end      checkpoint.Position
	size     int // of records in the memory budget
	cost     int // of the Kinesis records that they came in
	behind   time.Duration
	read     time.Time
	last     bool // the shard is closed and ends here
	children []types.ChildShard
	counts   counts
}

// counts says what became of the records of a page.
type counts struct {
	raw        int // Kinesis records
	outOfRange int // user records that belong to another shard
	malformed  int // aggregates delivered as they are
	older      int // Kinesis records from before the position read from
}

// unpacker turns Kinesis records into user records. One goroutine uses it.
type unpacker struct {
	keys    hashkey.Range       // of the shard
	after   checkpoint.Position // up to it everything was read before
	decoder aggregate.Decoder
	members []aggregate.Record
}

// rawSize is what Kinesis records count in the memory budget, and the bytes of
// their keys and data.
func rawSize(raw []types.Record) (size, bytes int) {
	for i := range raw {
		bytes += rawBytes(&raw[i])
	}
	return bytes + len(raw)*recordOverhead, bytes
}

func rawBytes(r *types.Record) int { return len(r.Data) + len(aws.ToString(r.PartitionKey)) }

// check fails when a record has no sequence number: the answer was garbled.
func check(raw []types.Record) error {
	for i := range raw {
		if err := checkpoint.SequenceNumber(aws.ToString(raw[i].SequenceNumber)).Validate(); err != nil {
			return fmt.Errorf("record in the answer: %w", err)
		}
	}
	return nil
}

// unpack turns the first of the Kinesis records of one read, which have been
// checked, into a page, without what was read before: all of them, unless they
// grow too much. It returns the rest. The records of an aggregate are judged one
// by one: those whose hash key is outside the shard's range were put with a
// shard map from before a reshard, and their producer sends them, or all of the
// aggregate, again to the shard where they belong. (KCL drops such an aggregate
// as a whole, which loses records of KPLs since 0.15.11: those resend only the
// records outside.)
func (u *unpacker) unpack(raw []types.Record) (p *page, rest []types.Record) {
	if len(raw) == 0 {
		return &page{end: checkpoint.Start()}, nil
	}
	p = &page{end: u.after}
	p.records = make([]Record, 0, min(len(raw), 1024)) // the page may end early
	for p.counts.raw < len(raw) && p.size-p.cost <= maxGrowth {
		from := len(p.records)
		r := &raw[p.counts.raw]
		u.add(p, r)
		p.counts.raw++
		p.cost += rawBytes(r) + recordOverhead
		for i := range p.records[from:] {
			p.size += p.records[from+i].size()
		}
	}
	u.after = p.end
	return p, raw[p.counts.raw:]
}

// add unpacks one Kinesis record.
func (u *unpacker) add(p *page, raw *types.Record) {
	seq := checkpoint.SequenceNumber(aws.ToString(raw.SequenceNumber))
	if p.end.Rank == checkpoint.RankRecord && seq.Compare(p.end.Sequence) < 0 {
		p.counts.older++
		return
	}
	r := Record{Sequence: seq, Arrival: aws.ToTime(raw.ApproximateArrivalTimestamp)}
	seen := p.end // what lies up to here is not delivered again

	var verdict aggregate.Verdict
	u.members, verdict = u.decoder.Decode(raw.Data, u.members[:0])
	if verdict != aggregate.Unpacked {
		if verdict == aggregate.Malformed {
			p.counts.malformed++
		}
		r.Key, r.Data = aws.ToString(raw.PartitionKey), raw.Data
		p.append(r, seen)
		return
	}
	r.Aggregated = true
	for i, m := range u.members {
		r.Key, r.HashKey, r.Data, r.Subsequence = m.Key, m.HashKey, m.Data, uint64(i)
		if u.keys != hashkey.Full && !u.keys.Contains(m.Hash()) {
			if r.Position().Compare(seen) > 0 {
				p.counts.outOfRange++
			}
			p.pass(r.Position())
			continue
		}
		p.append(r, seen)
	}
	p.pass(checkpoint.At(seq, 0)) // also when the aggregate is empty
	clear(u.members)
}

// append adds a user record unless it was read before.
func (p *page) append(r Record, seen checkpoint.Position) {
	if at := r.Position(); at.Compare(seen) > 0 {
		p.records = append(p.records, r)
		p.end = at
	}
}

// pass moves the end of the page over a record that is not delivered.
func (p *page) pass(at checkpoint.Position) {
	if at.Compare(p.end) > 0 {
		p.end = at
	}
}
