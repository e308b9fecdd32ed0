package awscbor

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
)

// call is what the parts of the protocol tell each other about one call of the
// client, with all of its attempts. One goroutine at a time has it.
type call struct {
	json       bool         // it is to be made in JSON, to see whether that helps
	cbor       bool         // it was made in CBOR
	understood bool         // the service took JSON
	body       *requestBody // of the request
}

type callKey struct{}

// callOf finds the call that ctx belongs to. A client that has the protocol and
// not its middleware has none; then nothing is remembered of it.
func callOf(ctx context.Context) *call {
	if c, ok := middleware.GetStackValue(ctx, callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// addTo puts the protocol's middleware around what is done for a call, from
// its serialization to the last of its attempts.
func (p *Protocol) addTo(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("ShardrunCBOR", p.handle), middleware.After)
}

// handle makes a call, and makes it again in JSON if the service refuses CBOR.
func (p *Protocol) handle(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	out, md, err := attempt(ctx, &call{}, in, next)
	no, ok := errors.AsType[*refusal](err)
	if !ok {
		return out, md, err
	}
	c := &call{json: true}
	out, md, err = attempt(ctx, c, in, next)
	if l := &p.calls; c.understood {
		if no.answer.stream {
			l = &p.streams
		}
		if l.goOnInJSON() {
			middleware.GetLogger(ctx).Logf(logging.Warn,
				"kinesis: the service refuses CBOR (%s): from now on this client asks in JSON, which is slower", no)
		}
	}
	return out, md, err
}

func attempt(ctx context.Context, c *call, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	defer func() { c.body.release() }()
	return next.HandleInitialize(middleware.WithStackValue(ctx, callKey{}, c), in)
}

// refusal is the error of a call that the service seems to refuse because it is
// in CBOR. It does not leave the package.
type refusal struct {
	answer answer
	err    error
}

// Error says how the service refused.
func (r *refusal) Error() string {
	s := fmt.Sprintf("%d %s", r.answer.status, http.StatusText(r.answer.status))
	if r.answer.code != "" {
		s += ", " + r.answer.code
	}
	if r.answer.stream {
		s += ", of SubscribeToShard"
	}
	return s
}

// Unwrap gives the error as it would have been, which retries look at.
func (r *refusal) Unwrap() error { return r.err }
