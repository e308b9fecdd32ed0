package history

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// A history of several processes is judged as the one history that it is.
func TestHistoriesOfSeveralProcesses(t *testing.T) {
	var producer, worker, auditor bytes.Buffer
	synctest.Test(t, func(*testing.T) {
		p, w, a := NewRecorder(&producer), NewRecorder(&worker), NewRecorder(&auditor)
		l := &tale{History: p, tokens: map[string]string{}, epochs: map[string]uint64{}, seq: 10}
		l.shard("a", low)
		tick := func() { time.Sleep(time.Millisecond) }
		for range 3 {
			l.History = p
			l.puts("a", keyIn(low))
			tick()
			l.History = w
			if l.epoch == 0 {
				l.acquires("one", "a", checkpoint.Start())
			}
			l.does("one", "a", len(l.ids)-1)
			l.saves("one", "a", len(l.ids)-1)
			tick()
		}
		l.History = a
		l.Stream(l.stream)
		if c := p.Counts(); c != (Counts{Put: 3, Acked: 3}) {
			t.Errorf("the recorder counts %+v", c)
		}
	})
	read := func(files ...io.Reader) Verdict {
		t.Helper()
		h, err := ReadHistories(files...)
		if err != nil {
			t.Fatal(err)
		}
		return h.Check(Options{Partial: Without(H1, H2, H3, H4, H5, H6, H8, H10, H11)})
	}
	if v := read(&auditor, bytes.NewReader(worker.Bytes()), bytes.NewReader(producer.Bytes())); !v.OK() || v.Sent != 3 || v.Handled != 3 {
		t.Errorf("whole: %s", v)
	}
	// What the worker was not given later, it cannot have done.
	text := worker.String()
	if v := read(strings.NewReader(text[:strings.LastIndex(text, `"handled"`)]), &producer); v.Broken[H1] != 1 {
		t.Errorf("cut off before the last record was handled: %s", v)
	}
}

// What is judged by times and ends of calls is in files as it is in memory.
func TestFilesTellAll(t *testing.T) {
	for _, c := range []struct {
		breaks Rule
		tell   func(l *tale)
	}{
		{H5, func(l *tale) {
			l.does("one", "a", 0)
			l.returns("one", "a")
			l.does("one", "a", 1)
			l.releases("one", "a", 1)
		}},
		{H2, func(l *tale) {
			l.does("one", "a", 0)
			l.Delivered(Delivery{Worker: "one", Lease: prefix + "a", Epoch: 1, ID: l.ids[1], Key: "x", Data: data(1), Arrival: time.Unix(1, 0)})
			l.handles("one", "a", 1)
		}},
		{H1, func(l *tale) {
			l.does("one", "a", 0, 1)
			l.StoreLost("all", time.Time{})
			time.Sleep(time.Second)
			l.LossSeen("one", time.Now())
			l.makes("two", checkpoint.StartAt(time.Now()))("")
		}},
	} {
		var file bytes.Buffer
		synctest.Test(t, func(*testing.T) {
			l := newTale()
			l.History = NewRecorder(&file)
			l.makes("one", checkpoint.Start())("")
			l.puts("a", "x", "x")
			l.acquires("one", "a", checkpoint.Start())
			c.tell(l)
			l.Stream(l.stream)
		})
		h, err := ReadHistories(&file)
		if err != nil {
			t.Fatal(err)
		}
		if v := h.Check(Options{Partial: []Rule{H7, H9, H12}}); v.Broken[c.breaks] == 0 || len(v.Broken) != 1 {
			t.Errorf("want %s broken: %s", c.breaks, v)
		}
	}
}

