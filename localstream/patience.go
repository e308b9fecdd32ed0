package localstream

import (
	"context"
	"net/http"
	"time"
)

// How slow a client may be with its part of a request.
const (
	transferRate    = 64 << 10         // bytes a second
	transferGrace   = 15 * time.Second // on top of that
	closingPatience = 2 * time.Second  // when the server is closing
	restPatience    = 10 * time.Second // with a body that is not read; less than transferGrace, so that the answer can follow
	readBytes       = 64 << 10         // how much is read at a time
)

// patience is how long a client may take to send or to read this many bytes.
func patience(bytes int64) time.Duration {
	return transferGrace + time.Duration(bytes/transferRate)*time.Second
}

// limitRest bounds how long net/http waits for what is left of a body that
// nobody reads: it reads some of it before it answers, and knows no end to that.
func limitRest(conn *http.ResponseController, d time.Duration) {
	_ = conn.SetReadDeadline(time.Now().Add(d)) // an error is a connection without deadlines
}

// within gives a client some time to send or to read, by the function that
// sets the deadline of its connection, and much less once the server is
// closing. done ends the latter; the deadline stays.
func (s *Server) within(d time.Duration, set func(time.Time) error) (done func()) {
	if set(time.Now().Add(d)) != nil {
		return func() {} // a connection without deadlines: in process, or of a test
	}
	cut := make(chan struct{})
	stop := context.AfterFunc(s.closing, func() {
		_ = set(time.Now().Add(closingPatience)) // as it did before
		close(cut)
	})
	return func() {
		if !stop() {
			<-cut // the connection is not ours any more after this
		}
	}
}
