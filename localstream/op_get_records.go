package localstream

import (
	"context"
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
	p, err := c.page(ctx, st, sh, it.From, v.TrimHorizon(now), limit)
	if err != nil {
		return nil, err
	}
	if err := c.server.mayRead(v, sh.Number, p.Records); err != nil {
		return nil, err
	}
	records, bytes := v.describeRecords(sh, p.Records)
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

// describeRecords gives records of a shard in the form of the API, and how many
// bytes of keys and data they have.
func (v *view) describeRecords(sh state.Shard, records []wal.Record) (out []wire.Record, bytes int) {
	out = make([]wire.Record, len(records))
	digits := make([]byte, 0, len(records)*(sequenceDigits+1))
	for i := range records {
		r := &records[i]
		from := len(digits)
		digits = sh.At(r.Seq, r.Arrival).Append(digits)
		out[i] = wire.Record{Sequence: digits[from:], Arrival: r.Arrival, Key: r.Key, Data: r.Data, Encrypted: v.KeyOf(sh.Number, r.Seq) != ""}
		bytes += len(r.Data) + len(r.Key)
	}
	return out, bytes
}

// page reads the log, once there is room for a page. The page is counted twice,
// because the answer holds its bytes again.
func (c *call) page(ctx context.Context, st *stream, sh state.Shard, from uint64, horizon int64, limit int) (wal.Page, error) {
	request := c.share.bytes
	if err := c.share.resize(ctx, request+2*min(maxBytesPerGet, st.log.Size())); err != nil {
		return wal.Page{}, err
	}
	p, err := st.log.Read(sh.Number, from, horizon, limit, maxBytesPerGet)
	if err != nil {
		return p, st.logError(err)
	}
	bytes := 0
	for i := range p.Records {
		bytes += len(p.Records[i].Data) + len(p.Records[i].Key)
	}
	return p, c.share.resize(ctx, min(c.share.bytes, request+2*int64(bytes)))
}

// behind is how far the end of a page is behind the tip of the shard: the age
// of its last record, or 0 if there is nothing after it.
func behind(p wal.Page, now time.Time) int64 {
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
