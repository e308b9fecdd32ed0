package hashkey

import (
	"crypto/md5"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

func (k Key) big() *big.Int {
	hi := new(big.Int).Lsh(new(big.Int).SetUint64(k.Hi), 64)
	return hi.Or(hi, new(big.Int).SetUint64(k.Lo))
}

// samples are the edges of the arithmetic and random keys of every length.
func samples() []Key {
	rnd := rand.New(rand.NewPCG(3, 5))
	ks := []Key{{}, {0, 1}, {0, 9}, {0, 10}, {0, 1e19 - 1}, {0, 1e19}, {0, ^uint64(0)}, {1, 0}, {1, 1}, {^uint64(0), 0}, {^uint64(0), ^uint64(0) - 1}, Max}
	for range 500 {
		k := Key{rnd.Uint64() >> rnd.IntN(64), rnd.Uint64() >> rnd.IntN(64)}
		if rnd.IntN(3) == 0 {
			k.Hi = 0
		}
		ks = append(ks, k)
	}
	return ks
}

func TestOfIsTheBigEndianMD5(t *testing.T) {
	for _, s := range []string{"", "alice", "ключ", "a"} {
		sum := md5.Sum([]byte(s))
		if got, want := Of(s).big(), new(big.Int).SetBytes(sum[:]); got.Cmp(want) != 0 {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
	// MD5("a") = 0cc175b9c0f1b6a831c399e269772661.
	if got := Of("a").String(); got != "16955237001963240173058271559858726497" {
		t.Errorf("a: %s", got)
	}
}

func TestTextAndNumberAgree(t *testing.T) {
	for _, k := range samples() {
		s := k.String()
		if want := k.big().String(); s != want {
			t.Fatalf("%x: %s, want %s", k, s, want)
		}
		if got := string(k.Append([]byte("x"))); got != "x"+s {
			t.Fatalf("append: %s", got)
		}
		back, err := Parse(s)
		if err != nil || back != k {
			t.Fatalf("parse %s: %v, %v", s, back, err)
		}
	}
}

func TestParseRefusesWhatKinesisRefuses(t *testing.T) {
	for _, s := range []string{
		"", "-1", "+1", " 1", "1 ", "0x1", "00", "01", "1.0", "١",
		"340282366920938463463374607431768211456",  // 2^128
		"680564733841876926926749214863536422912",  // 2^129
		"999999999999999999999999999999999999999",  // 39 nines
		"3402823669209384634633746074317682114550", // 40 digits
	} {
		if k, err := Parse(s); err == nil {
			t.Errorf("%q was read as %v", s, k)
		}
	}
}

func TestCompareNextPrev(t *testing.T) {
	ks := samples()
	for i, a := range ks {
		b := ks[(i*7+1)%len(ks)]
		if got, want := a.Compare(b), a.big().Cmp(b.big()); got != want {
			t.Fatalf("%v against %v: %d, want %d", a, b, got, want)
		}
		if a != Max && new(big.Int).Sub(a.Next().big(), a.big()).Cmp(big.NewInt(1)) != 0 {
			t.Fatalf("next of %v is %v", a, a.Next())
		}
		if a.Next().Prev() != a || a.Prev().Next() != a {
			t.Fatalf("next and prev of %v do not undo each other", a)
		}
	}
	if Max.Next() != (Key{}) || (Key{}).Prev() != Max {
		t.Error("the ends do not meet")
	}
}

func TestSplitTilesTheKeySpace(t *testing.T) {
	full := new(big.Int).Lsh(big.NewInt(1), 128)
	for _, n := range []int{1, 2, 3, 4, 5, 7, 10, 100, 10000} {
		step := new(big.Int).Div(full, big.NewInt(int64(n)))
		rs := Split(n)
		if len(rs) != n || rs[0].Start != (Key{}) || rs[n-1].End != Max {
			t.Fatalf("%d: %d ranges from %v to %v", n, len(rs), rs[0].Start, rs[n-1].End)
		}
		for i, r := range rs {
			if want := new(big.Int).Mul(step, big.NewInt(int64(i))); r.Start.big().Cmp(want) != 0 {
				t.Fatalf("%d: range %d starts at %v, want %v", n, i, r.Start, want)
			}
			if i > 0 && !rs[i-1].Adjacent(r) {
				t.Fatalf("%d: ranges %d and %d do not meet", n, i-1, i)
			}
		}
	}
}

func TestRangeContainsBothEnds(t *testing.T) {
	r, err := ParseRange("10", "20")
	if err != nil {
		t.Fatal(err)
	}
	for lo, want := range map[uint64]bool{9: false, 10: true, 15: true, 20: true, 21: false} {
		if r.Contains(Key{0, lo}) != want {
			t.Errorf("contains %d: %v", lo, !want)
		}
	}
	if !Full.Contains(Key{}) || !Full.Contains(Max) {
		t.Error("the full range lacks an end")
	}
}

func TestParseRangeRefusesNonsense(t *testing.T) {
	for _, r := range [][2]string{{"x", "1"}, {"1", "x"}, {"2", "1"}, {"", ""}} {
		if got, err := ParseRange(r[0], r[1]); err == nil {
			t.Errorf("%q was read as %v", r, got)
		}
	}
	if r, err := ParseRange("5", "5"); err != nil || !r.Contains(Key{0, 5}) {
		t.Errorf("a range of one key: %v, %v", r, err)
	}
}

func TestAdjacentNeverWraps(t *testing.T) {
	a, b := Range{Key{}, Key{0, 9}}, Range{Key{0, 10}, Max}
	if !a.Adjacent(b) || b.Adjacent(a) || a.Adjacent(a) || Full.Adjacent(a) {
		t.Error("adjacent is wrong")
	}
}

func TestMiddleHalves(t *testing.T) {
	if got := Full.Middle(); got != (Key{1 << 63, 0}) {
		t.Errorf("middle of all keys: %v", got)
	}
	ks := samples()
	for i, a := range ks {
		b := ks[(i*5+3)%len(ks)]
		r := Range{a, b}
		if a.Compare(b) >= 0 {
			continue
		}
		m := r.Middle()
		low := new(big.Int).Sub(m.big(), a.big())
		high := new(big.Int).Sub(b.big(), m.big())
		high.Add(high, big.NewInt(1))
		if d := new(big.Int).Sub(low, high); d.CmpAbs(big.NewInt(1)) > 0 || !r.Contains(m) || m == a {
			t.Fatalf("middle of [%v, %v] is %v: %v keys below, %v from it on", a, b, m, low, high)
		}
	}
}

func TestKeysSort(t *testing.T) {
	ks := samples()
	slices.SortFunc(ks, Key.Compare)
	for i := 1; i < len(ks); i++ {
		if ks[i-1].big().Cmp(ks[i].big()) > 0 {
			t.Fatalf("%v before %v", ks[i-1], ks[i])
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("0")
	f.Add("340282366920938463463374607431768211455")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := Parse(s)
		if err == nil && k.String() != s {
			t.Fatalf("%q was read as %v", s, k)
		}
	})
}
