package awscbor

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/schemas"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/shardrun/shardrun/internal/cborshape"
)

const (
	contentCBOR = "application/x-amz-cbor-1.1"

	headerContentType = "Content-Type"
	headerTarget      = "X-Amz-Target"
	headerErrorType   = "X-Amzn-ErrorType"
)

// Protocol is a [smithyhttp.ClientProtocol] for one client. It may be used by
// many goroutines.
type Protocol struct {
	json  smithyhttp.ClientProtocol // what the client had before
	known handwritten

	calls   lane // what is known about how the service takes CBOR
	streams lane // the same for calls that are answered by events

	requests requestPool
	answers  answerPool

	// events guards the part of json that reads events, which is not made for
	// several streams at once. Nothing is waited for under it.
	events sync.Mutex
}

var _ smithyhttp.ClientProtocol = (*Protocol)(nil)

// Use makes a client talk CBOR. It is an option for kinesis.New and
// kinesis.NewFromConfig; given to a call it would have no effect on the next
// one. The protocol that o has so far is kept for a service that refuses CBOR.
func Use(o *kinesis.Options) {
	newProtocol(o.Protocol).use(o)
}

func (p *Protocol) use(o *kinesis.Options) {
	o.Protocol = p
	o.APIOptions = append(o.APIOptions, p.addTo)
}

// Insist is [Use] for a service that is known to take CBOR: none of its answers
// makes the client go on in JSON.
func Insist(o *kinesis.Options) {
	p := newProtocol(o.Protocol)
	p.calls.speaks.Store(speaksCBOR)
	p.streams.speaks.Store(speaksCBOR)
	p.use(o)
}

func newProtocol(json smithyhttp.ClientProtocol) *Protocol {
	return &Protocol{json: json, known: ourShapes()}
}

// ID names the protocol.
func (p *Protocol) ID() smithy.ShapeID {
	return smithy.ShapeID{Namespace: "aws.protocols", Name: "awsCbor1_1"}
}

// SerializeRequest writes the body of a request and the headers that say what
// it is.
func (p *Protocol) SerializeRequest(ctx context.Context, schema *smithy.OperationSchema, in smithy.Serializable, req *smithyhttp.Request) error {
	c := callOf(ctx)
	if !p.lane(schema).asksCBOR(c) {
		return p.json.SerializeRequest(ctx, schema, in, req)
	}
	c.cbor = true

	req.Method = http.MethodPost
	if req.URL.Path == "" {
		req.URL.Path = "/"
	}
	req.Header.Set(headerContentType, contentCBOR)
	req.Header.Set(headerTarget, schemas.Kinesis_20131202.ID().Name+"."+schema.ID().Name)

	body := p.encode(in)
	c.body = body
	sent, err := req.SetStream(body)
	if err != nil {
		return err
	}
	*req = *sent
	return nil
}

// encode writes an input.
func (p *Protocol) encode(in smithy.Serializable) *requestBody {
	switch in := in.(type) {
	case *kinesis.PutRecordsInput:
		if p.known.putRecords {
			b := p.requests.get(sizePutRecords(in))
			b.data = appendPutRecords(b.data, in)
			return b
		}
	case *kinesis.PutRecordInput:
		if p.known.putRecord {
			b := p.requests.get(sizePutRecord(in))
			b.data = appendPutRecord(b.data, in)
			return b
		}
	}
	e := cborshape.NewWriter(nil, true)
	in.Serialize(e)
	return &requestBody{data: e.Bytes()}
}

// DeserializeResponse reads an answer into out. After an error out is empty.
func (p *Protocol) DeserializeResponse(ctx context.Context, schema *smithy.OperationSchema, registry *smithy.TypeRegistry, resp *smithyhttp.Response, out smithy.Deserializable) error {
	c, l := callOf(ctx), p.lane(schema)
	succeeded := 200 <= resp.StatusCode && resp.StatusCode < 300
	if succeeded && schema.IsOutputEventStream() { // the body is the events
		l.hear(c, answer{stream: true, status: resp.StatusCode})
		return nil
	}
	keep := succeeded && p.keeps(out)
	body, err := p.answers.read(resp, keep)
	if err != nil {
		return &smithy.DeserializationError{Err: err}
	}
	if !keep {
		defer p.answers.put(body)
	}
	a := answer{stream: schema.IsOutputEventStream(), status: resp.StatusCode, encoding: encodingOf(body)}

	if !succeeded {
		err := p.failure(ctx, schema, registry, resp, body, a.encoding)
		a.code = codeOf(err, body)
		if l.hear(c, a) {
			return &refusal{answer: a, err: err}
		}
		return err
	}
	l.hear(c, a)
	if err := p.success(ctx, schema, registry, resp, body, out); err != nil {
		// The same struct is filled by the next attempt.
		reflect.ValueOf(out).Elem().SetZero()
		return err
	}
	return nil
}

// success reads the answer of a call that succeeded.
func (p *Protocol) success(ctx context.Context, schema *smithy.OperationSchema, registry *smithy.TypeRegistry, resp *smithyhttp.Response, body []byte, out smithy.Deserializable) error {
	in := encodingOf(body)
	switch {
	case in == inJSON: // Kinesis has been seen to
		return p.json.DeserializeResponse(ctx, schema, registry, withBody(resp, body), out)
	case isVoid(schema) && (in == inNothing || in == inCBOR):
		return nil
	case in != inCBOR:
		return unreadable(resp, body)
	}
	if err := p.decode(body, out); err != nil {
		return &smithy.DeserializationError{Err: err, Snapshot: start(body)}
	}
	return nil
}

// keeps reports whether what an answer is read into refers to the answer's body.
func (p *Protocol) keeps(out smithy.Deserializable) bool {
	_, page := out.(*kinesis.GetRecordsOutput)
	return page && p.known.getRecords
}

// decode reads an answer.
func (p *Protocol) decode(body []byte, out smithy.Deserializable) (err error) {
	d := newDecoder(body)
	byHand := false
	switch o := out.(type) {
	case *kinesis.PutRecordsOutput:
		if byHand = p.known.putRecordsAnswer; byHand {
			err = d.putRecordsOutput(o)
		}
	case *kinesis.GetRecordsOutput:
		if byHand = p.known.getRecords; byHand {
			err = d.getRecordsOutput(o)
		}
	case *types.SubscribeToShardEvent:
		if byHand = p.known.event; byHand {
			err = d.subscribeToShardEvent(o)
		}
	}
	if !byHand {
		err = out.Deserialize(d)
	}
	if err != nil {
		return err
	}
	return d.r.End()
}

// isVoid reports whether the answers of an operation say nothing.
func isVoid(schema *smithy.OperationSchema) bool {
	return schema.Output == nil || len(schema.Output.Members()) == 0
}

// lane is what is known about calls of an operation.
func (p *Protocol) lane(schema *smithy.OperationSchema) *lane {
	if schema.IsOutputEventStream() {
		if p.calls.speaks.Load() == speaksJSON {
			return &p.calls
		}
		return &p.streams
	}
	return &p.calls
}

// errNoUse is returned for kinds of values that the API does not have.
var errNoUse = errors.New("awscbor: no shape of Kinesis has values of this kind")
