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
	h.Delivered("w", id(3), "a", []byte("three"))
	for n := 1; n <= 3; n++ {
		if !h.Handled(id(n)) || h.Handled(id(n)) {
			t.Errorf("record %d is not handled first once", n)
		}
	}
	v := h.Check()
	if v.Altered != 2 || v.Unknown != 1 || v.Lost != 0 || v.OK() {
		t.Errorf("verdict %+v", v)
	}
	if got := h.Counts(); got != (Counts{Put: 3, Acked: 2, Failed: 1, Handled: 3}) {
		t.Errorf("counts %+v", got)
	}
	if h.Handled(id(9)) {
		t.Error("a record that was never delivered is handled")
	}
}
