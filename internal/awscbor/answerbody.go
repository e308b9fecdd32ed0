package awscbor

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// encoding is what a body is written in, as its first byte shows. What it is
// announced as says less: proxies and Kinesis itself answer in something else
// than was asked for.
type encoding uint8

const (
	inNothing encoding = iota // an empty body
	inCBOR
	inJSON
	inOther // XML, HTML, text
)

func encodingOf(body []byte) encoding {
	text := bytes.TrimLeft(body, " \t\r\n")
	switch {
	case len(body) == 0:
		return inNothing
	case body[0]&0xe0 == 0xa0: // a map
		return inCBOR
	case len(text) > 0 && text[0] == '{': // as CBOR, a string of an exabyte
		return inJSON
	}
	return inOther
}

const (
	firstRead   = 16 << 10
	largestPage = 16 << 20 // more than GetRecords may answer
)

// answerPool keeps the buffers of answers of which nothing is left when they
// are decoded. The zero value is ready.
type answerPool struct{ pool sync.Pool }

// read reads the whole body of a response. A body that the caller keeps is in
// a buffer of its own, otherwise the caller has to put it back.
func (p *answerPool) read(resp *smithyhttp.Response, keep bool) ([]byte, error) {
	if resp.Body == nil {
		return nil, nil
	}
	var buf []byte
	if !keep {
		if pooled, ok := p.pool.Get().(*[]byte); ok {
			buf = (*pooled)[:0]
		}
	}
	if n := resp.ContentLength; n > 0 {
		return readSized(resp.Body, buf, n, largestPage)
	}
	return readAll(resp.Body, buf)
}

func (p *answerPool) put(body []byte) {
	if 0 < cap(body) && cap(body) <= mostPooled {
		p.pool.Put(&body)
	}
}

// readSized reads into buf, behind what is in it, until there are n bytes. It
// believes that there will be that many up to trusted bytes; beyond, memory
// follows what has come.
func readSized(r io.Reader, buf []byte, n, trusted int64) ([]byte, error) {
	for int64(len(buf)) < n {
		have := len(buf)
		if next := min(n, max(trusted, 4*int64(have))); int64(cap(buf)) < next {
			buf = append(make([]byte, 0, next), buf...)
		}
		buf = buf[:min(n, int64(cap(buf)))]
		m, err := io.ReadFull(r, buf[have:])
		switch {
		case err == io.EOF, err == io.ErrUnexpectedEOF:
			return nil, fmt.Errorf("the answer ends after %d of %d bytes: %w", have+m, n, io.ErrUnexpectedEOF)
		case err != nil:
			return nil, err
		}
	}
	return buf, nil
}

// readAll reads to the end.
func readAll(r io.Reader, buf []byte) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, max(firstRead, 2*cap(buf))), buf...)
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// withBody is a response with a body that was read already.
func withBody(resp *smithyhttp.Response, body []byte) *smithyhttp.Response {
	r := *resp.Response
	r.Body = io.NopCloser(bytes.NewReader(body))
	return &smithyhttp.Response{Response: &r}
}

// start is as much of a body as an error shows.
func start(body []byte) []byte { return bytes.Clone(body[:min(len(body), 256)]) }

// unreadable is the error about a body in which nothing of the API can be seen,
// like the page that a proxy has for errors.
func unreadable(resp *smithyhttp.Response, body []byte) error {
	kind := resp.Header.Get(headerContentType)
	if kind == "" {
		kind = "no content type"
	}
	begin := start(body)
	return &smithy.DeserializationError{
		Err:      fmt.Errorf("status %d with a body that is no answer of Kinesis (%s): %q", resp.StatusCode, kind, begin),
		Snapshot: begin,
	}
}
