package wire

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"testing"
)

// sameAsStandard compares with encoding/base64, text after text of bytes that
// came before, and says what differs.
func sameAsStandard(t *testing.T, text []byte) {
	t.Helper()
	const before = "before"
	want, wantErr := base64.StdEncoding.Strict().AppendDecode([]byte(before), text)
	memory := append(make([]byte, 0, len(before)+len(text)/4*3+1), before...)
	end := memory[:cap(memory)]
	end[len(end)-1] = '!' // is not to be written to
	got, err := appendDecoded(memory[:len(before):cap(memory)-1], text)
	if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
		t.Fatalf("%q is read as %q, %v; want %q, %v", text, got, err, want, wantErr)
	}
	if len(text)%4 == 0 && end[len(end)-1] != '!' {
		t.Fatalf("%q: something was written behind the memory for it", text)
	}
	if encoded := appendBase64([]byte(before), text); string(encoded) != before+base64.StdEncoding.EncodeToString(text) {
		t.Fatalf("%q is written as %q", text, encoded)
	}
}

func TestBase64IsThatOfTheStandardLibrary(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for size := range 300 {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		text := []byte(base64.StdEncoding.EncodeToString(data))
		sameAsStandard(t, text)
		for at := range text {
			for _, c := range []byte{'=', '\n', '-', 0, 0xff, '/', ' '} {
				was := text[at]
				text[at] = c
				sameAsStandard(t, text)
				text[at] = was
			}
		}
	}
}

func FuzzBase64(f *testing.F) {
	f.Add([]byte("aGVsbG8gd29ybGQsIGhlbGxvIHdvcmxkLCBoZWxsbyB3b3JsZCwgaGVsbG8gd29ybGQ="))
	f.Add(bytes.Repeat([]byte("++//"), 40))
	f.Add(append(bytes.Repeat([]byte("AAAA"), 12), "AB=="...))
	f.Fuzz(sameAsStandard)
}
