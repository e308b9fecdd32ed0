package aggregate

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/shardrun/shardrun/internal/hashkey"
)

type user struct{ key, hash, data string }

func build(users ...user) *Builder {
	var b Builder
	for _, u := range users {
		b.Add(u.key, u.hash, []byte(u.data))
	}
	return &b
}

func users(recs []Record) []user {
	out := make([]user, len(recs))
	for i, r := range recs {
		out[i] = user{r.Key, r.HashKey, string(r.Data)}
	}
	return out
}

// seal frames a hand-made protobuf message.
func seal(message string) []byte {
	sum := md5.Sum([]byte(message))
	return append([]byte(Magic+message), sum[:]...)
}

// field is one length-delimited protobuf field.
func field(tag byte, body string) string {
	return string(binary.AppendUvarint([]byte{tag}, uint64(len(body)))) + body
}

var golden = []struct {
	hex   string
	users []user
}{
	{
		"f3899ac20a05616c6963650a03626f621a0508001a01311a0508011a0132a0c29bdaa57b45708c514ecc399ae727",
		[]user{{"alice", "", "1"}, {"bob", "", "2"}},
	},
	{
		"f3899ac20a05616c69636512033132331a07080010001a01311a06080010001a0016795e810b37e1157b0d2423806e04cc",
		[]user{{"alice", "123", "1"}, {"alice", "123", ""}},
	},
}

func TestGoldenAggregatesOfTheKPL(t *testing.T) {
	for _, g := range golden {
		want, err := hex.DecodeString(g.hex)
		if err != nil {
			t.Fatal(err)
		}
		b := build(g.users...)
		if got := b.Append(nil); !bytes.Equal(got, want) {
			t.Errorf("encoded %v:\n got %x\nwant %x", g.users, got, want)
		}
		recs, v := Decode(want, nil)
		if v != Unpacked || !slices.Equal(users(recs), g.users) {
			t.Errorf("decoded %v %v, want %v", v, users(recs), g.users)
		}
	}
}

func TestRoundTripKeepsRecordsAndSize(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var b Builder
	for round := range 50 {
		b.Reset()
		var want []user
		for range 1 + rnd.IntN(300) {
			u := user{key: fmt.Sprintf("key-%d", rnd.IntN(200)), data: strings.Repeat("x", rnd.IntN(300))}
			if rnd.IntN(3) == 0 {
				u.hash = hashkey.Key{Hi: rnd.Uint64N(4), Lo: rnd.Uint64()}.String()
			}
			size := b.SizeWith(u.key, u.hash, []byte(u.data))
			b.Add(u.key, u.hash, []byte(u.data))
			if b.Size() != size {
				t.Fatalf("round %d: size %d, SizeWith said %d", round, b.Size(), size)
			}
			want = append(want, u)
		}
		enc := b.Append([]byte("before"))
		enc = enc[len("before"):]
		if len(enc) != b.Size() {
			t.Fatalf("round %d: %d bytes, Size said %d", round, len(enc), b.Size())
		}
		recs, v := Decode(enc, nil)
		if v != Unpacked || !slices.Equal(users(recs), want) {
			t.Fatalf("round %d: %v, records differ", round, v)
		}
		if got := users(b.Records(nil)); !slices.Equal(got, want) {
			t.Fatalf("round %d: Builder.Records differ", round)
		}
		if got := users([]Record{b.First()}); got[0] != want[0] {
			t.Fatalf("round %d: Builder.First is %v, want %v", round, got[0], want[0])
		}
	}
}

func TestTryAddStopsAtTheLimit(t *testing.T) {
	var b Builder
	limit := b.SizeWith("k", "", []byte("12345"))
	if b.TryAdd("k", "", []byte("12345"), limit-1) || b.Len() != 0 {
		t.Fatal("a record over the limit was added")
	}
	if !b.TryAdd("k", "", []byte("12345"), limit) || b.Size() != limit {
		t.Fatal("a record at the limit was refused")
	}
	if b.TryAdd("k", "", nil, limit) {
		t.Fatal("a record after the limit was added")
	}
}

