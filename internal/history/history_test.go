package history

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func id(n int) ID { return ID{Sequence: strconv.Itoa(n)} }

// run plays puts "key:data" acknowledged as 0, 1, 2 … and then deliveries by
// number, a "!" behind one meaning that its handler failed.
func run(puts []string, deliveries ...string) *History {
	h := New()
	var keys, data []string
	for i, p := range puts {
		k, d, _ := strings.Cut(p, ":")
		keys, data = append(keys, k), append(data, d)
		h.Acked(h.Put(k, []byte(d)), id(i))
	}
	for _, d := range deliveries {
		text, failed := strings.CutSuffix(d, "!")
		n, _ := strconv.Atoi(text)
		h.Delivered("w", id(n), keys[n], []byte(data[n]))
		if !failed {
			h.Handled(id(n))
		}
	}
	return h
}

func TestCheck(t *testing.T) {
	puts := []string{"a:1", "b:1", "a:2", "a:3"}
	for name, test := range map[string]struct {
		deliveries []string
		want       Verdict
		ok         bool
	}{
		"all in order":                  {[]string{"0", "1", "2", "3"}, Verdict{Sent: 4, Handled: 4}, true},
		"other keys may overtake":       {[]string{"0", "2", "3", "1"}, Verdict{Sent: 4, Handled: 4}, true},
		"a replay is a duplicate":       {[]string{"0", "1", "2", "0", "2", "3"}, Verdict{Sent: 4, Handled: 4, Duplicates: 2}, true},
		"a failed handler is not loss":  {[]string{"0", "1", "2!", "2", "3"}, Verdict{Sent: 4, Handled: 4, Duplicates: 1}, true},
		"never delivered is lost":       {[]string{"0", "1", "2"}, Verdict{Sent: 4, Handled: 3, Lost: 1}, false},
		"never handled is lost":         {[]string{"0", "1", "2", "3!"}, Verdict{Sent: 4, Handled: 3, Lost: 1}, false},
		"a key overtaken":               {[]string{"0", "1", "3", "2"}, Verdict{Sent: 4, Handled: 4, OrderViolations: 1}, false},
		"overtaken by two counts twice": {[]string{"3", "0", "2", "1"}, Verdict{Sent: 4, Handled: 4, OrderViolations: 2}, false},
	} {
		t.Run(name, func(t *testing.T) {
			v := run(puts, test.deliveries...).Check()
			if bad := v.Lost + v.OrderViolations; len(v.Examples) != bad {
				t.Errorf("%d examples for %d faults: %q", len(v.Examples), bad, v.Examples)
			}
			v.Examples = nil
			if !reflect.DeepEqual(v, test.want) {
				t.Errorf("verdict %+v, want %+v", v, test.want)
			}
			if v.OK() != test.ok {
				t.Errorf("OK is %v", v.OK())
			}
		})
	}
}

func TestAlteredAndUnknown(t *testing.T) {
	h := New()
	h.Acked(h.Put("a", []byte("one")), id(1))
	h.Acked(h.Put("a", []byte("two")), id(2))
	h.Failed(h.Put("a", []byte("three")), errors.New("time-out"))
	h.Delivered("w", id(1), "a", []byte("ONE"))
	h.Delivered("w", id(2), "b", []byte("two"))
	h.Delivered("w", id(3), "a", []byte("three")) // written although an error was told
	h.Delivered("w", id(4), "a", []byte("four"))
	for n := 1; n <= 4; n++ {
		h.Handled(id(n))
		h.Handled(id(n))
	}
	v := h.Check()
	if v.Altered != 2 || v.Repeated != 1 || v.Unknown != 1 || v.Lost != 0 || v.OK() {
		t.Errorf("verdict %+v", v)
	}
	if v := (Verdict{Unknown: 1}); v.OK() {
		t.Error("a record that nobody put is fine")
	}
	if got := h.Counts(); got != (Counts{Put: 3, Acked: 2, Failed: 1, Handled: 2}) {
		t.Errorf("counts %+v", got)
	}
	if err := h.FirstFailure(); err == nil || err.Error() != "time-out" {
		t.Errorf("first failure %v", err)
	}
	h.Handled(id(9)) // was never delivered
	if !h.IsAcked(id(2)) || h.IsAcked(id(3)) || h.IsAcked(id(9)) {
		t.Error("IsAcked is wrong")
	}
}

// A producer that sends an aggregate again, because its shard was split, has
// it acknowledged under the second id; a reader may see records of the first.
func TestRepeatedByTheProducer(t *testing.T) {
	h := New()
	n := h.Put("a", []byte("one"))
	h.Delivered("w", id(1), "a", []byte("one"))
	h.Handled(id(1))
	if got := h.Counts().Handled; got != 0 {
		t.Errorf("%d handled before any was acknowledged", got)
	}
	h.Delivered("w", id(2), "a", []byte("one"))
	h.Handled(id(2))
	h.Acked(n, id(2))
	if got := h.Counts().Handled; got != 1 {
		t.Errorf("%d handled, want 1", got)
	}
	if v := h.Check(); v.Repeated != 1 || v.Duplicates != 1 || v.Unknown != 0 || v.Lost != 0 || !v.OK() {
		t.Errorf("verdict %+v", v)
	}
}

func TestAnAlteredRepeatIsSeen(t *testing.T) {
	h := run([]string{"a:1"}, "0")
	h.Delivered("w2", id(0), "a", []byte("garbage"))
	if v := h.Check(); v.Altered != 1 || v.OK() {
		t.Errorf("verdict %+v", v)
	}
}

func TestTwoPutsInOnePlaceAreALoss(t *testing.T) {
	h := New()
	h.Acked(h.Put("a", []byte("1")), id(7))
	h.Acked(h.Put("a", []byte("2")), id(7))
	h.Delivered("w", id(7), "a", []byte("1"))
	h.Handled(id(7))
	if v := h.Check(); v.Lost != 1 || v.Handled != 1 || v.OK() {
		t.Errorf("verdict %+v", v)
	}
}

// A record's first delivery may be under an id that was not acknowledged: it is
// the one that counts for the order of its key.
func TestOrderOfWhatTheProducerSentTwice(t *testing.T) {
	for name, test := range map[string]struct {
		deliveries []int // ids; 9 and 10 are unacknowledged copies of puts 0 and 1
		want       int
	}{
		"both copies in order":        {[]int{9, 10, 0, 1}, 0},
		"the second record overtakes": {[]int{10, 0, 1}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			h := New()
			h.Acked(h.Put("a", []byte("first")), id(0))
			h.Acked(h.Put("a", []byte("second")), id(1))
			data := map[int]string{0: "first", 9: "first", 1: "second", 10: "second"}
			for _, n := range test.deliveries {
				h.Delivered("w", id(n), "a", []byte(data[n]))
				h.Handled(id(n))
			}
			if v := h.Check(); v.OrderViolations != test.want || v.Lost != 0 {
				t.Errorf("verdict %+v, want %d order violations", v, test.want)
			}
		})
	}
}
