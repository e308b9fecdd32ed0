package localstream

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/localstream/internal/state"
	"github.com/shardrun/shardrun/localstream/internal/wal"
	"github.com/shardrun/shardrun/localstream/internal/wire"
)

// The limits of one GetRecords answer.
const (
	maxRecordsPerGet = 10000
	maxBytesPerGet   = 10 << 20
)

func (c *checker) getRecords(in *kinesis.GetRecordsInput) {
	c.number("limit", in.Limit, false, 1, maxRecordsPerGet)
	if in.ShardIterator == nil {
		c.null("shardIterator")
	} else {
		c.text("shardIterator", *in.ShardIterator, "", nil, 1, 512)
	}
	if in.StreamARN != nil {
		c.stream(nil, in.StreamARN, nil)
	}
	c.streamID(in.StreamId)
}

func (c *call) getRecords(ctx context.Context, in *kinesis.GetRecordsInput) (*wire.GetRecordsAnswer, error) {
	now := time.Now()
	it, err := c.server.openIterator(*in.ShardIterator, now)
	if err != nil {
		return nil, err
	}
	if in.StreamARN != nil {
		if key, _ := state.ParseARN(*in.StreamARN); key != it.Stream { // its form was checked before
			return nil, invalidArgument("StreamARN %s is not that of the stream that the ShardIterator was made for, %s.", *in.StreamARN, it.Stream.ARN())
		}
	}
	st, v, sh, err := c.findShard(ctx, it.Stream, it.Shard, now)
	if err != nil {
		return nil, err
	}
	if it.ID != st.id { // the stream was deleted, and created anew
		return nil, missingShard(it.Stream, it.Shard)
	}
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	limited := c.server.cfg.Limits == LimitsAWS
	if limited && !st.rates.mayRead(sh.Number, now) {
		return nil, rateExceeded(st.key, state.ShardID(sh.Number))
	}
	limit := maxRecordsPerGet
	if in.Limit != nil {
		limit = int(*in.Limit)
	}
	if err := c.readPage(ctx, st, sh, it.From, v.TrimHorizon(now), limit); err != nil {
		return nil, err
	}
	p := &c.page
	if err := c.server.mayRead(v, sh.Number, p.Records); err != nil {
		return nil, err
	}
	records, bytes := c.memory.records.describe(v, sh, p.Records)
	out := &wire.GetRecordsAnswer{Records: records, Behind: behind(p, now)}
	if limited {
		st.rates.read(sh.Number, bytes, now)
	}
	// The log may know of the end of the shard before this view does: then the
	// children are not there yet, and the next call gives them.
	if p.End && sh.IsClosed() {
		out.Children = v.childShards(sh.Number)
		return out, nil
	}
	it.From = p.Next
	out.Next = c.server.sealIterator(it, now)
	return out, nil
}

// describer has the memory in which records are given in the form of the API.
type describer struct {
	records []wire.Record
	digits  []byte
}

// describe gives records of a shard in the form of the API, and how many bytes
// of keys and data they have. The result is good until the next call.
func (d *describer) describe(v *view, sh state.Shard, records []wal.Record) (out []wire.Record, bytes int) {
	out, digits := slices.Grow(d.records[:0], len(records)), slices.Grow(d.digits[:0], len(records)*sequenceDigits)
	for i := range records {
		r := &records[i]
		from := len(digits)
		digits = sh.At(r.Seq, r.Arrival).Append(digits)
		out = append(out, wire.Record{Sequence: digits[from:], Arrival: r.Arrival, Key: r.Key, Data: r.Data, Encrypted: v.KeyOf(sh.Number, r.Seq) != ""})
		bytes += len(r.Data) + len(r.Key)
	}
	d.records, d.digits = out, digits
	return out, bytes
}

// forget lets go of the records.
func (d *describer) forget() {
	clear(d.records)
	d.records = d.records[:0]
}

// What a page takes in memory for each record beside its data: the record as the
// log has it and as the API has it, its key and its number.
const recordMemory = 256

// readPage reads the log, once there is room for what has to be read. What is
// not needed of it is given back.
func (c *call) readPage(ctx context.Context, st *stream, sh state.Shard, from uint64, horizon int64, limit int) (err error) {
	request := c.share.bytes
	c.page, err = st.log.ReadWithin(c.roomForPage(ctx), sh.Number, from, horizon, limit, maxBytesPerGet)
	if noRoom, ok := errors.AsType[*apiError](err); ok {
		return noRoom
	}
	if err != nil {
		return st.logError(err)
	}
	return c.share.resize(ctx, request+pageMemory(&c.page))
}

// roomForPage gives a page room beside the request. A page that has nothing yet
// waits for it. One that has a part does not: pages that wait for one another's
// parts would wait until all give up, and a shorter page is a page.
func (c *call) roomForPage(ctx context.Context) func(wal.Need) error {
	request := c.share.bytes
	return func(n wal.Need) error {
		bytes := request + needed(n)
		switch {
		case n.Has == 0:
			return c.share.resize(ctx, bytes)
		case !c.share.tryResize(bytes):
			return errNoRoom
		}
		return nil
	}
}

// needed is how much memory a page takes at most.
func needed(n wal.Need) int64 { return n.Bytes + recordMemory*int64(n.Records) }

// pageMemory is how much memory a page takes until it is sent.
func pageMemory(p *wal.Page) int64 { return int64(p.Memory() + recordMemory*len(p.Records)) }

// behind is how far the end of a page is behind the tip of the shard: the age
// of its last record, or 0 if there is nothing after it.
func behind(p *wal.Page, now time.Time) int64 {
	if p.Behind == 0 || len(p.Records) == 0 {
		return p.Behind
	}
	return max(p.Behind, now.UnixMilli()-p.Records[len(p.Records)-1].Arrival)
}

// childShards gives the children of a closed shard in the form of the API.
func (v *view) childShards(parent uint32) []wire.ChildShard {
	var out []wire.ChildShard
	for _, sh := range v.Children(parent) {
		child := wire.ChildShard{
			ShardID: state.ShardID(sh.Number), Parents: []string{state.ShardID(uint32(sh.Parent))},
			FirstKey: sh.Range.Start.String(), EndKey: sh.Range.End.String(),
		}
		if sh.AdjacentParent != state.NoShard {
			child.Parents = append(child.Parents, state.ShardID(uint32(sh.AdjacentParent)))
		}
		out = append(out, child)
	}
	return out
}
