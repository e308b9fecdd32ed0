package history

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// tale is a hand-made history of one group on one stream. Its verbs tell a good
// run; a test leaves one out, or tells one that should not be.
type tale struct {
	*History
	stream Stream
	ids    []ID // of the puts, by number
	keys   []string
	tokens map[string]string // by worker and shard
	epochs map[string]uint64
	epoch  uint64
	seq    int
}

const prefix = "1:r:orders:1/"

// newTale is the beginning: shard a has all hash keys, and nobody its lease.
func newTale() *tale {
	l := &tale{History: New(), tokens: map[string]string{}, epochs: map[string]uint64{}, seq: 10}
	l.shard("a", hashkey.Full)
	c := l.Began(StoreCall{Actor: "one", Op: OpCreate, Items: []Item{{Lease: prefix + "a"}}})
	l.Answered(c, []Result{{}}, nil)
	return l
}

func (l *tale) shard(id string, keys hashkey.Range, parents ...string) {
	l.seq++
	l.stream.Shards = append(l.stream.Shards, Shard{
		ID: id, Parents: parents, StartHashKey: keys.Start.String(), EndHashKey: keys.End.String(), StartSequence: strconv.Itoa(l.seq),
	})
}

// of finds a shard.
func (l *tale) of(id string) *Shard {
	return &l.stream.Shards[slices.IndexFunc(l.stream.Shards, func(s Shard) bool { return s.ID == id })]
}

// closes ends a shard.
func (l *tale) closes(id string) {
	l.seq++
	l.of(id).EndSequence = strconv.Itoa(l.seq)
}

var low, high = hashkey.Split(2)[0], hashkey.Split(2)[1]

// split is a reshard of a into b and c.
func (l *tale) split() {
	l.closes("a")
	l.shard("b", low, "a")
	l.shard("c", high, "a")
}

// stored puts a record into a shard and returns its id.
func (l *tale) stored(shard, key, data string) ID {
	l.seq++
	seq := strconv.Itoa(l.seq)
	s := l.of(shard)
	s.Records = append(s.Records, Raw{Sequence: seq, Key: key, Arrival: time.Now(), Data: []byte(data)})
	return ID{Sequence: seq}
}

// begins and acks are the two ends of put n.
func (l *tale) begins(key string) int {
	n := l.Put(Put{Producer: "p", Key: key, Data: data(len(l.ids)), Ordered: true})
	l.ids, l.keys = append(l.ids, ID{}), append(l.keys, key)
	return n
}

func data(n int) []byte { return []byte("data-" + strconv.Itoa(n)) }

func (l *tale) acks(n int, shard string) {
	l.ids[n] = l.stored(shard, l.keys[n], string(data(n)))
	l.Acked(n, shard, l.ids[n])
}

// puts puts records of the keys into a shard, one by one.
func (l *tale) puts(shard string, keys ...string) {
	for _, k := range keys {
		l.acks(l.begins(k), shard)
	}
}

// asks begins an acquisition and gives what answers it.
func (l *tale) asks(worker, shard string) (answer func(at checkpoint.Position)) {
	l.epoch++
	epoch := l.epoch
	token := fmt.Sprintf("%s#%d", worker, epoch)
	c := l.Began(StoreCall{Actor: worker, Op: OpAcquire, Items: []Item{{Lease: prefix + shard, Token: token}}})
	return func(at checkpoint.Position) {
		l.tokens[worker+shard], l.epochs[worker+shard] = token, epoch
		l.Answered(c, []Result{{Token: token, Epoch: epoch, Position: at, Stored: true}}, nil)
	}
}

func (l *tale) acquires(worker, shard string, at checkpoint.Position) { l.asks(worker, shard)(at) }

// after is the position of put n; -1 is the start.
func (l *tale) after(n int) checkpoint.Position {
	if n < 0 {
		return checkpoint.Start()
	}
	return checkpoint.At(checkpoint.SequenceNumber(l.ids[n].Sequence), l.ids[n].Subsequence)
}

func (l *tale) given(worker, shard string, n ...int) {
	for _, n := range n {
		l.Delivered(Delivery{
			Worker: worker, Lease: prefix + shard, Epoch: l.epochs[worker+shard], ID: l.ids[n], Key: l.keys[n], Data: data(n),
		})
	}
}

func (l *tale) handles(worker, shard string, n ...int) {
	for _, n := range n {
		l.Handled(worker, prefix+shard, l.epochs[worker+shard], l.ids[n])
	}
}

func (l *tale) returns(worker, shard string) {
	l.Returned(worker, prefix+shard, l.epochs[worker+shard])
}

