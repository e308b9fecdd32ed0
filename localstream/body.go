package localstream

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// bodyLimit is how long a body may be.
type bodyLimit struct {
	bytes  int64
	longer *apiError // the answer to a longer one; nil says just that it is too long
}

func (l bodyLimit) exceeded() error {
	if l.longer != nil {
		return l.longer
	}
	return &apiError{
		Type: "RequestEntityTooLargeException", Status: http.StatusRequestEntityTooLarge,
		Message: fmt.Sprintf("The request is larger than %d bytes.", l.bytes),
	}
}

// readBody reads the body of a request, once there is room among the bytes in
// flight for what is announced, or for the largest if nothing is. It allocates
// what has arrived.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, b *buffers, share *share, limit bodyLimit) error {
	if r.ContentLength > limit.bytes {
		return limit.exceeded()
	}
	if owned, ok := r.Body.(*ownedBody); ok { // in process: it is ours already
		b.request.Body = owned.bytes
		return share.resize(r.Context(), int64(len(owned.bytes)))
	}
	if r.Header.Get("Content-Encoding") != "" {
		return &apiError{Type: typeSerialization, Status: http.StatusBadRequest}
	}
	announced := r.ContentLength
	if announced < 0 {
		announced = limit.bytes
	}
	if err := share.resize(r.Context(), announced); err != nil {
		return err
	}
	conn := http.NewResponseController(w)
	_ = conn.SetWriteDeadline(time.Time{}) // that of the last answer
	done := s.within(patience(limit.bytes), conn.SetReadDeadline)
	err := receive(http.MaxBytesReader(w, r.Body, limit.bytes), b)
	done()
	if err == nil {
		_ = conn.SetReadDeadline(time.Time{})
		err = share.resize(r.Context(), int64(len(b.request.Body))) // which is no more
	} else {
		limitRest(conn, closingPatience) // it had its time
	}
	switch _, over := errors.AsType[*http.MaxBytesError](err); {
	case over:
		return limit.exceeded()
	case err != nil:
		return err
	}
	return nil
}

// receive reads to the end of the body.
func receive(reader io.Reader, b *buffers) error {
	body := b.request.Body[:0]
	for {
		if len(body) == cap(body) {
			body = slices.Grow(body, max(4096, len(body)))
		}
		room := body[len(body):cap(body)]
		room = room[:min(len(room), readBytes)]
		n, err := reader.Read(room)
		body = body[:len(body)+n]
		b.request.Body = body
		if errors.Is(err, io.EOF) {
			return nil
		}
		if _, over := errors.AsType[*http.MaxBytesError](err); over {
			return err
		}
		if err != nil {
			return &apiError{Type: typeSerialization, Status: http.StatusBadRequest}
		}
	}
}
