package localstream

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/awscbor"
	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/shardrun/shardrun/internal/vfs"
)

var (
	programCount = flag.Int("programs", programsDefault, "how many random programs of puts and reshards to run")
	firstProgram = flag.Uint64("program", 1, "the seed of the first program")
)

// programConfig is one of the ways in which a program is run. The result must
// be the same in all of them.
type programConfig struct {
	durability Durability
	client     func(*kinesis.Options) // how the client talks
	read       func(p *program, shard string) ([]types.Record, []string)
}

// TestPrograms runs random programs of puts, splits, merges, scalings and
// restarts in every configuration, beside a small model that knows what has to
// be in each shard.
func TestPrograms(t *testing.T) {
	configs := programConfigs()
	for i := range *programCount {
		seed := *firstProgram + uint64(i)
		for name, cfg := range configs {
			p := &program{rng: rand.New(rand.NewPCG(seed, 1)), cfg: cfg, disk: vfs.NewMemory()}
			p.harness = &harness{T: t}
			p.run()
			if t.Failed() {
				t.Fatalf("program %d fails with %s: go test ./localstream -run TestPrograms -program=%d -programs=1\n%s",
					seed, name, seed, strings.Join(p.log, "\n"))
			}
		}
	}
}

// program is one run: a server, the model, and what was done.
type program struct {
	*harness
	cfg   programConfig
	rng   *rand.Rand
	disk  vfs.FS
	model model
	puts  int
	log   []string
}

// model is what a stream has to be like.
type model struct{ shards []*modelShard } // by number

type modelShard struct {
	id      string
	keys    hashkey.Range
	parents []string
	closed  bool
	data    []string
}

// open lists the open shards by hash key.
func (m *model) open() []*modelShard {
	var open []*modelShard
	for _, sh := range m.shards {
		if !sh.closed {
			open = append(open, sh)
		}
	}
	slices.SortFunc(open, func(a, b *modelShard) int { return a.keys.Start.Compare(b.keys.Start) })
	return open
}

func (m *model) add(keys hashkey.Range, parents ...*modelShard) {
	sh := &modelShard{id: fmt.Sprintf("shardId-%012d", len(m.shards)), keys: keys}
	for _, p := range parents {
		p.closed = true
		sh.parents = append(sh.parents, p.id)
	}
	m.shards = append(m.shards, sh)
}

func (m *model) children(parent string) []string {
	var ids []string
	for _, sh := range m.shards {
		if slices.Contains(sh.parents, parent) {
			ids = append(ids, sh.id)
		}
	}
	return ids
}

// run makes a stream, does some thirty things to it, and looks at the result.
func (p *program) run() {
	p.open()
	defer func() { p.must(p.server.Close()) }()
	count := 1 + p.rng.IntN(3)
	p.create("s", count)
	for _, keys := range hashkey.Split(count) {
		p.model.add(keys)
	}
	for range 30 {
		switch p.rng.IntN(12) {
		case 0, 1:
			p.splitOne()
		case 2, 3:
			p.mergeTwo()
		case 4:
			p.scale()
		case 5:
			p.restart()
		case 6:
			sh := p.model.shards[p.rng.IntN(len(p.model.shards))]
			p.checkShard(sh)
		default:
			p.putSome()
		}
		if p.Failed() {
			return
		}
	}
	p.checkAll()
}

func (p *program) did(format string, args ...any) {
	p.log = append(p.log, fmt.Sprintf(format, args...))
}

// open opens the server on the disk of the program.
func (p *program) open() {
	cfg := Config{Durability: p.cfg.durability}
	if cfg.Durability != Memory {
		cfg.fs = p.disk
	}
	var err error
	p.server, err = Open(cfg)
	p.must(err)
	p.client = p.server.plainClient(noRetry, p.cfg.client)
}

func (p *program) restart() {
	if p.cfg.durability == Memory {
		return
	}
	p.did("restart")
	p.must(p.server.Close())
	p.open()
}