// does is given and handles.
func (l *tale) does(worker, shard string, n ...int) {
	l.given(worker, shard, n...)
	l.handles(worker, shard, n...)
}

// sends begins a save and gives what answers it, with the stored position.
func (l *tale) sends(worker, shard string, at checkpoint.Position, release bool) (answer func(stored checkpoint.Position, err string)) {
	c := l.Began(StoreCall{Actor: worker, Op: OpSave, Items: []Item{{
		Lease: prefix + shard, Token: l.tokens[worker+shard], Position: at, Release: release,
	}}})
	return func(stored checkpoint.Position, err string) {
		l.Answered(c, []Result{{Err: err, Position: stored, Stored: err == "" || err == "regress"}}, nil)
	}
}

func (l *tale) saves(worker, shard string, n int) {
	l.sends(worker, shard, l.after(n), false)(l.after(n), "")
}

func (l *tale) releases(worker, shard string, n int) {
	l.sends(worker, shard, l.after(n), true)(l.after(n), "")
}

// completes begins the end of a shard and gives what answers it.
func (l *tale) completing(worker, shard string, children ...string) (answer func(err string)) {
	item := Item{Lease: prefix + shard, Token: l.tokens[worker+shard], Position: checkpoint.ShardEnd()}
	for _, c := range children {
		item.Children = append(item.Children, prefix+c)
	}
	c := l.Began(StoreCall{Actor: worker, Op: OpComplete, Items: []Item{item}})
	return func(err string) { l.Answered(c, []Result{{Err: err}}, nil) }
}

func (l *tale) completes(worker, shard string, children ...string) {
	l.completing(worker, shard, children...)("")
}

// owner is a row of the lease table.
func (l *tale) owner(shard, worker string, at checkpoint.Position) Owner {
	s := l.of(shard)
	o := Owner{Lease: prefix + shard, Worker: worker, Position: at, StartHashKey: s.StartHashKey, EndHashKey: s.EndHashKey}
	return o
}

// reads tells of a whole read of a shard, from its oldest record.
func (l *tale) reads(shard string) {
	l.Read(l.read(shard, "TRIM_HORIZON", 0))
}

// read is a read of a shard from its i-th record on, to the tip.
func (l *tale) read(shard, kind string, i int) Read {
	s := l.of(shard)
	r := Read{Shard: shard, Type: kind, Began: time.Now(), Answered: time.Now(), Last: time.Now(), Closed: s.EndSequence != ""}
	for _, rec := range s.Records[i:] {
		r.Got = append(r.Got, rec.Sequence)
	}
	return r
}

// done is the end of a good run: the truth, a read, and all leases owned.
func (l *tale) done(owners ...Owner) {
	if len(owners) == 0 {
		owners = []Owner{l.owner("a", "one", l.after(len(l.ids)-1))}
	}
	l.reads("a")
	l.Owners(owners)
	l.Healed()
	time.Sleep(15 * time.Second)
	l.Owners(owners)
	l.Stream(l.stream)
}

// judge runs a tale in a bubble and says which rules it breaks.
func judged(t *testing.T, tell func(*tale)) Verdict {
	t.Helper()
	return judgedBy(t, tell, Options{TTL: 8 * time.Second, Beat: 2 * time.Second, Lag: 20 * time.Second})
}

// judgedBy is judged, by options.
func judgedBy(t *testing.T, tell func(*tale), o Options) (v Verdict) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		l := newTale()
		tell(l)
		v = l.Check(o)
	})
	return v
}

// ruling is a tale and the one rule that it breaks, "" for none.
type ruling struct {
	name   string
	breaks Rule
	tell   func(l *tale)
}

func try(t *testing.T, rulings []ruling) {
	t.Helper()
	for _, r := range rulings {
		t.Run(strings.TrimSpace(string(r.breaks)+" "+r.name), func(t *testing.T) {
			v := judged(t, r.tell)
			want := map[Rule]bool{}
			if r.breaks != "" {
				want[r.breaks] = true
			}
			got := map[Rule]bool{}
			for rule := range v.Broken {
				got[rule] = true
			}
			if !maps.Equal(got, want) {
				t.Errorf("want %q broken: %s", r.breaks, v)
			}
			if v.OK() != (r.breaks == "") {
				t.Errorf("OK is %v", v.OK())
			}
		})
	}
}

// plain is a good run of records of the keys x, y, x on shard a, but for what
// happens in the middle, before the last record is handled.
func plain(middle func(l *tale)) func(l *tale) {
	return func(l *tale) {
		l.puts("a", "x", "y", "x")
		l.acquires("one", "a", checkpoint.Start())
		l.does("one", "a", 0, 1)
		middle(l)
		l.does("one", "a", 2)
		l.done()
	}
}
