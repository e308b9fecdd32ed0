package cbor

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The examples of RFC 8949, appendix A, that are of kinds we take.
func TestNumbersOfTheRFC(t *testing.T) {
	for text, want := range map[string]int64{
		"00": 0, "01": 1, "0a": 10, "17": 23, "1818": 24, "1819": 25, "1864": 100, "1903e8": 1000, "1a000f4240": 1000000,
		"1b000000e8d4a51000": 1000000000000, "1bffffffffffffffff": math.MaxInt64, "3bffffffffffffffff": math.MinInt64,
		"20": -1, "29": -10, "3863": -100, "3903e7": -1000, "3b7fffffffffffffff": math.MinInt64,
	} {
		b := unhex(t, text)
		r := NewReader(b)
		n, err := r.Int()
		if err != nil || n != want || r.End() != nil {
			t.Errorf("%s: %d, %v, want %d", text, n, err, want)
		}
		clamped := strings.HasSuffix(text, "ffffffffffffffff") && text != "3b7fffffffffffffff"
		if got := AppendInt(nil, want); !clamped && !bytes.Equal(got, b) {
			t.Errorf("%d is written as %x, want %s", want, got, text)
		}
	}
	for text, want := range map[string]float64{
		"f90000": 0, "f93c00": 1, "fb3ff199999999999a": 1.1, "f93e00": 1.5, "f97bff": 65504, "fa47c35000": 100000,
		"fb7e37e43c8800759c": 1e300, "f90001": 5.960464477539063e-8, "f90400": 0.00006103515625, "f9c400": -4,
		"fbc010666666666666": -4.1, "f97c00": math.Inf(1), "f9fc00": math.Inf(-1), "17": 23,
	} {
		r := NewReader(unhex(t, text))
		if v, err := r.Float(); err != nil || v != want || r.End() != nil {
			t.Errorf("%s: %v, %v, want %v", text, v, err, want)
		}
	}
	r := NewReader(unhex(t, "f97e00"))
	if v, err := r.Float(); err != nil || !math.IsNaN(v) {
		t.Errorf("NaN: %v, %v", v, err)
	}
	r = NewReader(AppendFloat(nil, 1.1))
	if v, err := r.Float(); err != nil || v != 1.1 {
		t.Errorf("1.1: %v, %v", v, err)
	}
}

func TestTimesAreMilliseconds(t *testing.T) {
	at := time.UnixMilli(1400000000123)
	for name, b := range map[string][]byte{
		"bare": AppendTime(nil, at), "tagged": AppendTaggedTime(nil, at),
		"float": AppendFloat(nil, 1400000000123), "tagged float": append([]byte{0xc1}, AppendFloat(nil, 1400000000123.9)...),
	} {
		r := NewReader(b)
		if ms, err := r.Millis(); err != nil || ms != at.UnixMilli() || r.End() != nil {
			t.Errorf("%s: %d, %v", name, ms, err)
		}
	}
	for text, want := range map[string]int64{"f97e00": 0, "f97c00": math.MaxInt64, "f9fc00": math.MinInt64, "20": -1} {
		r := NewReader(unhex(t, text))
		if ms, err := r.Millis(); err != nil || ms != want {
			t.Errorf("%s: %d, %v, want %d", text, ms, err, want)
		}
	}
	for _, text := range []string{"c000", "6161", "c1", "c1c100", "f6"} {
		r := NewReader(unhex(t, text))
		if ms, err := r.Millis(); err == nil {
			t.Errorf("%s is a time: %d", text, ms)
		}
	}
}

