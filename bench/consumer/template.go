package consumer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/shardrun/shardrun/internal/aggregate"
	"github.com/shardrun/shardrun/internal/hashkey"
)

const (
	streamName = "orders"
	// arrival is when all records arrived, in seconds since 1970.
	arrival = 1_767_225_600
	// anyPage stands in a template where the page's number comes.
	anyPage = "PPPPPP"
	// anyBehind stands where the pages that are left come.
	anyBehind = "777777"
)

func shardID(i int) string { return fmt.Sprintf("shardId-%012d", i) }

func iterator(shard, page int) string { return fmt.Sprintf("shard-%04d-page-%06d", shard, page) }

// sequence is a number as long as those of Kinesis, which rises within its
// shard.
func sequence(shard, page, record int) string { return sequenceOf(shard, six(page), record) }

func sequenceOf(shard int, page string, record int) string {
	return fmt.Sprintf("495903382714902566085596925383615710%s%06d%08d", page, record, shard)
}

func parseSequence(s string) (page, record int, err error) {
	var base, shard string
	if _, err := fmt.Sscanf(s, "%36s%6d%6d%8s", &base, &page, &record, &shard); err != nil {
		return 0, 0, fmt.Errorf("sequence number %q", s)
	}
	return page, record, nil
}

func six(n int) string { return fmt.Sprintf("%06d", n) }

func ranges(shards int) []hashkey.Range { return hashkey.Split(shards) }

// template is the body of a page of one shard, in which only the number of the
// page has to be filled in.
type template struct {
	body   []byte
	pages  []int // where the page's number stands
	next   int   // where the next page's number stands
	behind int   // where the number of pages left stands
	spare  sync.Pool
}

func newTemplate(cfg Pages, shard int) (*template, error) {
	type record struct {
		SequenceNumber              string
		ApproximateArrivalTimestamp float64
		Data                        []byte
		PartitionKey                string
	}
	var page struct {
		Records            []record
		NextShardIterator  string
		MillisBehindLatest json.Number
	}
	random := rand.New(rand.NewPCG(1, uint64(shard)))
	keys := keysOf(ranges(cfg.Shards)[shard], 50)
	for i := range cfg.Records {
		page.Records = append(page.Records, record{
			SequenceNumber: sequenceOf(shard, anyPage, i), ApproximateArrivalTimestamp: arrival + float64(i)/1000,
			Data: payload(cfg, random, keys), PartitionKey: keys[i%len(keys)],
		})
	}
	page.NextShardIterator = "shard-" + fmt.Sprintf("%04d", shard) + "-page-NNNNNN"
	page.MillisBehindLatest = anyBehind
	body, err := json.Marshal(page)
	if err != nil {
		return nil, err
	}
	t := &template{body: body, next: bytes.LastIndex(body, []byte("NNNNNN")), behind: bytes.LastIndex(body, []byte(anyBehind))}
	for at := 0; ; {
		i := bytes.Index(body[at:], []byte(`"SequenceNumber":"`))
		if i < 0 {
			break
		}
		at += i
		at += bytes.Index(body[at:], []byte(anyPage))
		t.pages = append(t.pages, at)
	}
	if len(t.pages) != cfg.Records {
		return nil, fmt.Errorf("the template has %d places for the page's number, not %d", len(t.pages), cfg.Records)
	}
	return t, nil
}

// page is the body of a page. The caller calls done when it has been sent.
func (t *template) page(n, left int) (body []byte, done func()) {
	spare, _ := t.spare.Get().(*[]byte)
	if spare == nil {
		b := bytes.Clone(t.body)
		spare = &b
	}
	body = *spare
	number := six(n)
	for _, at := range t.pages {
		copy(body[at:], number)
	}
	copy(body[t.next:], six(n+1))
	copy(body[t.behind:], fmt.Sprintf("%6d", left)) // spaces before a number are JSON
	return body, func() { t.spare.Put(spare) }
}

// payload is the data of one Kinesis record.
func payload(cfg Pages, random *rand.Rand, keys []string) []byte {
	if cfg.Members == 0 {
		return noise(random, cfg.Bytes)
	}
	var b aggregate.Builder
	for i := range cfg.Members {
		b.Add(keys[i%len(keys)], "", noise(random, cfg.Bytes))
	}
	return b.Append(nil)
}

func noise(random *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

// keysOf are partition keys that belong to a shard.
func keysOf(r hashkey.Range, n int) []string {
	var keys []string
	for i := 0; len(keys) < n; i++ {
		if key := fmt.Sprintf("key-%05d", i); r.Contains(hashkey.Of(key)) {
			keys = append(keys, key)
		}
	}
	return keys
}
