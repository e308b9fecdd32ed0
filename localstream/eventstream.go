package localstream

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/shardrun/shardrun/localstream/internal/wire"
)

// eventSource is what an operation answers with that goes on answering.
type eventSource interface {
	// send sends events until there are no more, or until ctx ends, which is the
	// end of the stream too. One that does not end well has an error: if it is of
	// the API, it is told to the client.
	send(ctx context.Context, to *eventStream) error
	// forgo ends one that is not going to send, in place of send.
	forgo()
}

// eventStream is the way of events to one client. One goroutine uses it.
type eventStream struct {
	server   *Server
	w        http.ResponseWriter
	conn     *http.ResponseController
	encoding wire.Encoding // of the request, and of the events
	patience time.Duration // how long the client may take to read an event
}

// subscriberPatience is how long a client on the network may take to read an
// event. It is longer than for an answer, because a client that is busy with one
// event lets the next one wait, and AWS does not mind; but what it does not read
// takes room from others. Sockets hold some events on top of that. A client in
// this process has none, and is not a stranger: its patience is a subscription's
// life.
const subscriberPatience = time.Minute

// stream answers with the events of a source. Its error is what the client was
// told, or errDropped, after which the connection has to be cut.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, encoding wire.Encoding, source eventSource) error {
	h := w.Header()
	h["Content-Type"] = []string{wire.ContentEventStream}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	w.WriteHeader(http.StatusOK)
	to := &eventStream{server: s, w: w, conn: http.NewResponseController(w), encoding: encoding, patience: subscriberPatience}
	if _, inProcess := w.(*reply); inProcess {
		to.patience = subscriptionLife
	}
	err := to.event("initial-response", wire.Empty{})
	if err != nil {
		source.forgo()
	} else {
		ctx, stop := s.untilClosing(r.Context())
		defer stop()
		err = source.send(ctx, to)
	}
	if e, ok := errors.AsType[*apiError](err); ok {
		_ = to.exception(e) // the last frame: if the client has gone, so be it
		return e
	}
	if errors.Is(err, errDropped) {
		return err
	}
	return nil // the client has gone, which concerns nobody else
}

// servingKey is the key under which [Server.Serve] puts a context into those of
// its requests that ends when its connections are to end.
type servingKey struct{}

// untilClosing gives a context that also ends when the server closes or the
// connection is about to be closed. The caller has to call stop.
func (s *Server) untilClosing(ctx context.Context) (until context.Context, stop func()) {
	until, cancel := context.WithCancel(ctx)
	stops := []func() bool{context.AfterFunc(s.closing, cancel)}
	if serving, ok := ctx.Value(servingKey{}).(context.Context); ok {
		stops = append(stops, context.AfterFunc(serving, cancel))
	}
	return until, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}

// event sends an event of a kind.
func (e *eventStream) event(kind string, a wire.Answer) error {
	b := e.server.buffers.Get().(*buffers)
	defer e.server.putBuffers(b)
	b.answer = wire.BeginEvent(b.answer[:0], kind, e.encoding.EventContentType())
	b.answer = wire.EndFrame(e.encoding.Append(b.answer, a), 0)
	return e.write(b.answer)
}

// pause lets some time pass in which nothing is sent. The deadline of the last
// event would end the stream, in some kinds of connections.
func (e *eventStream) pause(d time.Duration) {
	_ = e.conn.SetWriteDeadline(time.Now().Add(d + e.patience)) // an error is a connection without deadlines
}

// exception sends an error of the API.
func (e *eventStream) exception(err *apiError) error {
	kind := err.Type
	if kind == typeInternal {
		kind = "InternalFailureException" // its name in streams
	}
	b := wire.BeginException(nil, kind, e.encoding.EventContentType())
	return e.write(wire.EndFrame(e.encoding.Append(b, wire.Message(err.Message)), 0))
}

// write sends a frame. A client that does not take it is cut off.
func (e *eventStream) write(frame []byte) error {
	defer e.server.within(e.patience, e.conn.SetWriteDeadline)()
	if _, err := e.w.Write(frame); err != nil {
		return err
	}
	return e.conn.Flush()
}
