package history

import (
	"github.com/shardrun/shardrun/internal/aggregate"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// line is one event as it is written. One of the fields behind At is set.
type line struct {
	N  int64 `json:"n"`  // counts the events of a process
	At int64 `json:"at"` // Unix nanoseconds, never less than that of the event before

	Begin     *beginLine    `json:"begin,omitempty"` // of a recorder
	Put       *putLine      `json:"put,omitempty"`
	End       *endLine      `json:"end,omitempty"`
	Delivered *deliveryLine `json:"delivered,omitempty"`
	Handled   *handledLine  `json:"handled,omitempty"`
	Returned  *returnedLine `json:"returned,omitempty"`
	Call      *callLine     `json:"call,omitempty"`
	Answer    *answerLine   `json:"answer,omitempty"`
	Actor     *actorLine    `json:"actor,omitempty"`
	Lost      *lostLine     `json:"lost,omitempty"`
	Healed    bool          `json:"healed,omitempty"`
	Owners    *[]Owner      `json:"owners,omitempty"`
	Note      *noteLine     `json:"note,omitempty"`
	Stream    *streamLine   `json:"stream,omitempty"`
	Read      *Read         `json:"read,omitempty"`
}

type beginLine struct{}

type putLine struct {
	No       int    `json:"no"`
	Producer string `json:"producer"`
	Key      string `json:"key"`
	HashKey  string `json:"hash,omitempty"`
	Sum      sum    `json:"sum"`
	Ordered  bool   `json:"ordered,omitempty"`
}

// endLine is the end of a put: acknowledged, or failed.
type endLine struct {
	No    int    `json:"no"`
	Acked bool   `json:"acked,omitempty"`
	Shard string `json:"shard,omitempty"`
	ID    ID     `json:"id,omitzero"`
	Err   string `json:"err,omitempty"`
	Maybe bool   `json:"maybe,omitempty"`
}

type deliveryLine struct {
	Worker  string `json:"worker"`
	Lease   string `json:"lease"`
	Epoch   uint64 `json:"epoch"`
	ID      ID     `json:"id"`
	Key     string `json:"key"`
	HashKey string `json:"hash,omitempty"`
	Sum     sum    `json:"sum"`
	Arrival int64  `json:"arrival,omitempty"` // Unix milliseconds, 0 when nothing was told
}

type handledLine struct {
	Worker string `json:"worker"`
	Lease  string `json:"lease"`
	Epoch  uint64 `json:"epoch"`
	ID     ID     `json:"id"`
}

type returnedLine struct {
	Worker string `json:"worker"`
	Lease  string `json:"lease"`
	Epoch  uint64 `json:"epoch"`
}

type callLine struct {
	No int `json:"no"`
	StoreCall
}

type answerLine struct {
	Call    int      `json:"call"`
	Results []Result `json:"results,omitempty"`
	Err     string   `json:"err,omitempty"`
}

type actorLine struct {
	Name  string `json:"name"`
	State string `json:"state"`           // started, stopped, crashed, held, resumed, superseded, told, joined
	Began int64  `json:"began,omitempty"` // Unix nanoseconds, of told

	Incarnation string `json:"incarnation,omitempty"` // of joined
}

type lostLine struct {
	What  string `json:"what"`
	Since int64  `json:"since,omitempty"` // Unix nanoseconds, 0 for everything
}

type noteLine struct {
	Actor string `json:"actor"`
	Text  string `json:"text"`
	Log   bool   `json:"log,omitempty"`
}

// streamLine is a [Stream] with its aggregates unpacked, and sums for data.
type streamLine struct {
	Name   string      `json:"name"`
	Shards []shardLine `json:"shards"`
}

type shardLine struct {
	ID            string    `json:"id"`
	Parents       []string  `json:"parents,omitempty"`
	StartHashKey  string    `json:"start"`
	EndHashKey    string    `json:"end"`
	StartSequence string    `json:"from"`
	EndSequence   string    `json:"to,omitempty"`
	Records       []rawLine `json:"records,omitempty"`
}

type rawLine struct {
	Sequence string `json:"seq"`
	Arrival  int64  `json:"arrival"` // Unix milliseconds
	// Users are the user records in it that belong to the shard's range.
	Users []userLine `json:"users,omitempty"`
}

type userLine struct {
	Subsequence uint64 `json:"sub,omitempty"`
	Key         string `json:"key"`
	HashKey     string `json:"hash,omitempty"`
	Aggregated  bool   `json:"agg,omitempty"`
	Sum         sum    `json:"sum"`
}

// unpack turns Kinesis records into user records. Members of an aggregate
// belong to the shard when its range holds their hash key; what is not an
// aggregate, or a malformed one, is one user record.
func unpack(s Stream) *streamLine {
	out := &streamLine{Name: s.Name, Shards: make([]shardLine, len(s.Shards))}
	var (
		decoder aggregate.Decoder
		members []aggregate.Record
	)
	for i, sh := range s.Shards {
		l := shardLine{
			ID: sh.ID, Parents: sh.Parents, StartHashKey: sh.StartHashKey, EndHashKey: sh.EndHashKey,
			StartSequence: sh.StartSequence, EndSequence: sh.EndSequence, Records: make([]rawLine, len(sh.Records)),
		}
		keys, err := hashkey.ParseRange(sh.StartHashKey, sh.EndHashKey)
		if err != nil {
			keys = hashkey.Full // the range itself is judged elsewhere
		}
		for k, r := range sh.Records {
			raw := rawLine{Sequence: r.Sequence, Arrival: r.Arrival.UnixMilli()}
			var verdict aggregate.Verdict
			members, verdict = decoder.Decode(r.Data, members[:0])
			if verdict != aggregate.Unpacked {
				raw.Users = []userLine{{Key: r.Key, Sum: sumOf(r.Data)}}
			}
			for sub, m := range members {
				if verdict == aggregate.Unpacked && keys.Contains(m.Hash()) {
					raw.Users = append(raw.Users, userLine{
						Subsequence: uint64(sub), Key: m.Key, HashKey: m.HashKey, Aggregated: true, Sum: sumOf(m.Data),
					})
				}
			}
			l.Records[k] = raw
		}
		out.Shards[i] = l
	}
	return out
}
