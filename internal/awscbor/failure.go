package awscbor

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/shardrun/shardrun/internal/cbor"
)

// unknownError is the code and text of an error that has none, as in the SDK.
const unknownError = "UnknownError"

// failure makes the error of an answer whose status is one.
func (p *Protocol) failure(ctx context.Context, schema *smithy.OperationSchema, types *smithy.TypeRegistry, resp *smithyhttp.Response, body []byte, in encoding) error {
	switch {
	case in == inCBOR, in == inNothing:
		code, message, err := errorOf(resp.Header, body)
		if err == nil {
			var failure error
			if failure, err = typedError(types, bareCode(code), message, body); err == nil {
				return failure
			}
		}
		return &smithy.DeserializationError{Err: fmt.Errorf("status %d: %w", resp.StatusCode, err), Snapshot: start(body)}
	case in == inJSON && namesError(resp.Header, body):
		return p.json.DeserializeResponse(ctx, schema, types, withBody(resp, body), nil)
	}
	return unreadable(resp, body)
}

// errorOf finds the code and the text of an error.
func errorOf(header http.Header, body []byte) (code, message string, err error) {
	if len(body) > 0 {
		d := newDecoder(body)
		err = d.members(func(name []byte) error {
			to := &code
			switch string(name) {
			case "__type":
			case "message", "Message":
				to = &message
			default:
				return d.r.Skip()
			}
			if d.r.Kind() != cbor.Text {
				return d.r.Skip()
			}
			text, err := d.r.Text()
			*to = string(text)
			return err
		})
		if err == nil {
			err = d.r.End()
		}
	}
	if named := header.Get(headerErrorType); named != "" {
		code = named
	}
	return bareCode(code), message, err
}

// bareCode is a code without the namespace in front and the address behind it
// that services put there.
func bareCode(code string) string {
	code, _, _ = strings.Cut(code, ":")
	if _, bare, ok := strings.Cut(code, "#"); ok {
		return bare
	}
	return code
}

// typedError gives the error the SDK's own type, if that has one for it.
func typedError(types *smithy.TypeRegistry, code, message string, body []byte) (failure, err error) {
	typed, ok := types.DeserializableError(code)
	switch {
	case !ok:
		return &smithy.GenericAPIError{Code: cmp.Or(code, unknownError), Message: cmp.Or(message, unknownError)}, nil
	case len(body) == 0:
		return typed, nil
	}
	return typed, typed.Deserialize(newDecoder(body))
}

// namesError reports whether a body in JSON is an error of the API.
func namesError(header http.Header, body []byte) bool {
	var e struct {
		Type *string `json:"__type"`
		Code *string `json:"code"`
	}
	if json.Unmarshal(body, &e) != nil {
		return false
	}
	return e.Type != nil || e.Code != nil || header.Get(headerErrorType) != ""
}

// codeOf is the code of an error that an answer was read as, or that can be seen
// in the body of one that could not be read.
func codeOf(err error, body []byte) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	for _, code := range []string{"UnknownOperationException", "SerializationException"} {
		if bytes.Contains(start(body), []byte("<"+code)) {
			return code
		}
	}
	return ""
}
