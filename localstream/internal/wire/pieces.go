package wire

import (
	"io"
	"unicode/utf8"

	"github.com/shardrun/shardrun/internal/cbor"
)

// Pieces is an answer that is too large to be made as a whole before it is
// sent. Its length is known nevertheless.
type Pieces interface {
	// Size is the length of the answer in bytes.
	Size(e Encoding) int
	// Write writes the answer, through a buffer that it returns and that may
	// have grown. The error is that of w.
	Write(e Encoding, w io.Writer, buf []byte) ([]byte, error)
}

// pieceBytes is how much is gathered before it is written: enough for few
// system calls, little enough for the cache of a processor.
const pieceBytes = 128 << 10

// pieces gathers what is written. After an error it writes no more.
type pieces struct {
	w   io.Writer
	buf []byte
	err error
}

// room writes what was gathered, unless n more bytes fit to it.
func (p *pieces) room(n int) {
	if len(p.buf)+n > pieceBytes {
		p.flush()
	}
}

func (p *pieces) flush() {
	if p.err == nil && len(p.buf) > 0 {
		_, p.err = p.w.Write(p.buf)
	}
	p.buf = p.buf[:0]
}

// base64 adds the text for data, of any length.
func (p *pieces) base64(data []byte) {
	const step = pieceBytes / 4 * 3 // what fills a whole piece, and needs no padding
	for len(data) > step {
		p.flush()
		p.buf = appendBase64(p.buf, data[:step])
		data = data[step:]
	}
	p.room(base64Size(len(data)))
	p.buf = appendBase64(p.buf, data)
}

// raw adds data as it is. What is large is not copied.
func (p *pieces) raw(data []byte) {
	if len(data) <= pieceBytes/4 {
		p.room(len(data))
		p.buf = append(p.buf, data...)
		return
	}
	p.flush()
	if p.err == nil {
		_, p.err = p.w.Write(data)
	}
}

// Write writes the answer piece by piece.
func (a *GetRecordsAnswer) Write(e Encoding, w io.Writer, buf []byte) ([]byte, error) {
	p := pieces{w: w, buf: buf[:0]}
	if e == AsCBOR {
		p.buf = a.appendHeadCBOR(p.buf)
	} else {
		p.buf = a.appendHeadJSON(p.buf)
	}
	for i := range a.Records {
		if p.err != nil {
			break // the client is gone
		}
		r := &a.Records[i]
		if e == AsCBOR {
			p.room(cborRecordBytes)
			p.buf = r.appendHeadCBOR(p.buf)
			p.raw(r.Data)
			p.room(cborRecordBytes + len(r.Key))
			p.buf = r.appendTailCBOR(p.buf)
			continue
		}
		p.room(jsonRecordBytes)
		if i > 0 {
			p.buf = append(p.buf, ',')
		}
		p.buf = r.appendHeadJSON(p.buf)
		p.base64(r.Data)
		p.room(jsonRecordBytes + len(r.Key))
		p.buf = r.appendTailJSON(p.buf)
	}
	if e != AsCBOR {
		p.buf = append(p.buf, jsonPageEnd...)
	}
	p.flush()
	return p.buf, p.err
}

// Size is the length of the answer in bytes.
func (a *GetRecordsAnswer) Size(e Encoding) int {
	var scratch [1024]byte
	if e == AsCBOR {
		return len(a.appendHeadCBOR(scratch[:0])) + cborSize(a.Records)
	}
	return len(a.appendHeadJSON(scratch[:0])) + jsonSize(a.Records) + len(jsonPageEnd)
}

// jsonSize is the length of records with the commas between them.
func jsonSize(records []Record) int {
	size := max(0, len(records)-1)
	for i := range records {
		size += records[i].jsonSize()
	}
	return size
}

// jsonSize is the length of the record in JSON.
func (r *Record) jsonSize() int {
	size := len(jsonArrival) + millisSize(r.Arrival) + len(jsonData) + base64Size(len(r.Data)) + len(jsonDataEnd) +
		len(jsonSequence) + len(r.Sequence) + len(jsonRecordEnd)
	if r.Encrypted {
		size += len(jsonEncrypted)
	}
	if r.Key != "" {
		size += len(jsonKey) + stringSize(r.Key)
	}
	return size
}

// cborSize is the length of records.
func cborSize(records []Record) int {
	size := 0
	for i := range records {
		size += records[i].cborSize()
	}
	return size
}

// cborSize is the length of the record in CBOR.
func (r *Record) cborSize() int {
	size := 1 + cbor.TextSize(len("ApproximateArrivalTimestamp")) + cbor.IntSize(r.Arrival) +
		cbor.TextSize(len("Data")) + cbor.TextSize(len(r.Data)) +
		cbor.TextSize(len("SequenceNumber")) + cbor.TextSize(len(r.Sequence))
	if r.Encrypted {
		size += cbor.TextSize(len("EncryptionType")) + cbor.TextSize(len("KMS"))
	}
	if r.Key != "" {
		size += cbor.TextSize(len("PartitionKey")) + cbor.TextSize(len(r.Key))
	}
	return size
}

// base64Size is the length of the text for n bytes.
func base64Size(n int) int { return (n + 2) / 3 * 4 }

// millisSize is the length of what appendMillis writes.
func millisSize(ms int64) int {
	var scratch [32]byte
	return len(appendMillis(scratch[:0], ms))
}

// stringSize is the length of what appendString writes.
func stringSize(v string) int {
	for i := range len(v) {
		if c := v[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return len(appendString(nil, v))
		}
	}
	return len(v) + 2
}
