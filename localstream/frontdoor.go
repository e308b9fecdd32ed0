package localstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/shardrun/shardrun/localstream/internal/wire"
)

// The wire names of the API.
const (
	targetPrefix = "Kinesis_20131202."
	contentJSON  = "application/x-amz-json-1.1"
	contentOld   = "application/json"
	healthPath   = "/_shardrun/health"
)

// buffers are the memory of one request, used again for the next.
type buffers struct {
	request wire.Buffers
	answer  wire.JSON
}

// Handler serves the API, and a health page at /_shardrun/health. It refuses
// everything else, and requests that a web page might have made a browser
// send. It ends with the Server.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serveHTTP) }

func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	setRequestID(w.Header())
	switch {
	case !s.hostAllowed(r):
		writeXML(w, http.StatusForbidden, typeAccessDenied, "This name is not one of the server's. Allow it by name, or use localhost.")
	case !s.originAllowed(r):
		writeXML(w, http.StatusForbidden, typeAccessDenied, "Requests from other web sites are refused.")
	case r.Method == http.MethodGet && r.URL.Path == healthPath:
		s.serveHealth(w)
	case r.Method != http.MethodPost:
		writeXML(w, http.StatusForbidden, typeAccessDenied, "Unable to determine service/operation name to be authorized")
	case !s.enter():
		s.writeError(w, unavailable())
	default:
		defer s.requests.Done()
		s.servePost(w, r)
	}
}

// hostAllowed refuses names in the Host header that are not known to be ours:
// a web page could make any name of its own point here (DNS rebinding).
func (s *Server) hostAllowed(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "localhost" || slices.ContainsFunc(s.cfg.AllowHosts, func(name string) bool { return strings.EqualFold(name, host) }) {
		return true
	}
	ip := net.ParseIP(host)
	if ip == nil {
		return false
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ip.IsLoopback() || ok && local.IP.Equal(ip)
}

// originAllowed refuses requests that come from a web page of elsewhere.
func (s *Server) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin != "" {
		return slices.Contains(s.cfg.AllowOrigins, origin)
	}
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "" || site == "same-origin" || site == "none"
}

// servePost answers a request for an operation. The order of the checks is
// that of AWS.
func (s *Server) servePost(w http.ResponseWriter, r *http.Request) {
	name, ours := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
	op := s.operations[name]
	switch contentType(r) {
	case contentJSON:
	case contentOld:
		s.serveOld(w, r)
		return
	default:
		if r.Header.Get("Content-Type") != "" && ours && op != nil {
			writeXML(w, http.StatusNotFound, typeUnknownOperation, "")
			return
		}
		writeXML(w, http.StatusForbidden, typeAccessDenied, "Unable to determine service/operation name to be authorized")
		return
	}
	if !ours {
		s.writeError(w, &apiError{Type: typeUnknownOperation, Status: http.StatusBadRequest})
		return
	}
	b := s.buffers.Get().(*buffers)
	defer s.recycle(b)
	out, err := s.serve(w, r, b, op)
	if errors.Is(err, errDropped) {
		panic(http.ErrAbortHandler) // the way to make net/http cut a connection
	}
	if err != nil {
		s.writeError(w, err)
		return
	}
	s.writeAnswer(w, b, out)
}

// serve reads, checks and runs a request. A nil op is unknown.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, b *buffers, op *operation) (output, error) {
	limit := int64(defaultBodyBytes)
	if op != nil {
		limit = op.maxBody
	}
	if err := readBody(w, r, b, limit); err != nil {
		return output{}, err
	}
	if op == nil {
		if !json.Valid(b.request.Body) {
			return output{}, serializationError(&wire.SerializationError{})
		}
		return output{}, &apiError{Type: typeUnknownOperation, Status: http.StatusBadRequest}
	}
	in := reflect.New(op.input).Interface()
	bad, _ := errors.AsType[*wire.SerializationError](s.decoder.JSON(&b.request, in))
	if bad != nil && bad.Message == "" {
		return output{}, serializationError(bad)
	}
	if err := checkAuth(r); err != nil {
		return output{}, err
	}
	if bad != nil {
		return output{}, serializationError(bad)
	}
	var violations checker
	op.check(&violations, in)
	if err := violations.err(); err != nil {
		return output{}, err
	}
	c := &call{server: s, op: op, scope: s.scopeOf(r)}
	out, err := op.run(r.Context(), c, in)
	if c.loseReply {
		return output{}, errDropped
	}
	return out, err
}

// recycle keeps the memory of a request for the next one.
func (s *Server) recycle(b *buffers) {
	b.answer.Reset()
	s.buffers.Put(b)
}

// bodyRate is how slow a client may send its body, in bytes a second, after
// bodyGrace.
const (
	bodyRate  = 64 << 10
	bodyGrace = 15 * time.Second
)

// readBody reads the body of a request. It allocates what has arrived, not
// what was announced.
func readBody(w http.ResponseWriter, r *http.Request, b *buffers, limit int64) error {
	tooLarge := &apiError{
		Type: "RequestEntityTooLargeException", Status: http.StatusRequestEntityTooLarge,
		Message: fmt.Sprintf("The request is larger than %d bytes.", limit),
	}
	if r.ContentLength > limit {
		return tooLarge
	}
	if owned, ok := r.Body.(*ownedBody); ok { // in process: it is ours already
		b.request.Body = owned.bytes
		return nil
	}
	if r.Header.Get("Content-Encoding") != "" {
		return &apiError{Type: typeSerialization, Status: http.StatusBadRequest}
	}
	patience := bodyGrace + time.Duration(limit/bodyRate)*time.Second
	// A connection without deadlines, such as one of a test, goes without.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(patience))
	body := b.request.Body[:0]
	reader := http.MaxBytesReader(w, r.Body, limit)
	for {
		if len(body) == cap(body) {
			body = slices.Grow(body, max(4096, len(body)))
		}
		n, err := reader.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		b.request.Body = body
		if errors.Is(err, io.EOF) {
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
			return nil
		}
		if _, over := errors.AsType[*http.MaxBytesError](err); over {
			return tooLarge
		}
		if err != nil {
			return &apiError{Type: typeSerialization, Status: http.StatusBadRequest}
		}
	}
}

// contentType is the media type of a request, without parameters.
func contentType(r *http.Request) string {
	t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// serveOld answers application/json, which AWS takes for a protocol that
// Kinesis does not have.
func (s *Server) serveOld(w http.ResponseWriter, r *http.Request) {
	b := s.buffers.Get().(*buffers)
	defer s.recycle(b)
	kind, member := typeUnknownOperation, "message"
	if err := readBody(w, r, b, defaultBodyBytes); err != nil {
		s.writeError(w, err)
		return
	}
	if body := b.request.Body; len(body) > 0 && !json.Valid(body) {
		kind, member = typeSerialization, "Message"
	}
	w.Header().Set("Content-Type", contentOld)
	fmt.Fprintf(w, `{"Output":{"__type":"com.amazon.coral.service#%s","%s":null},"Version":"1.0"}`, kind, member)
}
