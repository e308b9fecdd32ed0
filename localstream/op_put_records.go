package localstream

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/shardrun/shardrun/localstream/internal/wal"
	"github.com/shardrun/shardrun/localstream/internal/wire"
)

// The limits of one PutRecords request.
const (
	maxRecordsPerPut = 500
	maxBytesPerPut   = 10 << 20
)

// sequenceDigits is the length of the sequence numbers that the server gives.
const sequenceDigits = 56

func (c *checker) putRecords(in *kinesis.PutRecordsInput) {
	c.records(in)
	c.stream(in.StreamName, in.StreamARN, in.StreamId)
}

func (c *call) putRecords(ctx context.Context, in *kinesis.PutRecordsInput) (*wire.PutRecordsAnswer, error) {
	st, v, err := c.writable(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	puts, recs, results := c.memory.puts.room(len(in.Records))
	total := 0
	var violations checker
	for i := range in.Records {
		e := &in.Records[i]
		if e.PartitionKey == nil && !v.Auto {
			violations.noKey(i + 1)
			continue
		}
		recs[i].Data = e.Data
		if err := st.place(v, &puts[i], &recs[i], e.PartitionKey, e.ExplicitHashKey); err != nil {
			return nil, err
		}
		total += len(e.Data) + len(recs[i].Key)
		violations.recordSize(i+1, &recs[i], v)
	}
	if err := violations.err(); err != nil {
		return nil, err
	}
	if total > maxBytesPerPut {
		return nil, invalidArgument("Records size exceeds 10 MB limit")
	}
	if err := c.server.kms.use(v.Key, v.KeyID()); err != nil {
		return nil, err
	}
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	accepted, err := c.append(ctx, st, puts, recs)
	if err != nil {
		return nil, err
	}

	out := &wire.PutRecordsAnswer{Results: results}
	out.Encrypted = len(accepted) > 0 && st.encrypted(accepted[len(accepted)-1])
	digits := slices.Grow(c.memory.puts.digits[:0], len(puts)*sequenceDigits)
	for i := range puts {
		p := &puts[i]
		if p.refused != nil {
			out.Failed++
			out.Results[i] = wire.PutResult{Code: p.refused.Type, Message: p.refused.Message}
			continue
		}
		from := len(digits)
		digits = p.shard.At(accepted[p.index].Seq, accepted[p.index].Arrival).Append(digits)
		out.Results[i] = wire.PutResult{ShardID: p.shard.id, Sequence: digits[from:]}
	}
	c.memory.puts.digits = digits
	return out, nil
}

// putMemory is the memory of one request that puts records.
type putMemory struct {
	puts    []put
	recs    []wal.Record
	results []wire.PutResult
	digits  []byte
}

// room gives what n records need, all of it zero.
func (m *putMemory) room(n int) ([]put, []wal.Record, []wire.PutResult) {
	m.puts = slices.Grow(m.puts, n)[:n]
	m.recs = slices.Grow(m.recs, n)[:n]
	m.results = slices.Grow(m.results, n)[:n]
	return m.puts, m.recs, m.results
}

// forget lets go of what the records were.
func (m *putMemory) forget() {
	clear(m.puts)
	clear(m.recs)
	clear(m.results)
	m.puts, m.recs, m.results = m.puts[:0], m.recs[:0], m.results[:0]
}

// put is a record on its way into a shard.
type put struct {
	hash    hashkey.Key
	shard   *openShard
	index   int       // in the records that were appended
	refused *apiError // this record alone was refused
}

// place fills in the keys of a record, and the hash key that decides on its
// shard. Where records are spread over the shards, the keys of the request have
// no say in that; the partition key is kept for readers.
func (s *stream) place(v *view, p *put, r *wal.Record, key, explicit *string) (err error) {
	r.Key = aws.ToString(key)
	if v.Auto {
		p.hash = s.spread(v)
		return nil
	}
	r.HashKey = aws.ToString(explicit)
	p.hash, err = hashOf(r.Key, explicit)
	return err
}

// encrypted reports whether a record that was appended is encrypted. Of one
// that was on its way while encryption began, an answer may not know it yet.
func (s *stream) encrypted(r wal.Record) bool { return s.view.Load().KeyOf(r.Shard, r.Seq) != "" }

// hashOf gives the hash key that decides on the shard of a record.
func hashOf(key string, explicit *string) (hashkey.Key, error) {
	if explicit == nil {
		return hashkey.Of(key), nil
	}
	k, err := hashkey.Parse(*explicit)
	if err != nil { // its form was checked before, so it is too large
		return k, invalidArgument("Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was %s", *explicit)
	}
	return k, nil
}

// recordSize checks a record against the limit of its stream.
func (c *checker) recordSize(index int, r *wal.Record, v *view) {
	if most := int(v.MaxRecordKiB) << 10; len(r.Data)+len(r.Key) > most && len(c.failed) < maxViolations {
		path := "data"
		if index > 0 {
			path = recordPath(index) + path
		}
		// The limit is on data and key together; the text of AWS knows the data only.
		c.data(path, r.Data, min(most, len(r.Data)-1))
	}
}

// append commits records to the shards that their hash keys belong to, and
// fills in puts and records. The result is recs without those that faults and
// limits refused.
//
// A reshard may seal a shard in between. Then nothing of the records was
// appended, so all of them can be routed anew when the new shards are there.
func (c *call) append(ctx context.Context, st *stream, puts []put, recs []wal.Record) ([]wal.Record, error) {
	all := recs
	v := st.view.Load()
	reserved := recordsSpace(recs) // room on the disk
	granted := c.server.space.admitAll(st, reserved)
	if !granted {
		reserved = 0 // each record has to ask
	}
	settle := c.server.space.forgo // nothing is written yet
	defer func() { settle(st, reserved) }()
	for first := true; ; first = false {
		var unused int64 // of what was granted
		switch {
		case v.gone:
			return nil, noStream(st.key)
		case v.broken != nil:
			return nil, internalFailure(v.broken)
		}
		recs = recs[:0]
		for i := range puts {
			p := &puts[i]
			if p.refused != nil {
				continue
			}
			p.shard = &v.open[v.route(p.hash)]
			if first {
				if p.refused = c.refuse(st, p.shard, &all[i], granted); p.refused != nil {
					unused += recordSpace(&all[i])
					continue
				}
				if !granted {
					reserved += recordSpace(&all[i])
				}
				recs = append(recs, all[i]) // never overtakes i
			} else {
				recs = append(recs, all[p.index])
			}
			p.index = len(recs) - 1
			recs[p.index].Shard = p.shard.Number
		}
		if granted && unused > 0 {
			c.server.space.forgo(st, unused)
			reserved -= unused
		}
		if len(recs) == 0 {
			return recs, nil
		}
		err := st.log.Append(recs)
		if err == nil {
			settle = c.server.space.release
			if v.OnDemand {
				st.writes.add(recs)
			}
			return recs, nil
		}
		if _, sealed := errors.AsType[*wal.SealedError](err); !sealed {
			return nil, st.logError(err)
		}
		select {
		case <-v.replaced:
			v = st.view.Load()
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.server.closing.Done():
			return nil, unavailable()
		}
	}
}

// refuse says why one record cannot be taken now, if so: a fault was injected,
// its shard is at its limit, or the disk is, unless room was granted to it
// already. Otherwise there is room reserved for it.
func (c *call) refuse(st *stream, sh *openShard, r *wal.Record, granted bool) *apiError {
	if err := c.recordFault(st.key, sh.id); err != nil {
		return err
	}
	if c.server.cfg.Limits == LimitsAWS && !st.rates.write(sh.Number, len(r.Data)+len(r.Key), time.Now()) {
		return rateExceeded(st.key, sh.id)
	}
	if granted {
		return nil
	}
	return c.server.space.admit(st, sh.id, recordSpace(r))
}
