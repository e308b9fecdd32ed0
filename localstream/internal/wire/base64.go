package wire

import (
	"slices"

	"github.com/segmentio/asm/base64"
)

// padded is base64 as AWS has it: with padding, and nothing but zeros in the
// bits that the last byte does not need. With the vectors of the processor it
// is about ten times as fast as encoding/base64, which took a third of the time
// of a put and of a page.
var padded = base64.StdEncoding.Strict()

// appendBase64 appends the text for v.
func appendBase64(dst, v []byte) []byte {
	n := padded.EncodedLen(len(v))
	dst = slices.Grow(dst, n)
	text := dst[len(dst):][:n]
	padded.Encode(text, v)
	return dst[:len(dst)+n]
}

// appendDecoded appends the bytes that a text stands for.
func appendDecoded(dst, text []byte) ([]byte, error) {
	n := padded.DecodedLen(len(text))
	dst = slices.Grow(dst, n)
	n, err := padded.Decode(dst[len(dst):][:n], text)
	return dst[:len(dst)+n], err
}