func TestBuilderWithoutRecordsAppendsNothing(t *testing.T) {
	var b Builder
	if got := b.Append([]byte("x")); string(got) != "x" {
		t.Fatalf("appended %x", got[1:])
	}
}

func TestOddDataIsGivenBackWhole(t *testing.T) {
	good, _ := hex.DecodeString(golden[0].hex)
	flipped := bytes.Clone(good)
	flipped[6] ^= 1
	key := field(tagPartitionKey, "k")
	rec := field(tagRecord, "\x08\x00\x1a\x01d")
	for name, c := range map[string]struct {
		data []byte
		want Verdict
	}{
		"nil":                           {nil, Plain},
		"three bytes of the magic":      {[]byte(Magic[:3]), Plain},
		"other magic":                   {append([]byte("\xf3\x89\x9a\xc3"), good[4:]...), Plain},
		"the magic alone":               {[]byte(Magic), Malformed},
		"fifteen bytes after the magic": {[]byte(Magic + strings.Repeat("x", 15)), Malformed},
		"an MD5 and no message":         {seal(""), Malformed},
		"wrong MD5":                     {flipped, Malformed},
		"cut short":                     {good[:len(good)-1], Malformed},
		"field number 0":                {seal("\x02\x00" + key + rec), Malformed},
		"group":                         {seal("\x2b\x2c" + key + rec), Malformed},
		"length past the end":           {seal("\x0a\x7f" + key + rec), Malformed},
		"endless varint":                {seal(strings.Repeat("\xff", 11)), Malformed},
		"unfinished varint":             {seal(key + rec + "\x28\xff"), Malformed},
		"fixed field cut short":         {seal(key + rec + "\x29\x00"), Malformed},
		"key index out of range":        {seal(key + field(tagRecord, "\x08\x01\x1a\x01d")), Malformed},
		"huge key index":                {seal(key + field(tagRecord, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x1a\x01d")), Malformed},
		"hash index out of range":       {seal(key + field(tagRecord, "\x08\x00\x10\x00\x1a\x01d")), Malformed},
		"hash key not a number":         {seal(key + field(tagHashKey, "12x") + rec), Malformed},
		"hash key of 2^128":             {seal(key + field(tagHashKey, "340282366920938463463374607431768211456") + rec), Malformed},
		"record without a key":          {seal(key + field(tagRecord, "\x1a\x01d")), Malformed},
		"record without data":           {seal(key + field(tagRecord, "\x08\x00")), Malformed},
		"second record bad":             {seal(key + rec + field(tagRecord, "\x08")), Malformed},
		"more keys than records may be": {seal(strings.Repeat(field(tagPartitionKey, ""), MaxRecords+1)), Malformed},
		"as many hash keys":             {seal(strings.Repeat(field(tagHashKey, "1"), MaxRecords+1)), Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			before := []Record{{Key: "kept"}}
			recs, v := Decode(c.data, before)
			if v != c.want || len(recs) != 1 || recs[0].Key != "kept" {
				t.Fatalf("%v with %d records, want %v with the one given", v, len(recs), c.want)
			}
		})
	}
}

func TestFieldsMayComeInAnyOrder(t *testing.T) {
	data := seal(
		field(tagRecord, "\x1a\x01A"+"\x10\x01"+"\x08\x01") + // data first, indices later
			"\x7a\x02zz" + "\x28\x07" + // unknown fields
			field(tagHashKey, "0") + field(tagPartitionKey, "one") +
			field(tagRecord, "\x08\x07\x08\x00\x1a\x01B") + // the last index counts
			field(tagPartitionKey, "two") + field(tagHashKey, "99"))
	recs, v := Decode(data, nil)
	want := []user{{"two", "99", "A"}, {"one", "", "B"}}
	if v != Unpacked || !slices.Equal(users(recs), want) {
		t.Fatalf("%v %v, want %v", v, users(recs), want)
	}
}

func TestAggregateWithoutRecordsHoldsNothing(t *testing.T) {
	recs, v := Decode(seal(field(tagPartitionKey, "unused")), nil)
	if v != Unpacked || len(recs) != 0 {
		t.Fatalf("%v, %d records", v, len(recs))
	}
}

func TestNestedAggregateStaysPacked(t *testing.T) {
	inner := build(user{"in", "", "x"}).Append(nil)
	recs, v := Decode(build(user{"out", "", string(inner)}).Append(nil), nil)
	if v != Unpacked || len(recs) != 1 || !bytes.Equal(recs[0].Data, inner) {
		t.Fatalf("%v %v", v, recs)
	}
}

func TestTagsAreKept(t *testing.T) {
	tag := func(body string) string { return field(tagTag, body) }
	data := seal(field(tagPartitionKey, "k") + field(tagRecord,
		tag(field(tagTagKey, "a")+field(tagTagValue, "1"))+"\x08\x00\x1a\x01d"+tag(field(tagTagKey, "b"))))
	recs, v := Decode(data, nil)
	if v != Unpacked || len(recs) != 1 {
		t.Fatalf("%v %v", v, recs)
	}
	var got []string
	for k, v := range recs[0].Tags() {
		got = append(got, k+"="+v)
	}
	if !slices.Equal(got, []string{"a=1", "b="}) {
		t.Fatalf("tags %v", got)
	}
}

func TestHashIsExplicitOrOfTheKey(t *testing.T) {
	if got := (Record{Key: "k", HashKey: "7"}).Hash(); got != (hashkey.Key{Lo: 7}) {
		t.Errorf("explicit: %v", got)
	}
	if got := (Record{Key: "k"}).Hash(); got != hashkey.Of("k") {
		t.Errorf("of the key: %v", got)
	}
}

func TestDecodedDataIsASliceOfTheInputAndKeysAreNot(t *testing.T) {
	data := build(user{"key", "", "abc"}, user{"key", "", "def"}).Append(nil)
	recs, _ := Decode(data, nil)
	recs[0].Data = append(recs[0].Data, "overrun"...)
	if string(recs[1].Data) != "def" {
		t.Fatal("appending to one record's data changed the next")
	}
	for i := range data {
		data[i] = 'z'
	}
	if string(recs[1].Data) != "zzz" {
		t.Error("data was copied")
	}
	if recs[1].Key != "key" {
		t.Error("the key changed with the input")
	}
}

func TestDecodeAllocatesOncePerAggregate(t *testing.T) {
	var b Builder
	for i := range 400 {
		b.Add(fmt.Sprintf("key-%d", i), "", make([]byte, 100))
	}
	enc := b.Append(nil)
	var d Decoder
	recs, _ := d.Decode(enc, nil)
	if n := testing.AllocsPerRun(20, func() { recs, _ = d.Decode(enc, recs[:0]) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
	keys := make([]string, 400)
	for i := range keys {
		keys[i] = fmt.Sprintf("key-%d", i)
	}
	data := make([]byte, 100)
	if n := testing.AllocsPerRun(20, func() {
		b.Reset()
		for _, k := range keys {
			b.Add(k, "", data)
		}
		enc = b.Append(enc[:0])
	}); n > 0 {
		t.Errorf("%v allocations to build", n)
	}
}

func TestDecoderKeepsNoLargeTables(t *testing.T) {
	rec := field(tagRecord, "\x08\x00\x1a\x01d")
	var d Decoder
	for _, tag := range []byte{tagPartitionKey, tagHashKey} {
		table := strings.Repeat(field(tag, "1"), MaxRecords)
		recs, v := d.Decode(seal(table+rec), nil)
		if want := map[byte]Verdict{tagPartitionKey: Unpacked, tagHashKey: Malformed}[tag]; v != want {
			t.Errorf("%v with %d records, want %v", v, len(recs), want)
		}
		if n := cap(d.keys) + cap(d.hashKeys); n > 2*keepTable {
			t.Errorf("room for %d entries is kept", n)
		}
	}
}

func TestBuilderKnowsTheMemoryItKeeps(t *testing.T) {
	var b Builder
	if b.Memory() != 0 {
		t.Errorf("a new one keeps %d bytes", b.Memory())
	}
	for i := range 1000 {
		b.Add(fmt.Sprintf("key-%04d", i), "", make([]byte, 1000))
	}
	full := b.Memory()
	b.Reset()
	if full < 1000*(1000+8+keyMemory) || b.Memory() != full {
		t.Errorf("%d bytes when full, %d when reset", full, b.Memory())
	}
}

func FuzzDecode(f *testing.F) {
	for _, g := range golden {
		b, _ := hex.DecodeString(g.hex)
		f.Add(b[len(Magic) : len(b)-md5.Size])
	}
	f.Add([]byte(field(tagRecord, "\x08\x00\x1a\x01d") + field(tagPartitionKey, "k")))
	f.Add([]byte(strings.Repeat("\xff", 11)))
	f.Fuzz(func(t *testing.T, message []byte) {
		// As it is, and framed so that the protobuf reader is reached.
		if recs, v := Decode(message, nil); v != Unpacked && len(recs) != 0 {
			t.Fatalf("%v with %d records", v, len(recs))
		}
		data := seal(string(message))
		recs, v := Decode(data, nil)
		if v == Plain || v == Malformed && len(recs) != 0 {
			t.Fatalf("%v with %d records", v, len(recs))
		}
		if len(recs) == 0 {
			return
		}
		// What was read can be written and read again.
		var b Builder
		for _, r := range recs {
			r.Hash()
			for range r.Tags() {
			}
			b.Add(r.Key, r.HashKey, r.Data)
		}
		again, v := Decode(b.Append(nil), nil)
		if v != Unpacked || !slices.Equal(users(again), users(recs)) {
			t.Fatalf("%v, records changed", v)
		}
	})
}

func FuzzRoundTrip(f *testing.F) {
	f.Add("alice", "123", []byte("1"), "bob", []byte("2"))
	f.Fuzz(func(t *testing.T, key1, hash1 string, data1 []byte, key2 string, data2 []byte) {
		if _, err := hashkey.Parse(hash1); err != nil {
			hash1 = ""
		}
		var b Builder
		b.Add(key1, hash1, data1)
		b.Add(key2, "", data2)
		b.Add(key1, hash1, nil)
		enc := b.Append(nil)
		want := []user{{key1, hash1, string(data1)}, {key2, "", string(data2)}, {key1, hash1, ""}}
		recs, v := Decode(enc, nil)
		if v != Unpacked || len(enc) != b.Size() || !slices.Equal(users(recs), want) {
			t.Fatalf("%v %v, want %v", v, users(recs), want)
		}
	})
}

// benchmarkAggregate fills about 50 KiB, the KPL's default size.
func benchmarkRecords(size int) (keys []string, data []byte) {
	data = make([]byte, size)
	for i := range 50 << 10 / (size + 20) {
		keys = append(keys, fmt.Sprintf("customer-%06d", i))
	}
	return keys, data
}

func BenchmarkEncode(b *testing.B) {
	for _, size := range []int{100, 1024} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			keys, data := benchmarkRecords(size)
			var a Builder
			var enc []byte
			b.SetBytes(int64(len(keys) * size))
			b.ReportAllocs()
			for b.Loop() {
				a.Reset()
				for _, k := range keys {
					a.Add(k, "", data)
				}
				enc = a.Append(enc[:0])
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(keys)), "ns/record")
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, size := range []int{100, 1024} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			keys, data := benchmarkRecords(size)
			var a Builder
			for _, k := range keys {
				a.Add(k, "", data)
			}
			enc := a.Append(nil)
			var d Decoder
			var recs []Record
			b.SetBytes(int64(len(keys) * size))
			b.ReportAllocs()
			for b.Loop() {
				recs, _ = d.Decode(enc, recs[:0])
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(keys)), "ns/record")
		})
	}
}
