package localstream

import (
	"fmt"
	"time"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// Record is a record as the log has it.
type Record struct {
	ShardID        string
	SequenceNumber string
	Arrival        time.Time // at a precision of milliseconds
	PartitionKey   string
	HashKey        string // the explicit hash key, empty if there was none
	Data           []byte
}

// inspectBytes is how much Records reads at a time.
const inspectBytes = 16 << 20

// Records gives every record of a stream that has not expired, shard by shard
// in the order of shard ids, and within a shard in order. The stream is one of
// the server's own account and region. It is for tests and tools: it reads the
// log without the wire, and holds everything in memory. Damaged records are a
// [*DamagedError].
func (s *Server) Records(stream string) ([]Record, error) {
	if !s.enter() {
		return nil, fmt.Errorf("records of %s: %w", stream, unavailable())
	}
	defer s.requests.Done()
	key := state.Key{Scope: state.Scope{Account: s.cfg.AccountID, Region: s.cfg.Region}, Name: stream}
	st, v, err := s.lookup(key)
	if err != nil {
		return nil, fmt.Errorf("records of %s: %w", stream, err)
	}
	var out []Record
	horizon := v.TrimHorizon(time.Now())
	for _, sh := range v.Shards {
		for from := uint64(0); ; {
			p, err := st.log.Read(sh.Number, from, horizon, maxRecordsPerGet, inspectBytes)
			if err != nil {
				return nil, fmt.Errorf("records of %s, %s: %w", stream, state.ShardID(sh.Number), s.cfg.asDamaged(err, key))
			}
			for _, r := range p.Records {
				out = append(out, Record{
					ShardID: state.ShardID(sh.Number), SequenceNumber: sh.At(r.Seq, r.Arrival).String(),
					Arrival: time.UnixMilli(r.Arrival).UTC(), PartitionKey: r.Key, HashKey: r.HashKey, Data: r.Data,
				})
			}
			if from = p.Next; p.Behind == 0 {
				break
			}
		}
	}
	return out, nil
}
