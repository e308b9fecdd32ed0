package localstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/internal/awscbor"
)

// Client gives a client of the server that needs no socket: it calls the
// handler in this process, so it works inside a testing/synctest bubble. It is
// a *kinesis.Client like any other; endpoints, signing, retries and errors are
// those of the SDK. Each call makes another one, of the server's account and
// region; options change them, and come after what is set here.
//
// It talks CBOR, like that of shardrun.NewClient: that is faster than the SDK's
// own JSON, and a subscription that is cut off ends in an error, where the
// SDK's JSON takes it for a good end. The records of a page share memory. An
// option may set [kinesis.Options].Protocol to another one, and a client of
// [Server.HTTPClient] has that of the SDK.
func (s *Server) Client(options ...func(*kinesis.Options)) *kinesis.Client {
	return s.plainClient(append([]func(*kinesis.Options){awscbor.Insist}, options...)...)
}

// plainClient is Client in the protocol of the SDK.
func (s *Server) plainClient(options ...func(*kinesis.Options)) *kinesis.Client {
	return kinesis.New(kinesis.Options{
		Region:       s.cfg.Region,
		BaseEndpoint: aws.String("http://localhost"),
		Credentials:  credentials.NewStaticCredentialsProvider(s.cfg.AccountID, "local", ""),
		HTTPClient:   s.HTTPClient(),
		// Nothing that fails here heals by itself in the time that a limit on
		// retries is meant for.
		DisableClockSkewCorrection: true,
	}, options...)
}

// HTTPClient gives the transport of [Server.Client], for a client with options
// of its own: each request is handled in this process.
func (s *Server) HTTPClient() kinesis.HTTPClient { return inProcess{s, s.Handler()} }

// inProcess is an HTTP client that calls the handler of a server.
type inProcess struct {
	server  *Server
	handler http.Handler
}

// ownedBody is a request body that the handler may keep for the request.
type ownedBody struct {
	bytes []byte
	read  int
}

func (b *ownedBody) Read(p []byte) (int, error) {
	if b.read == len(b.bytes) {
		return 0, io.EOF
	}
	n := copy(p, b.bytes[b.read:])
	b.read += n
	return n, nil
}

func (b *ownedBody) Close() error { return nil }

// Do handles a request. Like the client of net/http it gives up when the
// context of the request ends, and the handler sees the same context.
func (t inProcess) Do(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	body, err := takeBody(req)
	if err != nil {
		return nil, fmt.Errorf("read request body: %w", err)
	}
	if !t.server.enter() {
		return nil, errors.New("localstream is closed")
	}
	ctx, cancel := context.WithCancel(req.Context())
	r := req.WithContext(ctx)
	r.Body, r.ContentLength = body, int64(len(body.bytes))
	r.RemoteAddr = "in-process"
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	w := &reply{header: http.Header{}, ready: make(chan struct{}), cancel: cancel, request: req}
	go func() {
		defer t.server.requests.Done()
		defer w.finish()
		t.handler.ServeHTTP(w, r)
	}()
	select {
	case <-w.ready:
		return w.response()
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}

// takeBody reads the body of a request to its end, so that nothing of it is in
// use after Do has returned.
func takeBody(req *http.Request) (*ownedBody, error) {
	if req.Body == nil {
		return &ownedBody{}, nil
	}
	defer req.Body.Close()
	var buf bytes.Buffer
	if req.ContentLength > 0 {
		buf.Grow(int(min(req.ContentLength, recordsBodyBytes)) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(req.Body)
	return &ownedBody{bytes: buf.Bytes()}, err
}

// reply is the http.ResponseWriter of a request in process. An answer is given
// to the client when the handler ends, or at the first Flush; what is written
// after that is streamed.
type reply struct {
	request *http.Request
	cancel  context.CancelFunc
	header  http.Header // the handler's
	sent    http.Header // the client's
	status  int
	body    bytes.Buffer
	stream  *io.PipeWriter // after the first Flush
	source  *io.PipeReader
	cut     *time.Timer   // breaks the stream at the deadline of a write; nil before the first
	stay    func() bool   // the stream does not break any more when the context of the request ends
	err     error         // the handler cut the connection
	once    sync.Once     // closes ready
	ready   chan struct{} // closed when the fields above are for the client to read
}

func (w *reply) Header() http.Header { return w.header }

func (w *reply) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		if size, err := strconv.Atoi(w.header.Get("Content-Length")); err == nil {
			w.body.Grow(size)
		}
	}
}

func (w *reply) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.stream != nil {
		return w.stream.Write(p)
	}
	return w.body.Write(p)
}

// Flush gives the client what was written so far; the rest will be streamed. As
// with the client of net/http, the stream breaks when the context of the request
// ends: whoever gave up by it need not close the stream, and has none if Do saw
// the end of the context first.
func (w *reply) Flush() {
	if w.stream == nil {
		w.WriteHeader(http.StatusOK)
		w.source, w.stream = io.Pipe()
		ctx := w.request.Context()
		w.stay = context.AfterFunc(ctx, func() { w.stream.CloseWithError(ctx.Err()) })
		w.sent = w.header.Clone() // the handler goes on with its own
		w.once.Do(func() { close(w.ready) })
	}
}

// SetWriteDeadline breaks a stream that has not ended by then, whether anything
// is being written or not. Before the first Flush nobody has to be waited for,
// and so there is no deadline. The zero time is none.
func (w *reply) SetWriteDeadline(at time.Time) error {
	switch {
	case w.stream == nil:
		return http.ErrNotSupported
	case at.IsZero():
		if w.cut != nil {
			w.cut.Stop()
		}
	case w.cut == nil:
		w.cut = time.AfterFunc(time.Until(at), func() { w.stream.CloseWithError(io.ErrUnexpectedEOF) })
	default:
		w.cut.Reset(time.Until(at))
	}
	return nil
}

// finish ends the answer. It is deferred, and recovers the panic by which a
// handler cuts the connection.
func (w *reply) finish() {
	if p := recover(); p != nil {
		if err, ok := p.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
			panic(p)
		}
		w.err = io.ErrUnexpectedEOF
	}
	if w.stream != nil {
		w.stay()
		if w.cut != nil {
			w.cut.Stop()
		}
		if w.err == nil {
			w.err = w.request.Context().Err() // as the client of net/http has it
		}
		w.stream.CloseWithError(w.err) // EOF, if it is nil
	}
	if w.stream == nil {
		w.WriteHeader(http.StatusOK)
		w.sent = w.header
		w.cancel()
	}
	w.once.Do(func() { close(w.ready) })
}

// response is what the client gets. It is called once w.ready is closed.
func (w *reply) response() (*http.Response, error) {
	resp := &http.Response{
		Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)), StatusCode: w.status, Header: w.sent, Request: w.request,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(w.body.Len()),
	}
	if w.source == nil {
		if w.err != nil {
			return nil, w.err
		}
		resp.Body = io.NopCloser(bytes.NewReader(w.body.Bytes()))
		return resp, nil
	}
	resp.ContentLength = -1
	resp.Body = streamBody{io.MultiReader(bytes.NewReader(w.body.Bytes()), w.source), w}
	return resp, nil
}

// streamBody is the body of an answer that the handler is still writing.
type streamBody struct {
	io.Reader
	reply *reply
}

// Close tells the handler that nobody reads on.
func (b streamBody) Close() error {
	b.reply.cancel()
	return b.reply.source.Close()
}
