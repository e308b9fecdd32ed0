package localstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/shardrun/shardrun/localstream/internal/wire"
)

// The wire names of the API.
const (
	targetPrefix = "Kinesis_20131202."
	contentOld   = "application/json"
)

// HealthPath is the path of the health page, for GET. README.md lists what is
// on it.
const HealthPath = "/_shardrun/health"

// buffers are the memory of one request, used again for the next.
type buffers struct {
	request wire.Buffers
	answer  []byte
	records describer
	puts    putMemory
}

// largeBuffers is when buffers are kept for large requests alone, in bytes:
// others might hold them for long and are not counted as so large.
const largeBuffers = 512 << 10

// takeBuffers gives the memory for a request whose body is announced to have so
// many bytes. Large buffers are counted at once, as what their bodies can have.
func (s *Server) takeBuffers(share *share, announced int64) *buffers {
	if announced > largeBuffers {
		if b, ok := s.large.Get().(*buffers); ok {
			if body := int64(cap(b.request.Body)); body/4 <= announced && share.tryResize(body) {
				share.least = body
				return b
			}
			s.large.Put(b)
		}
	}
	return s.buffers.Get().(*buffers)
}

// putBuffers takes the memory of a request back.
func (s *Server) putBuffers(b *buffers) {
	if b.request.Memory()+cap(b.answer) > largeBuffers {
		s.large.Put(b)
		return
	}
	s.buffers.Put(b)
}

// Handler serves the API, and a health page at [HealthPath]. It refuses
// everything else, and requests that a web page might have made a browser
// send. It ends with the Server. For a server of your own it is a handler like
// any other: bounds of connections and timeouts are that server's, and over TLS
// it has HTTP/2 for clients that ask for it with ALPN alone, which those of the
// AWS SDK for Java and the KCL do not; [Server.Serve] has it for all.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serveHTTP) }

func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	s.ids.set(w.Header())
	limitRest(http.NewResponseController(w), restPatience) // readBody has a limit of its own
	if why := s.refused(r); why != nil {
		s.refuse(w, r, why)
		return
	}
	switch {
	case s.shareWithOrigin(w.Header(), r):
		s.write(w, http.StatusOK, "", nil)
	case r.Method == http.MethodGet && r.URL.Path == HealthPath:
		s.serveHealth(w)
	case r.Method != http.MethodPost:
		s.writeXML(w, noOperation())
	case !s.enter():
		encoding, _ := encodingOf(contentType(r))
		s.writeError(w, encoding, unavailable())
	default:
		defer s.requests.Done()
		peer := peerOf(r.RemoteAddr)
		if !s.peers.take(peer) {
			encoding, _ := encodingOf(contentType(r))
			s.writeError(w, encoding, tooManyRequests())
			return
		}
		defer s.peers.give(peer)
		s.servePost(w, r)
	}
}

// servePost answers a request for an operation. The order of the checks is
// that of AWS.
func (s *Server) servePost(w http.ResponseWriter, r *http.Request) {
	name, ours := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
	var op *operation // nil if it is unknown
	if ours {
		op = s.operations[name]
	}
	content := contentType(r)
	encoding, known := encodingOf(content)
	c := &call{server: s, op: op, encoding: encoding}
	began := s.began()
	switch {
	case known:
		if events := s.answer(w, r, c); events != nil {
			c.err = s.stream(w, r, encoding, events)
		}
	case r.ContentLength == 0:
		e := noBody(op)
		c.err = e
		s.writeError(w, wire.AsCBOR, e)
	case content == contentOld:
		c.err = s.serveOld(w, r)
	case content != "" && op != nil:
		e := &apiError{Type: typeUnknownOperation, Status: http.StatusNotFound}
		c.err = e
		s.writeXML(w, e)
	default:
		e := noOperation()
		c.err = e
		s.writeXML(w, e)
	}
	c.log(w.Header(), began)
	if errors.Is(c.err, errDropped) {
		panic(http.ErrAbortHandler) // the way to make net/http cut a connection
	}
}