func (p *program) putSome() {
	in := &kinesis.PutRecordsInput{StreamName: aws.String("s")}
	open := p.model.open()
	for range 1 + p.rng.IntN(20) {
		p.puts++
		key := fmt.Sprintf("key %d", p.rng.IntN(10))
		hash := hashkey.Of(key)
		entry := types.PutRecordsRequestEntry{PartitionKey: &key, Data: fmt.Appendf(nil, "%s: %d", key, p.puts)}
		if p.rng.IntN(4) == 0 {
			hash = hashkey.Key{Hi: p.rng.Uint64(), Lo: p.rng.Uint64()}
			entry.ExplicitHashKey = aws.String(hash.String())
		}
		in.Records = append(in.Records, entry)
		for _, sh := range open {
			if sh.keys.Contains(hash) {
				sh.data = append(sh.data, string(entry.Data))
			}
		}
	}
	p.did("put %d", len(in.Records))
	out, err := p.client.PutRecords(p.Context(), in)
	p.must(err)
	equal(p.T, "failed records", aws.ToInt32(out.FailedRecordCount), 0)
}

func (p *program) splitOne() {
	open := p.model.open()
	sh := open[p.rng.IntN(len(open))]
	at := hashkey.Key{Hi: p.rng.Uint64(), Lo: p.rng.Uint64()}
	if at.Compare(sh.keys.Start.Next()) <= 0 || at.Compare(sh.keys.End) >= 0 {
		return
	}
	p.did("split %s at %s", sh.id, at)
	p.split(sh.id, at.String())
	p.model.add(hashkey.Range{Start: sh.keys.Start, End: at.Prev()}, sh)
	p.model.add(hashkey.Range{Start: at, End: sh.keys.End}, sh)
}

func (p *program) mergeTwo() {
	open := p.model.open()
	if len(open) < 2 {
		return
	}
	i := p.rng.IntN(len(open) - 1)
	low, high := open[i], open[i+1]
	p.did("merge %s, %s", low.id, high.id)
	p.merge(low.id, high.id)
	p.model.add(hashkey.Range{Start: low.keys.Start, End: high.keys.End}, low, high)
}

// scale changes the number of shards. Which shards come in between is the
// server's to choose: the model takes them from it, after it has looked at what
// has to be true of them.
func (p *program) scale() {
	before := len(p.model.open())
	target := before/2 + before%2 + p.rng.IntN(before*2-(before/2+before%2)+1)
	p.did("scale %d to %d", before, target)
	_, err := p.client.UpdateShardCount(p.Context(), &kinesis.UpdateShardCountInput{
		StreamName: aws.String("s"), TargetShardCount: aws.Int32(int32(target)), ScalingType: types.ScalingTypeUniformScaling,
	})
	p.must(err)
	for _, sh := range p.shards()[len(p.model.shards):] {
		keys, err := hashkey.ParseRange(*sh.HashKeyRange.StartingHashKey, *sh.HashKeyRange.EndingHashKey)
		p.must(err)
		var parents []*modelShard
		for _, id := range []*string{sh.ParentShardId, sh.AdjacentParentShardId} {
			if id != nil {
				i := slices.IndexFunc(p.model.shards, func(m *modelShard) bool { return m.id == *id })
				parents = append(parents, p.model.shards[i])
			}
		}
		p.model.add(keys, parents...)
	}
	open := p.model.open()
	equal(p.T, "shards after the scaling", len(open), target)
	for i, keys := range hashkey.Split(target) {
		if i < len(open) && (distance(open[i].keys.Start, keys.Start) > 1<<32 || distance(open[i].keys.End, keys.End) > 1<<32) {
			p.Errorf("shard %d of %d is %v, want %v", i, target, open[i].keys, keys)
		}
	}
}

// distance is how far two keys are apart, if that is less than 2^64.
func distance(a, b hashkey.Key) uint64 {
	if a.Compare(b) < 0 {
		a, b = b, a
	}
	if a.Hi-b.Hi > 1 || a.Hi != b.Hi && a.Lo >= b.Lo {
		return ^uint64(0)
	}
	return a.Lo - b.Lo
}

