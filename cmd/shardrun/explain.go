package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/shardrun/shardrun/internal/awserr"
	"github.com/shardrun/shardrun/internal/rediskeys"
	"github.com/shardrun/shardrun/lease"
)

// explain adds what helps to an error that a person meets often, and takes out
// what the SDK says about its own workings.
func explain(err error) error {
	if redis, ok := errors.AsType[*redisError](err); ok {
		return redis
	}
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	}
	if _, away := errors.AsType[*rediskeys.UnreachableError](err); away {
		return fmt.Errorf("%w (is Redis running, and is --redis right?)", err)
	}
	text := plainError(err)
	if helps := hint(err); helps != "" {
		text = fmt.Sprintf("%s (%s)", text, helps)
	}
	return errors.New(text)
}

// hint is what a person may do about an error, "" when that is not known.
func hint(err error) string {
	if missing := awserr.Missing(err); missing != "" {
		return missing + "; a server on this machine needs none, but --endpoint"
	}
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); ok {
		return "shardrun streams lists what there is at this endpoint, in this region and account"
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "UnrecognizedClientException" {
		return "this server wants keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to one that it knows, as of the --keys-file of shardrun serve"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "for shardrun serve --tls set AWS_CA_BUNDLE to the file of its --ca-out"
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return "this server does not speak TLS: use http://"
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return "nothing answers at that address: is the server running (shardrun serve), and is the endpoint right?"
	}
	if errors.Is(err, lease.ErrSyncing) || errors.Is(err, lease.ErrStateLost) {
		return "workers that run restore it within one lease time: try again then"
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Sprintf("no such host %q: is the endpoint or the region right?", dns.Name)
	}
	if asksTLS(err) {
		return "does this server speak TLS? Then use https://"
	}
	return ""
}

// asksTLS reports whether a request without TLS met what may be a server with
// TLS: it refused with words that are no Kinesis, or cut the connection.
func asksTLS(err error) bool {
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() != "UnknownError" {
		return false
	}
	cut := errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if sent, ok := errors.AsType[*url.Error](err); ok {
		return strings.HasPrefix(sent.URL, "http://") && (cut || strings.Contains(sent.Error(), "malformed HTTP response"))
	}
	answer, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok || answer.HTTPStatusCode() != http.StatusBadRequest || answer.Response == nil || answer.Response.Response == nil {
		return false
	}
	request := answer.Response.Request
	return request != nil && request.URL.Scheme == "http"
}

// plainError is the text of an error in which each failed call of the SDK is
// its error type and message, or what the network said.
func plainError(err error) string {
	text := err.Error()
	for _, op := range failedCalls(err) {
		text = strings.ReplaceAll(text, op.Error(), plainCall(op))
	}
	return text
}

// plainCall is what went wrong in a call.
func plainCall(op *smithy.OperationError) string {
	if api, ok := errors.AsType[smithy.APIError](op); ok && awserr.Code(op) != "" { // of Kinesis, not of who gives credentials
		return api.ErrorCode() + ": " + api.ErrorMessage()
	}
	if sent, ok := errors.AsType[*url.Error](op); ok {
		return sent.Error()
	}
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](op); ok && answer.Err != nil {
		return fmt.Sprintf("HTTP status %d: %v", answer.HTTPStatusCode(), answer.Err)
	}
	return op.Err.Error()
}

// failedCalls are the failed calls anywhere in an error, the outer before the
// inner ones.
func failedCalls(err error) (ops []*smithy.OperationError) {
	if op, ok := err.(*smithy.OperationError); ok { //nolint:errorlint // each level is looked at
		ops = append(ops, op)
	}
	switch e := err.(type) { //nolint:errorlint // as above
	case interface{ Unwrap() error }:
		if below := e.Unwrap(); below != nil {
			ops = append(ops, failedCalls(below)...)
		}
	case interface{ Unwrap() []error }:
		for _, below := range e.Unwrap() {
			ops = append(ops, failedCalls(below)...)
		}
	}
	return ops
}