// answer serves a request, and answers it, unless the answer is a stream of
// events: that is returned, and nothing of the request is in use any more. One
// that an injected fault drops is not answered.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, c *call) eventSource {
	share := &share{server: s, peer: peerOf(r.RemoteAddr)}
	defer share.free()
	b := s.takeBuffers(share, r.ContentLength)
	defer s.putBuffers(b)
	c.share, c.memory = share, b
	defer c.free()
	out, err := s.serve(w, r, b, c)
	c.err = err
	switch {
	case errors.Is(err, errDropped):
	case err != nil:
		s.writeError(w, c.encoding, err)
	case out.events != nil:
		return out.events
	default:
		s.writeAnswer(w, c.encoding, b, out)
	}
	return nil
}

// free gives back what the answer was made of.
func (c *call) free() {
	c.page.Free()
	c.memory.records.forget()
	c.memory.puts.forget()
	c.memory.request.Forget()
}

// noBody is the error of a request that has nothing in it.
func noBody(op *operation) *apiError {
	if op == nil {
		return &apiError{Type: typeUnknownOperation, Status: http.StatusBadRequest}
	}
	return serializationError(&wire.SerializationError{})
}

// serve reads, checks and runs a request. A nil operation is unknown.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, b *buffers, c *call) (output, error) {
	op := c.op
	limit := bodyLimit{bytes: defaultBodyBytes}
	if op != nil {
		limit.bytes = op.maxBody
	}
	// AWS looks at the signature after the body, and so do we, unless the body
	// is a large one.
	who, unsigned := s.identify(r)
	c.scope = who.scope
	if e, ok := errors.AsType[*apiError](unsigned); ok && limit.bytes > unsignedBodyBytes && r.ContentLength <= limit.bytes {
		limit = bodyLimit{unsignedBodyBytes, e}
	}
	if err := s.readBody(w, r, b, c.share, limit); err != nil {
		return output{}, err
	}
	if s.cfg.Auth == AuthSigV4 { // then nothing is decoded for strangers
		if unsigned != nil {
			return output{}, unsigned
		}
		if err := who.prove(b.request.Body); err != nil {
			return output{}, err
		}
	}
	if op == nil { // nothing needs what is in the body
		if len(b.request.Body) > 0 && !c.encoding.Valid(b.request.Body) {
			return output{}, serializationError(&wire.SerializationError{})
		}
		return output{}, noBody(op)
	}
	in := reflect.New(op.input).Interface()
	bad, _ := errors.AsType[*wire.SerializationError](s.decoder.Decode(c.encoding, &b.request, in))
	if bad != nil && bad.Message == "" {
		return output{}, serializationError(bad)
	}
	if unsigned != nil {
		return output{}, unsigned
	}
	if bad != nil {
		return output{}, serializationError(bad)
	}
	var violations checker
	op.check(&violations, in)
	if err := violations.err(); err != nil {
		return output{}, err
	}
	if err := s.authorize(who, op, in); err != nil {
		return output{}, err
	}
	out, err := op.run(r.Context(), c, in)
	if c.loseReply {
		if err == nil && out.events != nil {
			out.events.forgo()
		}
		return output{}, errDropped
	}
	return out, err
}

// encodingOf is the encoding of a content type. One that is unknown is answered
// in JSON, if at all.
func encodingOf(content string) (e wire.Encoding, known bool) {
	for _, e := range []wire.Encoding{wire.AsJSON, wire.AsCBOR} {
		if e.ContentType() == content {
			return e, true
		}
	}
	return wire.AsJSON, false
}

// contentType is the media type of a request, without parameters.
func contentType(r *http.Request) string {
	t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// serveOld answers application/json, which AWS takes for a protocol that
// Kinesis does not have, and gives the error that it answers with.
func (s *Server) serveOld(w http.ResponseWriter, r *http.Request) error {
	share := &share{server: s, peer: peerOf(r.RemoteAddr)}
	defer share.free()
	b := s.takeBuffers(share, r.ContentLength)
	defer s.putBuffers(b)
	kind, member := typeUnknownOperation, "message"
	if err := s.readBody(w, r, b, share, bodyLimit{bytes: defaultBodyBytes}); err != nil {
		s.writeError(w, wire.AsJSON, err)
		return err
	}
	if body := b.request.Body; len(body) > 0 && !json.Valid(body) {
		kind, member = typeSerialization, "Message"
	}
	s.write(w, http.StatusOK, contentOld, fmt.Appendf(nil, `{"Output":{"__type":"com.amazon.coral.service#%s","%s":null},"Version":"1.0"}`, kind, member))
	return &apiError{Type: kind, Status: http.StatusOK}
}
