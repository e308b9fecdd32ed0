package consumer

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/shardrun/shardrun/internal/aggregate"
	"github.com/shardrun/shardrun/internal/cbor"
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
	// anyBehindCBOR is the same as a number of four bytes.
	anyBehindCBOR = "\x77\x77\x77\x77"
	// anyNext stands where the next page's number comes.
	anyNext = "NNNNNN"
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
	cbor   bool
	body   []byte
	pages  []int // where the page's number stands
	next   int   // where the next page's number stands
	behind int   // where the number of pages left stands
	spare  sync.Pool
}

func newTemplate(cfg Pages, shard int) (*template, error) {
	page := pageOf(cfg, shard)
	t := &template{cbor: cfg.CBOR}
	before := `"SequenceNumber":"`
	if cfg.CBOR {
		t.body, before = page.appendCBOR(), "\x6eSequenceNumber"
		t.behind = bytes.Index(t.body, []byte("\x1a"+anyBehindCBOR)) + 1
	} else {
		var err error
		if t.body, err = json.Marshal(page); err != nil {
			return nil, err
		}
		t.behind = bytes.LastIndex(t.body, []byte(anyBehind))
	}
	t.next = bytes.Index(t.body, []byte("-page-"+anyNext)) + len("-page-")
	for at := 0; ; {
		i := bytes.Index(t.body[at:], []byte(before))
		if i < 0 {
			break
		}
		at += i
		at += bytes.Index(t.body[at:], []byte(anyPage))
		t.pages = append(t.pages, at)
	}
	if len(t.pages) != cfg.Records || t.next < len("-page-") || t.behind < 1 {
		return nil, fmt.Errorf("the template has %d places for the page's number, not %d", len(t.pages), cfg.Records)
	}
	return t, nil
}

// page is what a template is made of.
type page struct {
	Records            []pageRecord
	NextShardIterator  string
	MillisBehindLatest json.Number
}

type pageRecord struct {
	SequenceNumber              string
	ApproximateArrivalTimestamp float64
	Data                        []byte
	PartitionKey                string
}

func pageOf(cfg Pages, shard int) page {
	p := page{NextShardIterator: fmt.Sprintf("shard-%04d-page-%s", shard, anyNext), MillisBehindLatest: anyBehind}
	random := rand.New(rand.NewPCG(1, uint64(shard)))
	keys := keysOf(ranges(cfg.Shards)[shard], 50)
	for i := range cfg.Records {
		p.Records = append(p.Records, pageRecord{
			SequenceNumber: sequenceOf(shard, anyPage, i), ApproximateArrivalTimestamp: arrival + float64(i)/1000,
			Data: payload(cfg, random, keys), PartitionKey: keys[i%len(keys)],
		})
	}
	return p
}

// appendCBOR is the page in CBOR, with what has to be filled in ahead of the
// records.
func (p page) appendCBOR() []byte {
	b := cbor.AppendMap(nil, 3)
	b = append(cbor.AppendText(b, "MillisBehindLatest"), "\x1a"+anyBehindCBOR...)
	b = cbor.AppendText(cbor.AppendText(b, "NextShardIterator"), p.NextShardIterator)
	b = cbor.AppendArray(cbor.AppendText(b, "Records"), len(p.Records))
	for _, r := range p.Records {
		b = cbor.AppendMap(b, 4)
		b = cbor.AppendInt(cbor.AppendText(b, "ApproximateArrivalTimestamp"), int64(r.ApproximateArrivalTimestamp*1000))
		b = cbor.AppendBytes(cbor.AppendText(b, "Data"), r.Data)
		b = cbor.AppendText(cbor.AppendText(b, "PartitionKey"), r.PartitionKey)
		b = cbor.AppendText(cbor.AppendText(b, "SequenceNumber"), r.SequenceNumber)
	}
	return b
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
	if t.cbor {
		binary.BigEndian.PutUint32(body[t.behind:], uint32(left))
	} else {
		copy(body[t.behind:], fmt.Sprintf("%6d", left)) // spaces before a number are JSON
	}
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
