package awscbor

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/schemas"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/eventstream"
)

// initialResponse is the type of the first event, which has the output.
const initialResponse = "initial-response"

// errNoSuchCalls is returned by what only calls that send events would need.
var errNoSuchCalls = errors.New("awscbor: no operation of Kinesis takes a stream of events")

// HasInitialEventMessage says that a stream begins with the operation's output.
func (*Protocol) HasInitialEventMessage() bool { return true }

// SerializeEventMessage fails: no operation takes events.
func (*Protocol) SerializeEventMessage(_, _ *smithy.Schema, _ smithy.Serializable, _ io.Writer) error {
	return errNoSuchCalls
}

// SerializeInitialRequest fails: no operation takes events.
func (*Protocol) SerializeInitialRequest(*smithy.Schema, smithy.Serializable, io.Writer) error {
	return errNoSuchCalls
}

// DeserializeInitialResponse reads the beginning of a stream. A stream may also
// begin with an error.
func (p *Protocol) DeserializeInitialResponse(schema *smithy.Schema, r io.Reader, out smithy.Deserializable) error {
	f, err := readFrame(r)
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("the stream of events is empty: %w", io.ErrUnexpectedEOF)
	case err != nil:
		return err
	}
	if f.header(eventstream.MessageTypeHeader) != eventstream.EventMessageType {
		_, err := p.event(schemas.SubscribeToShardEventStream, kinesis.TypeRegistry, f)
		return err
	}
	if kind := f.header(eventstream.EventTypeHeader); kind != initialResponse {
		return fmt.Errorf("the stream of events begins with %q, want %q", kind, initialResponse)
	}
	switch encodingOf(f.payload) {
	case inNothing:
		return nil
	case inJSON:
		p.events.Lock()
		defer p.events.Unlock()
		return p.json.DeserializeInitialResponse(schema, bytes.NewReader(f.raw), out)
	}
	return p.decode(f.payload, out)
}

// DeserializeEventMessage reads an event. The error of a stream that ended is
// io.EOF; one that was cut off within an event is another.
func (p *Protocol) DeserializeEventMessage(schema *smithy.Schema, types *smithy.TypeRegistry, r io.Reader) (smithy.Deserializable, error) {
	f, err := readFrame(r)
	if err != nil {
		return nil, err
	}
	return p.event(schema, types, f)
}

// event reads the message in a frame. Every message has memory of its own, and
// the data of its records are parts of it.
func (p *Protocol) event(schema *smithy.Schema, types *smithy.TypeRegistry, f frame) (smithy.Deserializable, error) {
	switch kind := f.header(eventstream.MessageTypeHeader); kind {
	case eventstream.EventMessageType, eventstream.ExceptionMessageType:
		if encodingOf(f.payload) == inJSON {
			p.events.Lock()
			defer p.events.Unlock()
			return p.json.DeserializeEventMessage(schema, types, bytes.NewReader(f.raw))
		}
		if kind == eventstream.ExceptionMessageType {
			return nil, p.exception(schema, types, f)
		}
	case eventstream.ErrorMessageType:
		code, message := f.header(eventstream.ErrorCodeHeader), f.header(eventstream.ErrorMessageHeader)
		return nil, &smithy.GenericAPIError{Code: cmp.Or(code, unknownError), Message: cmp.Or(message, unknownError)}
	default:
		return nil, fmt.Errorf("an event is a message of type %q, which is unknown", kind)
	}

	name := f.header(eventstream.EventTypeHeader)
	member := schema.Member(name)
	if member == nil { // of a later API
		return &eventstream.UnknownUnionMember{Tag: name, Value: f.raw}, nil
	}
	entry, ok := types.LookupEntry(member.TargetID().String())
	if !ok {
		return &eventstream.UnknownUnionMember{Tag: name, Value: f.raw}, nil
	}
	event, ok := entry.New().(smithy.Deserializable)
	if !ok {
		return nil, fmt.Errorf("an event is of type %q, which cannot be read", name)
	}
	if err := p.decode(f.payload, event); err != nil {
		return nil, fmt.Errorf("read event %s: %w", name, err)
	}
	return event, nil
}

// exception makes the error that ends a stream.
func (p *Protocol) exception(schema *smithy.Schema, types *smithy.TypeRegistry, f frame) error {
	code := f.header(eventstream.ExceptionTypeHeader)
	if member := schema.Member(code); member != nil {
		code = member.TargetID().Name
	}
	_, message, err := errorOf(nil, f.payload)
	if err == nil {
		var failure error
		if failure, err = typedError(types, code, message, f.payload); err == nil {
			return failure
		}
	}
	return fmt.Errorf("read exception %s: %w", code, err)
}
