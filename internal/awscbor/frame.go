package awscbor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A frame of an event stream is its length and that of its headers, a checksum
// of these two, headers, payload, and a checksum of all; numbers big-endian.
const (
	preludeLen  = 12
	checksumLen = 4

	largestFrame  = 24 << 20 // the format allows 16 MiB of payload
	trustedInOnce = 1 << 20  // is made room for before it has come
)

// frame is a message of an event stream.
type frame struct {
	raw     []byte // all of it
	headers []byte
	payload []byte
}

// readFrame reads a frame into memory of its own. At the end of the stream the
// error is io.EOF; an end within a frame is io.ErrUnexpectedEOF.
func readFrame(r io.Reader) (frame, error) {
	var prelude [preludeLen]byte
	if _, err := io.ReadFull(r, prelude[:]); err != nil {
		return frame{}, err
	}
	length := int64(binary.BigEndian.Uint32(prelude[:]))
	headers := int64(binary.BigEndian.Uint32(prelude[4:]))
	switch {
	case crc32.ChecksumIEEE(prelude[:8]) != binary.BigEndian.Uint32(prelude[8:]):
		return frame{}, errors.New("the checksum of an event's length is wrong")
	case length > largestFrame, length < preludeLen+headers+checksumLen:
		return frame{}, fmt.Errorf("an event has %d bytes, %d of them headers", length, headers)
	}
	raw := append(make([]byte, 0, min(length, trustedInOnce)), prelude[:]...)
	raw, err := readSized(r, raw, length, trustedInOnce)
	if err != nil {
		return frame{}, err
	}
	end := length - checksumLen
	if crc32.ChecksumIEEE(raw[:end]) != binary.BigEndian.Uint32(raw[end:]) {
		return frame{}, errors.New("the checksum of an event is wrong")
	}
	return frame{raw: raw, headers: raw[preludeLen : preludeLen+headers], payload: raw[preludeLen+headers : end : end]}, nil
}

// The lengths of header values by their type; -1 stands for one that brings its
// length in two bytes.
var valueLens = [...]int{
	0, 0, // true, false
	1, 2, 4, 8, // integers
	-1, -1, // bytes, string
	8,  // timestamp
	16, // uuid
}

const headerString = 7

// header gives the value of a header that is a string, or "".
func (f frame) header(name string) string {
	for rest := f.headers; len(rest) > 0; {
		nameLen := int(rest[0])
		if len(rest) < 1+nameLen+1 {
			return ""
		}
		key, kind := rest[1:1+nameLen], rest[1+nameLen]
		rest = rest[1+nameLen+1:]
		if int(kind) >= len(valueLens) {
			return ""
		}
		valueLen := valueLens[kind]
		if valueLen < 0 {
			if len(rest) < 2 {
				return ""
			}
			valueLen = int(binary.BigEndian.Uint16(rest))
			rest = rest[2:]
		}
		if len(rest) < valueLen {
			return ""
		}
		if kind == headerString && string(key) == name {
			return string(rest[:valueLen])
		}
		rest = rest[valueLen:]
	}
	return ""
}
