package state

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

// fromHex is the decimal text of a number that AWS documents in hexadecimal.
func fromHex(t *testing.T, hex string) string {
	t.Helper()
	n, ok := new(big.Int).SetString(hex, 16)
	if !ok {
		t.Fatalf("bad test number %s", hex)
	}
	return n.String()
}

func TestSequenceLayout(t *testing.T) {
	tests := []struct {
		name string
		seq  Sequence
		hex  string
	}{
		{"all zero", Sequence{}, "20000000000000000000000000000000000000000000002"},
		{"each part", Sequence{CreateSecs: 0x123456789, Shard: 0x0abcdef5, Index: 0x7edcba9876543210, Secs: 0x198765432},
			"2" + "123456789" + "5" + "7edcba9876543210" + "00" + "198765432" + "0abcdef5" + "2"},
		{"all ones", Sequence{CreateSecs: 1<<36 - 1, Shard: maxShard, Index: MaxIndex, Secs: 1<<36 - 1},
			"2fffffffff" + "f" + "7fffffffffffffff" + "00" + "fffffffff" + "7fffffff" + "2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := fromHex(t, tt.hex)
			if got := tt.seq.String(); got != want {
				t.Fatalf("String() = %s, want %s", got, want)
			}
			if len(want) != 56 {
				t.Fatalf("the number has %d digits, want 56", len(want))
			}
			tt.seq.Version = 2
			if got, err := ParseSequence(want); err != nil || got != tt.seq {
				t.Fatalf("ParseSequence = %+v, %v, want %+v", got, err, tt.seq)
			}
		})
	}
}

func TestParseSequenceVersions(t *testing.T) {
	tests := []struct {
		name, text string
		want       Sequence
		err        bool
	}{
		{name: "a small number is of version 0 and names a shard", text: "5", want: Sequence{Shard: 5}},
		{name: "zero", text: "0", want: Sequence{}},
		{name: "the greatest date of version 0", text: fromHex(t, "f3bb2cc3d7ff7fffffffffffffff0000"), want: Sequence{CreateSecs: maxCreateSecsV0 - 1}},
		{name: "version 1", text: fromHex(t, "2"+"0deadbeef"+"3"+"00"+"0cafebabe"+"0123456789abcd"+"2a"+"00000003"+"1"),
			want: Sequence{Version: 1, CreateSecs: 0xdeadbeef, Secs: 0xcafebabe, Index: 0x2a, Shard: 3}},
		{name: "a date that is too large", text: fromHex(t, "13bb2cc3d80000000000000000000000"), err: true},
		{name: "version 0 in the long form", text: fromHex(t, "20000000000000000000000000000000000000000000000"), err: true},
		{name: "version 3", text: fromHex(t, "20000000000000000000000000000000000000000000003"), err: true},
		{name: "version 4", text: fromHex(t, "20000000000000000000000000000000000000000000004"), err: true},
		{name: "a first digit of 3", text: fromHex(t, "30000000000000000000000000000000000000000000001"), err: true},
		{name: "a first digit of 1", text: fromHex(t, "1ffffffffff7fffffffffffffff000000000007fffffff2"), err: true},
		{name: "an index that is too high", text: fromHex(t, "20000000000800000000000000000000000000000000002"), err: true},
		{name: "a shard that is too high", text: fromHex(t, "20000000000000000000000000000000000000800000002"), err: true},
		{name: "129 digits", text: strings.Repeat("9", 129), err: true},
		{name: "2^192", text: fromHex(t, "1"+strings.Repeat("0", 48)), err: true},
		{name: "empty", text: "", err: true},
		{name: "not a number", text: "12x", err: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseSequence(tt.text)
			if (err != nil) != tt.err || err == nil && got != tt.want {
				t.Fatalf("ParseSequence(%s) = %+v, %v, want %+v, error %v", tt.text, got, err, tt.want, tt.err)
			}
		})
	}
}

// The texts are what AWS answered to these numbers.
func TestCanonicalV0(t *testing.T) {
	for in, want := range map[string]string{
		"0":                                    "21267647932558653966460912964485513216",
		"425352958651173072921826052383309826": "21693000891209827039382739016868823042",
		fromHex(t, "f3bb2cc3d7ff7fffffffffffffff0000"): "26227199374821822965252748908982894592",
	} {
		if got := CanonicalV0(in); got != want {
			t.Errorf("CanonicalV0(%s) = %s, want %s", in, got, want)
		}
	}
}

func FuzzParseSequence(f *testing.F) {
	f.Add("49590338271490256608559692538361571095921575989136588898")
	f.Add("0")
	f.Add(strings.Repeat("9", 129))
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSequence(text)
		if err != nil || s.Version != 2 {
			return
		}
		again, err := ParseSequence(s.String())
		if err != nil || again != s {
			t.Fatalf("%s is %+v, and written and read again %+v, %v", text, s, again, err)
		}
	})
}

func TestShardIDs(t *testing.T) {
	tests := []struct {
		id   string
		want uint32
		ok   bool
	}{
		{"shardId-000000000007", 7, true}, {"shardId-7", 7, true}, {"foo-0", 0, true}, {"0", 0, true},
		{"-00002147483647", 2147483647, true}, {"2147483647", 2147483647, true},
		{"2147483648", 0, false}, {"shardId-002147483648", 0, false}, {"ABKLFD8", 0, false}, {"2.14E4", 0, false},
		{"shardId-", 0, false}, {"shardId-+1", 0, false}, {"", 0, false},
	}
	for _, tt := range tests {
		got, ok := ParseShardID(tt.id)
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("ParseShardID(%q) = %d, %v, want %d, %v", tt.id, got, ok, tt.want, tt.ok)
		}
	}
	if got := ShardID(7); got != "shardId-000000000007" {
		t.Errorf("ShardID(7) = %s", got)
	}
}

func TestNumbersAreWrittenInDecimalAsBigNumbersAre(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		var n bits192
		for i := range 3 {
			n[i] = random.Uint64() >> random.IntN(64)
			if random.IntN(4) == 0 {
				n[i] = [...]uint64{0, 1, math.MaxUint64}[random.IntN(3)]
			}
		}
		want := new(big.Int)
		for i := 2; i >= 0; i-- {
			want.Add(want.Lsh(want, 64), new(big.Int).SetUint64(n[i]))
		}
		if got := string(n.appendDecimal([]byte("x"))); got != "x"+want.String() {
			t.Fatalf("%x is written as %s, want %s", n, got, want)
		}
	}
}

func BenchmarkSequence(b *testing.B) {
	digits := make([]byte, 0, 64)
	s := Sequence{CreateSecs: 1_790_000_000, Secs: 1_790_000_100, Shard: 3}
	for b.Loop() {
		s.Index++
		digits = s.Append(digits[:0])
	}
}