// checkAll compares the stream with the model.
func (p *program) checkAll() {
	p.did("check all")
	shards := p.shards()
	equal(p.T, "shards", len(shards), len(p.model.shards))
	for i, sh := range shards {
		want := p.model.shards[i]
		parents := []string{}
		for _, id := range []*string{sh.ParentShardId, sh.AdjacentParentShardId} {
			if id != nil {
				parents = append(parents, *id)
			}
		}
		equal(p.T, "id", *sh.ShardId, want.id)
		equal(p.T, "parents of "+want.id, parents, want.parents)
		equal(p.T, "range of "+want.id, *sh.HashKeyRange.StartingHashKey+"-"+*sh.HashKeyRange.EndingHashKey, want.keys.Start.String()+"-"+want.keys.End.String())
		equal(p.T, want.id+" is closed", sh.SequenceNumberRange.EndingSequenceNumber != nil, want.closed)
		for _, id := range parents { // they stand before it
			number := slices.IndexFunc(shards, func(s types.Shard) bool { return *s.ShardId == id })
			if end := shards[number].SequenceNumberRange.EndingSequenceNumber; number < 0 || end == nil || *end >= *sh.SequenceNumberRange.StartingSequenceNumber {
				p.Errorf("%s begins at or before the end of its parent %s", want.id, id)
			}
		}
	}
	for _, sh := range p.model.shards {
		p.checkShard(sh)
	}
}

// checkShard reads a shard from its beginning, and from some record in it.
func (p *program) checkShard(sh *modelShard) {
	p.did("check %s", sh.id)
	records, children := p.cfg.read(p, sh.id)
	equal(p.T, "records of "+sh.id, dataOf(records), append([]string{}, sh.data...))
	var want []string
	if sh.closed {
		want = p.model.children(sh.id)
	}
	equal(p.T, "children of "+sh.id, children, want)
	if !slices.IsSortedFunc(records, func(a, b types.Record) int { return strings.Compare(*a.SequenceNumber, *b.SequenceNumber) }) {
		p.Errorf("numbers of %s do not rise", sh.id)
	}
	if len(records) == 0 {
		return
	}
	i := p.rng.IntN(len(records))
	equal(p.T, "records at one", p.read(p.iterator(sh.id, types.ShardIteratorTypeAtSequenceNumber, from(*records[i].SequenceNumber))), sh.data[i:])
	equal(p.T, "records after one", p.read(p.iterator(sh.id, types.ShardIteratorTypeAfterSequenceNumber, from(*records[i].SequenceNumber))), sh.data[i+1:])
}

// poll reads a shard by GetRecords, in pages of any size.
func poll(p *program, shard string) (records []types.Record, children []string) {
	it := p.iterator(shard, types.ShardIteratorTypeTrimHorizon)
	for {
		page, err := p.client.GetRecords(p.Context(), &kinesis.GetRecordsInput{ShardIterator: &it, Limit: aws.Int32(1 + int32(len(records)%50))})
		p.must(err)
		records = append(records, page.Records...)
		for _, c := range page.ChildShards {
			children = append(children, *c.ShardId)
		}
		if page.NextShardIterator == nil || len(page.Records) == 0 && *page.MillisBehindLatest == 0 {
			return records, children
		}
		it = *page.NextShardIterator
	}
}

// push reads a shard by SubscribeToShard.
func push(p *program, shard string) (records []types.Record, children []string) {
	arn := p.register("reader")
	f := p.subscribe(arn, shard, fromHorizon)
	for {
		e := f.next()
		records = append(records, e.Records...)
		for _, c := range e.ChildShards {
			children = append(children, *c.ShardId)
		}
		if e.ContinuationSequenceNumber == nil || *e.MillisBehindLatest == 0 {
			f.stream.Close()
			p.deregister(arn) // the next one is another
			return records, children
		}
	}
}

// programConfigs are the ways in which each program is run.
func programConfigs() map[string]programConfig {
	configs := map[string]programConfig{}
	for _, d := range []Durability{Sync, Async, Memory} {
		for encoding, client := range map[string]func(*kinesis.Options){"JSON": func(*kinesis.Options) {}, "CBOR": awscbor.Use} {
			configs[d.String()+", "+encoding+", polling"] = programConfig{durability: d, client: client, read: poll}
			configs[d.String()+", "+encoding+", fan-out"] = programConfig{durability: d, client: client, read: push}
		}
	}
	return configs
}
