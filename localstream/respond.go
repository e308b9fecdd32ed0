package localstream

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/shardrun/shardrun/internal/entropy"
	"github.com/shardrun/shardrun/localstream/internal/wire"
)

func (s *Server) writeAnswer(w http.ResponseWriter, e wire.Encoding, b *buffers, out output) {
	b.answer = b.answer[:0]
	switch {
	case out.pieces != nil:
		s.writePieces(w, e, b, out.pieces)
		return
	case out.answer != nil:
		b.answer = e.Append(b.answer, out.answer)
	case out.shape != nil:
		b.answer = e.AppendShape(b.answer, out.shape)
	}
	s.write(w, http.StatusOK, e.ContentType(), b.answer)
}

func serializationError(err *wire.SerializationError) *apiError {
	return &apiError{Type: typeSerialization, Message: err.Message, Status: http.StatusBadRequest}
}

// apiErrorOf is an error as clients see it: one that is not of the API is one of
// the server's own. It is nil for none.
func apiErrorOf(err error) *apiError {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return unavailable() // nobody waits for it any more
	}
	return internalFailure(err)
}

// writeError answers with an error, in the encoding of the request.
func (s *Server) writeError(w http.ResponseWriter, encoding wire.Encoding, err error) {
	e := apiErrorOf(err)
	body := wire.ErrorAnswer{Type: e.Type, Member: "message", Message: e.Message}
	if e.Type == typeSerialization {
		body.Member = "Message"
	}
	s.write(w, e.Status, encoding.ContentType(), encoding.Append(nil, &body))
}

// writeXML answers in the way AWS does before it knows the protocol.
func (s *Server) writeXML(w http.ResponseWriter, e *apiError) {
	body := "<" + e.Type + "/>\n"
	if e.Message != "" {
		message := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(e.Message)
		body = "<" + e.Type + ">\n  <Message>" + message + "</Message>\n</" + e.Type + ">\n"
	}
	s.write(w, e.Status, "", []byte(body))
}

// writePieces sends an answer in the course of making it. A client that does not
// take it is cut off.
func (s *Server) writePieces(w http.ResponseWriter, e wire.Encoding, b *buffers, a wire.Pieces) {
	size := a.Size(e)
	defer s.within(patience(int64(size)), http.NewResponseController(w).SetWriteDeadline)()
	writeHead(w, http.StatusOK, e.ContentType(), size)
	b.answer, _ = a.Write(e, w, b.answer) // an error means that the client has gone
}

// write sends an answer. A client that does not take it is cut off.
func (s *Server) write(w http.ResponseWriter, status int, contentType string, body []byte) {
	defer s.within(patience(int64(len(body))), http.NewResponseController(w).SetWriteDeadline)()
	writeHead(w, status, contentType, len(body))
	// An error means that the client has gone, which concerns nobody else.
	_, _ = w.Write(body)
}

// writeHead sends what comes before a body of so many bytes.
func writeHead(w http.ResponseWriter, status int, contentType string, size int) {
	h := w.Header()
	if contentType != "" {
		h["Content-Type"] = []string{contentType}
	} else {
		h["Content-Type"] = nil // or net/http guesses one
	}
	h["Content-Length"] = []string{strconv.Itoa(size)}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	w.WriteHeader(status)
}

// requestIDs makes the ids of answers.
type requestIDs struct {
	mu     sync.Mutex // guards source
	source *rand.ChaCha8
}

func newRequestIDs() *requestIDs {
	var seed [32]byte
	for i := 0; i < len(seed); i += 8 {
		binary.LittleEndian.PutUint64(seed[i:], entropy.Uint64())
	}
	return &requestIDs{source: rand.NewChaCha8(seed)}
}

// set gives an answer the two ids that AWS gives every answer.
func (r *requestIDs) set(h http.Header) {
	var b [16 + 76]byte
	r.mu.Lock()
	_, _ = r.source.Read(b[:]) // never fails
	r.mu.Unlock()
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // a random UUID
	id := make([]byte, 0, 36)
	for i, part := range [][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:16]} {
		if i > 0 {
			id = append(id, '-')
		}
		id = hex.AppendEncode(id, part)
	}
	ids := []string{string(id), base64.StdEncoding.EncodeToString(b[16:])}
	h["X-Amzn-Requestid"], h["X-Amz-Id-2"] = ids[:1:1], ids[1:]
}

// serveHealth answers the health page.
func (s *Server) serveHealth(w http.ResponseWriter) {
	streams := len(*s.catalog.Load())
	health := struct {
		Status     string  `json:"status"`
		Version    string  `json:"version,omitempty"`
		Durability string  `json:"durability"`
		DataDir    string  `json:"data_dir,omitempty"`
		Account    string  `json:"account_id,omitempty"`
		Region     string  `json:"region,omitempty"`
		Streams    *int    `json:"streams,omitempty"`
		Uptime     float64 `json:"uptime_seconds"`

		// FailedStreams take no records until the server is started anew, because
		// a write or a sync failed, or have shards that refuse to be used because
		// the log is damaged.
		FailedStreams []string     `json:"failed_streams,omitempty"`
		Disk          *spaceHealth `json:"disk,omitempty"`
	}{
		Status: "ok", Version: s.cfg.Version, Durability: s.cfg.Durability.String(),
		Account: s.cfg.AccountID, Region: s.cfg.Region,
		Streams: &streams, Uptime: time.Since(s.started).Seconds(),
		Disk: s.space.health(),
	}
	if s.cfg.Durability != Memory {
		health.DataDir = s.cfg.DataDir
	}
	for _, st := range *s.catalog.Load() {
		if st.log.Err() != nil || st.log.Damaged() || st.view.Load().broken != nil {
			health.Status = "degraded"
			health.FailedStreams = append(health.FailedStreams, st.key.ARN())
		}
	}
	slices.Sort(health.FailedStreams)
	if s.cfg.Auth != AuthOff { // strangers see this page too
		health.Version, health.DataDir, health.Account, health.Region, health.Streams = "", "", "", "", nil
		health.FailedStreams, health.Disk = nil, nil
	}
	if s.closing.Err() != nil {
		health.Status = "closing"
	}
	b, err := json.Marshal(health)
	if err != nil {
		s.writeError(w, wire.AsJSON, err)
		return
	}
	s.write(w, http.StatusOK, contentOld, append(b, '\n'))
}
