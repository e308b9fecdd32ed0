package localstream

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os/exec"
	"testing"
)

// What is written is one frame of the format, in pieces of any size, and holds
// what was written. The program zstd agrees, where there is one.
func TestZstdFrames(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, zstdBlock - 1, zstdBlock, zstdBlock + 1, 3 * zstdBlock, 5*zstdBlock + 17} {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		var out bytes.Buffer
		z := newZstdWriter(&out)
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 1+rng.IntN(2*zstdBlock))
			if written, err := z.Write(rest[:n]); err != nil || written != n {
				t.Fatal(written, err)
			}
			rest = rest[n:]
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if got := storedZstd(t, out.Bytes()); !bytes.Equal(got, data) {
			t.Errorf("%d bytes became %d others", len(data), len(got))
		}
		if _, err := exec.LookPath("zstd"); err != nil {
			continue
		}
		cmd := exec.Command("zstd", "-d", "-c")
		cmd.Stdin = &out
		got, err := cmd.Output()
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("zstd made %d bytes of %d: %v", len(got), len(data), err)
		}
	}
}

// storedZstd reads a frame whose blocks are stored.
func storedZstd(t testing.TB, b []byte) (data []byte) {
	t.Helper()
	if len(b) < 6 || binary.LittleEndian.Uint32(b) != 0xFD2FB528 || b[4] != 0 {
		t.Fatalf("not a frame: % x", b[:min(len(b), 8)])
	}
	window := 1 << (10 + b[5]>>3)
	for b = b[6:]; ; {
		head := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
		size := int(head >> 3)
		if head>>1&3 != 0 || size > window || size > 128<<10 || len(b) < 3+size {
			t.Fatalf("bad block %x of %d bytes", head, len(b))
		}
		data = append(data, b[3:3+size]...)
		b = b[3+size:]
		if head&1 == 1 {
			break
		}
	}
	if len(b) > 0 {
		t.Fatalf("%d bytes behind the frame", len(b))
	}
	return data
}