// A message of every kind, written and read back, with lengths and without.
func TestAMessage(t *testing.T) {
	for name, open := range map[string]bool{"with lengths": false, "open": true} {
		t.Run(name, func(t *testing.T) {
			var b []byte
			if open {
				b = AppendOpenMap(b)
			} else {
				b = AppendMap(b, 5)
			}
			b = AppendText(b, "list")
			if open {
				b = AppendOpenArray(b)
			} else {
				b = AppendArray(b, 2)
			}
			b = AppendInt(AppendInt(b, 1), -2)
			if open {
				b = AppendBreak(b)
			}
			b = AppendBytes(AppendText(b, []byte("blob")), []byte{0, 1, 2})
			b = AppendBool(AppendText(b, "yes"), true)
			b = AppendBool(AppendText(b, "no"), false)
			b = AppendNull(AppendText(b, "nothing"))
			if open {
				b = AppendBreak(b)
			}

			var got []string
			r := NewReader(b)
			n, err := r.Map()
			if err != nil || n.Len() != map[bool]int{false: 5, true: 0}[open] {
				t.Fatal(n, err)
			}
			for {
				more, err := r.More(&n)
				if err != nil {
					t.Fatal(err)
				}
				if !more {
					break
				}
				key, err := r.Text()
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, string(key))
				switch string(key) {
				case "list":
					items, err := r.Array()
					if err != nil {
						t.Fatal(err)
					}
					sum := int64(0)
					for more := true; more; {
						if more, err = r.More(&items); err != nil {
							t.Fatal(err)
						}
						if more {
							v, err := r.Int()
							if err != nil {
								t.Fatal(err)
							}
							sum += v
						}
					}
					if sum != -1 {
						t.Errorf("sum %d", sum)
					}
				case "blob":
					if v, err := r.Bytes(); err != nil || !bytes.Equal(v, []byte{0, 1, 2}) || cap(v) != 3 {
						t.Errorf("blob %x, %v", v, err)
					}
				case "yes", "no":
					if v, err := r.Bool(); err != nil || v != (string(key) == "yes") {
						t.Errorf("%s: %v, %v", key, v, err)
					}
				case "nothing":
					if !r.Null() {
						t.Error("nothing is not null")
					}
				}
			}
			if strings.Join(got, " ") != "list blob yes no nothing" || r.End() != nil {
				t.Errorf("read %v, end %v", got, r.End())
			}
			r = NewReader(b)
			if err := r.Skip(); err != nil || r.End() != nil || r.Offset() != len(b) {
				t.Errorf("skip: %v, %d of %d", err, r.Offset(), len(b))
			}
		})
	}
}

func TestWhatIsRefused(t *testing.T) {
	for text, reason := range map[string]string{
		"":                              "want a value",
		"18":                            "unexpected end",
		"1b00":                          "unexpected end",
		"1c":                            "reserved length",
		"1f":                            "reserved length",
		"df":                            "reserved length",
		"62 61":                         "string longer than the message",
		"5b ffffffffffffffff 00":        "string longer than the message",
		"7f 6161 ff":                    "string without a length",
		"5f 4161 ff":                    "string without a length",
		"82 00":                         "more elements than the message has room for",
		"a1 6161":                       "want a value",
		"a1 60":                         "more elements than the message has room for",
		"9b ffffffffffffffff 0000":      "more elements than the message has room for",
		"9f 00":                         "unexpected end",
		"bf 6161":                       "want a value",
		"bf 6161 00":                    "unexpected end",
		"ff":                            "want a value",
		"f8 ff":                         "want a value",
		"e0":                            "want a value",
		"c1":                            "want a value",
		"81 81 81 81 81 81 81 81 80":    "nested too deeply",
		"c1 c1 c1 c1 c1 c1 c1 c1 c1 00": "nested too deeply",
		"00 00":                         "something follows the message",
	} {
		r := NewReader(unhex(t, text))
		err := r.Skip()
		if err == nil {
			err = r.End()
		}
		if e, ok := errors.AsType[*SyntaxError](err); !ok || e.Reason != reason {
			t.Errorf("%q: %v, want %s", text, err, reason)
		}
	}
	r := NewReader(unhex(t, "81 81 81 81 81 81 81 80"))
	if err := r.Skip(); err != nil {
		t.Errorf("eight levels: %v", err)
	}
	r = NewReader(unhex(t, "81 81 81 81 81 81 81 81 80"))
	r.MaxDepth = 9
	if err := r.Skip(); err != nil {
		t.Errorf("nine levels where nine are allowed: %v", err)
	}
	for name, read := range map[string]func(*Reader) error{
		"int":   func(r *Reader) error { _, err := r.Int(); return err },
		"float": func(r *Reader) error { _, err := r.Float(); return err },
		"text":  func(r *Reader) error { _, err := r.Text(); return err },
		"bytes": func(r *Reader) error { _, err := r.Bytes(); return err },
		"bool":  func(r *Reader) error { _, err := r.Bool(); return err },
		"array": func(r *Reader) error { _, err := r.Array(); return err },
		"map":   func(r *Reader) error { _, err := r.Map(); return err },
	} {
		r := NewReader(unhex(t, "f6"))
		if err := read(&r); err == nil {
			t.Errorf("null is read as %s", name)
		}
	}
}