func TestFilesOfKilledProcesses(t *testing.T) {
	var file bytes.Buffer
	h := NewRecorder(&file)
	h.Acked(h.Put(Put{Key: "a"}), "s", ID{Sequence: "1"})
	file.WriteString(`{"n":4,"at":17,"put":{"no":1,"pro`) // killed
	h = NewRecorder(&file)
	h.Acked(h.Put(Put{Key: "b"}), "s", ID{Sequence: "2"})
	h.Put(Put{Key: "c"})
	whole := file.String()

	got, err := ReadHistories(strings.NewReader(whole), strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	if c := got.Counts(); c != (Counts{Put: 3, Acked: 2}) {
		t.Errorf("counts %+v", c)
	}
	if !got.IsAcked(ID{Sequence: "2"}) || got.IsAcked(ID{Sequence: "3"}) {
		t.Error("the second process' put is not acknowledged")
	}
	// Cut off anywhere, what is whole is read.
	for n := range len(whole) {
		if _, err := ReadHistories(strings.NewReader(whole[:n])); err != nil {
			t.Fatalf("cut off at %d: %v", n, err)
		}
	}
	for name, text := range map[string]string{
		"damage in the middle":          strings.Replace(whole, `{"n":2,`, `{"n":2;`, 1),
		"no beginning":                  strings.TrimPrefix(strings.TrimSpace(whole), whole[1:strings.Index(whole, `{"n":2,`)]),
		"an end without a beginning":    strings.Replace(whole, `"put":{"no":0`, `"note":{"no":0`, 1),
		"an answer without a beginning": "\n" + `{"n":1,"at":1,"begin":{}}` + "\n" + `{"n":2,"at":1,"answer":{"call":3}}`,
	} {
		if _, err := ReadHistories(strings.NewReader(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Lines are written concurrently, and read in the order of their numbers.
func TestConcurrentRecorder(t *testing.T) {
	file, err := os.OpenFile(filepath.Join(t.TempDir(), "history"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	h := NewRecorder(file)
	var work sync.WaitGroup
	const each = 200
	for range 8 {
		work.Go(func() {
			for range each {
				n := h.Put(Put{Key: "a"})
				h.Failed(n, errors.New("x"), true)
			}
		})
	}
	work.Wait()
	if err := h.Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	got, err := ReadHistories(file)
	if err != nil {
		t.Fatal(err)
	}
	if c := got.Counts(); c.Put != 8*each || c.Failed != 8*each {
		t.Errorf("counts %+v", c)
	}
	if v := got.Check(Options{Partial: Without(H10)}); !v.OK() {
		t.Error(v)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestRecorderTellsThatItCannotWrite(t *testing.T) {
	h := NewRecorder(full{})
	if err := h.Err(); err == nil || err.Error() != "write event: disk full" {
		t.Errorf("error %v", err)
	}
}

func TestTimeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTale()
		l.puts("a", "x")
		time.Sleep(1500 * time.Millisecond)
		l.acquires("one", "a", checkpoint.Start())
		l.does("one", "a", 0)
		l.returns("one", "a")
		l.releases("one", "a", 0)
		l.completes("one", "a", "b")
		l.asks("two", "a")
		l.sends("two", "a", l.after(0), false)(checkpoint.Start(), "fenced")
		c := l.Began(StoreCall{Actor: "two", Op: OpBye})
		l.Answered(c, nil, errors.New("time-out"))
		l.Failed(l.begins("y"), errors.New("time-out"), true)
		l.Failed(l.begins("y"), errors.New("refused"), false)
		l.Crashed("one")
		l.StoreLost("suffix", time.Now().Add(-time.Second))
		l.LossSeen("two", time.Now())
		l.Note("nemesis", "cuts %d links", 3)
		l.done(l.owner("a", "", l.after(0)))
		var b strings.Builder
		if err := l.Timeline(&b); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			`   0.000000s  p              puts key "x" #0` + "\n",
			`   0.000000s  p              acknowledged: key "x" as 12:0 in a #0` + "\n",
			`   1.500000s  one            is given 12:0 of a, epoch 1 key "x"` + "\n",
			`   1.500000s  one            handled 12:0 of a, epoch 1` + "\n",
			`   1.500000s  one            returned from a, epoch 1` + "\n",
			`  one            answered acquire a granted with epoch 1 at START` + "\n",
			`  one            calls save a at 12:0 and releases` + "\n",
			`  one            calls complete a > b` + "\n",
			`  one            answered complete a ok` + "\n",
			`  two            answered save a refused: fenced` + "\n",
			`  two            answered bye failed: time-out` + "\n",
			`  p              failed, maybe written: key "y": time-out #1` + "\n",
			`  p              failed: key "y": refused #2` + "\n",
			`  one            crashed` + "\n",
			`                 the store loses: suffix since 0.500000s` + "\n",
			`  two            told that the store lost what it had` + "\n",
			`  nemesis        cuts 3 links` + "\n",
			`                 TRIM_HORIZON of a read 1 records, 0s behind` + "\n",
			`                 no fault from here on` + "\n",
			`  16.500000s                 leases: a - 12:0` + "\n",
			`                 stream : 1 shards, 1 records, 1 user records` + "\n",
		} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("no line %q", want)
			}
		}
		if t.Failed() {
			t.Log(b.String())
		}
	})
}

func TestDigest(t *testing.T) {
	digest := func(tell func(h *History)) (d string) {
		synctest.Test(t, func(*testing.T) {
			h := New()
			h.Note("start", "")
			time.Sleep(time.Second)
			tell(h)
			d = h.Digest()
		})
		return d
	}
	both := func(first, second string) func(h *History) {
		return func(h *History) {
			h.Acked(h.Put(Put{Producer: first, Key: "a"}), "s", ID{Sequence: "1"})
			h.Acked(h.Put(Put{Producer: second, Key: "a"}), "s", ID{Sequence: "2"})
		}
	}
	call := func(token, err string) func(h *History) {
		return func(h *History) {
			c := h.Began(StoreCall{Actor: "w", Op: OpSave, Items: []Item{{Lease: "a", Token: token}}})
			h.Answered(c, nil, errors.New(err))
		}
	}
	put := func(key string, data string) func(h *History) {
		return func(h *History) { h.Put(Put{Key: key, Data: []byte(data)}) }
	}
	seen := func(got string, keys hashkey.Range) func(h *History) {
		return func(h *History) {
			h.Read(Read{Shard: "a", Type: "AT_SEQUENCE_NUMBER", Sequence: "1", Got: []string{got}, Closed: true})
			h.Read(Read{Shard: "a", Type: "AT_TIMESTAMP", Timestamp: time.Unix(1, 0)})
			h.Stream(Stream{Shards: []Shard{{
				ID: "a", StartHashKey: keys.Start.String(), EndHashKey: keys.End.String(),
				Records: []Raw{{Sequence: strings.Repeat("1", 40), Key: "k"}},
			}}})
		}
	}
	for name, c := range map[string]struct {
		a, b func(h *History)
		same bool
	}{
		"the same":                     {put("a", "1"), put("a", "1"), true},
		"other data":                   {put("a", "1"), put("a", "2"), false},
		"the order within one instant": {func(h *History) { put("a", "1")(h); put("b", "1")(h) }, func(h *History) { put("b", "1")(h); put("a", "1")(h) }, true},
		"an order in time": {func(h *History) { put("a", "1")(h); time.Sleep(time.Nanosecond); put("b", "1")(h) },
			func(h *History) { put("b", "1")(h); time.Sleep(time.Nanosecond); put("a", "1")(h) }, false},
		"another time":       {func(h *History) { time.Sleep(time.Nanosecond); put("a", "1")(h) }, put("a", "1"), false},
		"random tokens":      {call("x#1", "a: 1"), call("y#1", "b: 2"), true},
		"who was told what":  {both("p", "q"), both("q", "p"), false},
		"one event less":     {func(h *History) { put("a", "1")(h); put("a", "1")(h) }, put("a", "1"), false},
		"what was read":      {seen("1", low), seen("2", low), false},
		"what the stream is": {seen("1", low), seen("1", high), false},
		"the same stream":    {seen("1", low), seen("1", low), true},
		"a delivery handled": {func(h *History) { h.Handled("w", "l", 1, ID{Sequence: "1"}) }, func(*History) {}, false},
	} {
		if a, b := digest(c.a), digest(c.b); (a == b) != c.same {
			t.Errorf("%s: %s and %s", name, a, b)
		}
	}
}
