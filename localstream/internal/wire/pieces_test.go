package wire

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
)

// AppendJSON makes a page as a whole. It is what the pieces are compared with,
// and makes a page an [Answer] to the tests of those.
func (a *GetRecordsAnswer) AppendJSON(dst []byte) []byte {
	return append(appendRecords(a.appendHeadJSON(dst), a.Records), jsonPageEnd...)
}

// AppendCBOR makes a page as a whole.
func (a *GetRecordsAnswer) AppendCBOR(dst []byte) []byte {
	return appendRecordsCBOR(a.appendHeadCBOR(dst), a.Records)
}

// samePieces compares a page that is written in pieces with one that is made as
// a whole, and with the length that was said of it.
func samePieces(t *testing.T, e Encoding, a *GetRecordsAnswer) {
	t.Helper()
	whole := e.Append(nil, a)
	if got := a.Size(e); got != len(whole) {
		t.Fatalf("%s: %d bytes were announced, %d written", e.ContentType(), got, len(whole))
	}
	var pieces bytes.Buffer
	if _, err := a.Write(e, &pieces, []byte("whatever was here")); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pieces.Bytes(), whole) {
		t.Fatalf("%s: %d bytes in pieces differ from %d as a whole", e.ContentType(), pieces.Len(), len(whole))
	}
}

func TestPiecesAreThePage(t *testing.T) {
	keys := []string{"", "k", "ключ\"\\\u2028\n\x01", strings.Repeat("k", 256), strings.Repeat("\x02", 256), "\xff"}
	page := &GetRecordsAnswer{Next: "next", Behind: 300}
	number := bytes.Repeat([]byte{'4'}, 56)
	for i, size := range []int{0, 1, 2, 3, 23, 24, 255, 256, 1000, 65535, 65536, pieceBytes / 4, pieceBytes/4 + 1,
		pieceBytes/4*3 - 1, pieceBytes / 4 * 3, pieceBytes/4*3 + 1, pieceBytes, pieceBytes + 1, 3 * pieceBytes, 1 << 20, 10 << 20} {
		page.Records = append(page.Records, Record{
			Sequence: number, Arrival: []int64{0, 1_790_000_000_000, 1_790_000_000_001, -5, math.MaxInt64}[i%5],
			Key: keys[i%len(keys)], Data: bytes.Repeat([]byte{byte(i)}, size), Encrypted: i%3 == 0,
		})
	}
	for e := range names {
		samePieces(t, e, page)
		samePieces(t, e, &GetRecordsAnswer{})
		for i := range page.Records {
			samePieces(t, e, &GetRecordsAnswer{Records: page.Records[i : i+1], Children: []ChildShard{{ShardID: "c", Parents: []string{"p"}}}})
		}
	}
}

// failing takes a number of bytes, and then nothing more.
type failing struct{ room, calls int }

func (f *failing) Write(p []byte) (int, error) {
	f.calls++
	if f.room -= len(p); f.room < 0 {
		return 0, errors.New("gone")
	}
	return len(p), nil
}

func TestNothingIsWrittenToWhoIsGone(t *testing.T) {
	page := &GetRecordsAnswer{}
	for range 20 {
		page.Records = append(page.Records, Record{Data: make([]byte, pieceBytes)})
	}
	for e := range names {
		w := &failing{room: 3 * pieceBytes}
		if _, err := page.Write(e, w, nil); err == nil {
			t.Error("the error of the connection was swallowed")
		}
		if w.calls > 8 {
			t.Errorf("%d writes, though the client is gone", w.calls)
		}
	}
}