func TestPiecesOfAString(t *testing.T) {
	r := NewReader(unhex(t, "7f 6161 60 626263 ff"))
	r.Chunks = true
	if s, err := r.Text(); err != nil || string(s) != "abc" || r.End() != nil {
		t.Errorf("%q, %v", s, err)
	}
	for _, text := range []string{"7f 6161", "7f 4161 ff", "7f 7f 6161 ff ff", "7f 00 ff"} {
		r := NewReader(unhex(t, text))
		r.Chunks = true
		if s, err := r.Text(); err == nil {
			t.Errorf("%s is read as %q", text, s)
		}
	}
}

// FuzzReader walks over any bytes, and over what it can write of what it read.
func FuzzReader(f *testing.F) {
	for _, s := range []string{"", "a1616101", "bf6161820102ff", "9f5f4161ffff", "c11b00000145f680b600", "f97e00", "7f61616162ff"} {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(b)
		if r.Skip() != nil {
			if r.Offset() > len(b) {
				t.Fatalf("at %d of %d", r.Offset(), len(b))
			}
			return
		}
		length := r.Offset()
		r = NewReader(b)
		again := rewrite(t, &r, nil)
		if r.Offset() != length {
			t.Fatalf("reading ends at %d, skipping at %d", r.Offset(), length)
		}
		r = NewReader(again)
		if twice := rewrite(t, &r, nil); !bytes.Equal(again, twice) {
			t.Fatalf("%x\n%x", again, twice)
		}
	})
}

// rewrite reads the next item and appends what it is.
func rewrite(t *testing.T, r *Reader, dst []byte) []byte {
	t.Helper()
	fail := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	items := func(n Items, err error) {
		fail(err)
		for {
			more, err := r.More(&n)
			fail(err)
			if !more {
				dst = AppendBreak(dst)
				return
			}
			dst = rewrite(t, r, dst)
		}
	}
	switch r.Kind() {
	case Int:
		n, err := r.Int()
		fail(err)
		return AppendInt(dst, n)
	case Float:
		v, err := r.Float()
		fail(err)
		return AppendFloat(dst, v)
	case Bytes:
		v, err := r.Bytes()
		fail(err)
		return AppendBytes(dst, v)
	case Text:
		v, err := r.Text()
		fail(err)
		return AppendText(dst, v)
	case Bool:
		v, err := r.Bool()
		fail(err)
		return AppendBool(dst, v)
	case Null:
		if !r.Null() {
			t.Fatal("null is none")
		}
		return AppendNull(dst)
	case Array:
		dst = AppendOpenArray(dst)
		items(r.Array())
		return dst
	case Map: // a key and a value count as one; Skip takes keys of any kind
		dst = AppendOpenMap(dst)
		n, err := r.Map()
		fail(err)
		for {
			more, err := r.More(&n)
			fail(err)
			if !more {
				return AppendBreak(dst)
			}
			dst = rewrite(t, r, rewrite(t, r, dst))
		}
	default:
		fail(r.Skip())
		return AppendNull(dst)
	}
}

func TestSizesAreThoseOfWhatIsWritten(t *testing.T) {
	for _, n := range []int64{0, 1, 23, 24, 255, 256, 65535, 65536, 1<<32 - 1, 1 << 32, math.MaxInt64} {
		for _, n := range []int64{n, -n, ^n} {
			if got, want := IntSize(n), len(AppendInt(nil, n)); got != want {
				t.Errorf("%d takes %d bytes, not %d", n, want, got)
			}
		}
		if n <= 65536 {
			text := strings.Repeat("x", int(n))
			if got, want := TextSize(len(text)), len(AppendText(nil, text)); got != want {
				t.Errorf("a text of %d bytes takes %d, not %d", n, want, got)
			}
		}
	}
}
