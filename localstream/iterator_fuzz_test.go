package localstream

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// An iterator and a token of ListShards as they were made once, with a secret of
// ones.
const (
	goldenIterator = "AAAAAAAAAAFzwnkBwtodJiGNBRd451TfZtpfaQ2q5HZigP9qjkAHTOEDp7gpsYu1uOEJJaKLNt3eOH1xt51TiDjGqyXF6NF/G3QTnJi1/OKHzvsklEkts8aRfcN8h4OUSbYHSUH3HigKRC8CdqVobFIv/3IoZ17lsleZb+vKuLgjQF7mqbp8/kZB6ObdjUy5/wX2K5aEvGLr+0QDA2mUGDTZV6qPekpR2lRL/NTBLT438A+gMIRpVw=="
	goldenToken    = "AAAAAAAAAAHw6030XHbxYFTvWXJrb7dKD+Fnt6tK0fS+RBlcONQ+qfdaHbZy0innZPeLcrNNSBwlU/XhTxuuUEsoTBS5aupVdo2QMmVeU+l0jPIoNDmHsH5tWyWZPqxWZdH9EXmvpwU+GDZHugm9IOLyaalHLIe1Eh/aOLiy3LVf346VdKkKlwTy7wLilP/x8xg8dOsLoR5Kfcq8d5/51A374tld6MhH1sZPxC8i7Gm7YeDHTaSNgw=="
)

// An iterator that this server did not make, or that was changed, is refused;
// one that it made says what it was made of.
func FuzzIterator(f *testing.F) {
	sealer, err := newSealer(bytes.Repeat([]byte{1}, secretBytes))
	if err != nil {
		f.Fatal(err)
	}
	s := &Server{sealer: sealer}
	now := time.UnixMilli(1_700_000_000_000)
	it := iterator{Stream: testKey("s"), ID: "id", Shard: 1, From: 2}
	sealed := map[string]bool{goldenIterator: true, goldenToken: true}
	for token := range sealed {
		f.Add(token, 10, byte('A'))
		f.Add(token, 0, byte(0))
	}
	f.Add("", 0, byte(0))
	f.Add(`""`, 0, byte('"'))
	f.Add("AAAAAAAAAAE=", 3, byte('='))
	if got, err := s.openIterator(goldenIterator, now); err != nil || got != it {
		f.Fatalf("iterators are not read as they once were: %+v, %v", got, err)
	}
	f.Fuzz(func(t *testing.T, token string, at int, c byte) {
		texts := []string{token, `"` + token + `"`}
		if at >= 0 && at < len(token) {
			texts = append(texts, token[:at]+string(rune(c))+token[at+1:], token[:at], token[at:])
		}
		for _, text := range texts {
			got, err := s.openIterator(text, now)
			if genuine := strings.TrimSuffix(strings.TrimPrefix(text, `"`), `"`); err == nil && (!sealed[genuine] || got != it) {
				t.Errorf("%q is taken for %+v", text, got)
			}
			if _, err := s.openToken(kindShards, text, now); err == nil && !sealed[text] {
				t.Errorf("%q is taken for a token", text)
			}
		}
	})
}
