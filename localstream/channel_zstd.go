package localstream

import (
	"encoding/binary"
	"io"
)

// zstdWriter writes one Zstandard frame whose blocks are stored, not
// compressed: RFC 8878 allows that, every decoder reads it, and it needs no
// compressor.
type zstdWriter struct {
	w     io.Writer
	block []byte // its header, and what it has so far
	begun bool
}

const (
	zstdMagic = 0xFD2FB528
	// zstdBlock is the greatest block, and zstdWindow the descriptor of a window
	// of that size, 128 KiB: 2 to the power of 10 + 7.
	zstdBlock  = 128 << 10
	zstdWindow = 7 << 3
	// zstdBlockHead is the length of the header of a block.
	zstdBlockHead = 3
)

func newZstdWriter(w io.Writer) *zstdWriter {
	return &zstdWriter{w: w, block: make([]byte, zstdBlockHead, zstdBlockHead+zstdBlock)}
}

// Write implements [io.Writer].
func (z *zstdWriter) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		n := min(len(p), zstdBlockHead+zstdBlock-len(z.block))
		z.block = append(z.block, p[:n]...)
		p = p[n:]
		if len(z.block) < zstdBlockHead+zstdBlock {
			break
		}
		if err := z.flush(false); err != nil {
			return total - len(p), err
		}
	}
	return total, nil
}

// Close writes what is left. It does not close the writer below.
func (z *zstdWriter) Close() error { return z.flush(true) }

// flush writes a block, after the header of the frame if it is the first.
func (z *zstdWriter) flush(last bool) error {
	if !z.begun {
		z.begun = true
		// No checksum, no dictionary, no size of the content.
		head := append(binary.LittleEndian.AppendUint32(nil, zstdMagic), 0, zstdWindow)
		if _, err := z.w.Write(head); err != nil {
			return err
		}
	}
	const stored = 0 << 1
	head := uint32(len(z.block)-zstdBlockHead)<<3 | stored
	if last {
		head |= 1
	}
	z.block[0], z.block[1], z.block[2] = byte(head), byte(head>>8), byte(head>>16)
	_, err := z.w.Write(z.block)
	z.block = z.block[:zstdBlockHead]
	return err
}
