package wire

import (
	"encoding/binary"
	"hash/crc32"
)

// ContentEventStream is the content type of an answer that is a stream of
// frames. A frame is, with numbers in big endian:
//
//	length of all (4) · length of the headers (4) · CRC-32 of these (4) ·
//	headers · payload · CRC-32 of all before (4)
//
// and a header with a string as its value:
//
//	length of the name (1) · name · 7 · length of the value (2) · value
const ContentEventStream = "application/vnd.amazon.eventstream"

const (
	preludeBytes = 4 + 4 + 4
	crcBytes     = 4
	stringValue  = 7
)

// BeginEvent appends the beginning of a frame that carries an event of a kind.
// Its payload, of the content type, is to be appended next, and then the rest
// by [EndFrame].
func BeginEvent(dst []byte, kind, contentType string) []byte {
	return beginFrame(dst, ":event-type", kind, contentType, "event")
}

// BeginException is [BeginEvent] for an error of the API, which ends a stream.
func BeginException(dst []byte, kind, contentType string) []byte {
	return beginFrame(dst, ":exception-type", kind, contentType, "exception")
}

func beginFrame(dst []byte, kindHeader, kind, contentType, messageType string) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, preludeBytes)...)
	dst = appendHeader(dst, kindHeader, kind)
	dst = appendHeader(dst, ":content-type", contentType)
	dst = appendHeader(dst, ":message-type", messageType)
	binary.BigEndian.PutUint32(dst[start+4:], uint32(len(dst)-start-preludeBytes))
	return dst
}

func appendHeader(dst []byte, name, value string) []byte {
	dst = append(append(dst, byte(len(name))), name...)
	dst = binary.BigEndian.AppendUint16(append(dst, stringValue), uint16(len(value)))
	return append(dst, value...)
}

// EndFrame completes the frame that begins at start and has its payload.
func EndFrame(dst []byte, start int) []byte {
	frame := dst[start:]
	binary.BigEndian.PutUint32(frame, uint32(len(frame)+crcBytes))
	binary.BigEndian.PutUint32(frame[8:], crc32.ChecksumIEEE(frame[:8]))
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(frame))
}
