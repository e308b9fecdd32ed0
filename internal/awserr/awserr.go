// Package awserr sorts the errors of AWS calls by what the caller should do.
package awserr

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Class is what to do about an error.
type Class uint8

const (
	// Retry: may pass by itself. The same call may be made again after a pause.
	Retry Class = iota
	// Throttle: a rate limit. As Retry, and slower from now on.
	Throttle
	// ExpiredIterator: the shard iterator is too old or unknown; get a new one.
	ExpiredIterator
	// Gone: the stream, shard or consumer does not exist (any more, or yet).
	Gone
	// Fatal: the same call will never succeed: refused credentials, invalid
	// arguments, an operation that the endpoint does not know.
	Fatal
	// Canceled: the caller's context was cancelled.
	Canceled
)

// String is the class in lower case.
func (c Class) String() string {
	switch c {
	case Throttle:
		return "throttle"
	case ExpiredIterator:
		return "expired iterator"
	case Gone:
		return "gone"
	case Fatal:
		return "fatal"
	case Canceled:
		return "canceled"
	default:
		return "retry"
	}
}

// Classify gives the class of an error that a call through the AWS SDK
// returned. What is not known is Retry: giving up needs a reason. The result
// for nil has no meaning.
func Classify(err error) Class {
	// A time limit of one call reads like a slow network; whether the caller's
	// own context has ended is the caller's to look at first.
	if errors.Is(err, context.Canceled) {
		return Canceled
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return Retry
	}
	switch stageOf(err) {
	case unaddressed:
		return Fatal
	case unsigned:
		return Retry // whatever the source of credentials said: it said it of them
	}
	if isSkew(err) {
		return Retry
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		if class, known := byCode(api.ErrorCode()); known {
			return class
		}
	}
	// An error body that could not be read, or a code that is new to us, still
	// came with an HTTP status.
	if resp, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return byStatus(resp.HTTPStatusCode())
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		if api.ErrorFault() == smithy.FaultClient {
			return Fatal // the service blames the request
		}
		return Retry
	}
	if isUnsendable(err) {
		return Fatal
	}
	// What is left is the network: refused, reset, no such host, a body cut
	// short, "use of closed network connection". All of it may pass.
	return Retry
}

func byCode(code string) (class Class, known bool) {
	switch code {
	case "ProvisionedThroughputExceededException", // a shard's or stream's rate
		"LimitExceededException", // a control operation's rate, or a quota
		"KMSThrottlingException", // the key's rate, behind the stream's
		"Throttling", "ThrottlingException", "ThrottledException",
		"RequestThrottled", "RequestThrottledException", "TooManyRequestsException",
		"RequestLimitExceeded", "BandwidthLimitExceeded", "SlowDown",
		"PriorRequestNotComplete": // the names that AWS gives account-wide rates
		return Throttle, true

	case "ExpiredIteratorException": // older than five minutes
		return ExpiredIterator, true

	case "ResourceNotFoundException": // no such stream, shard or consumer
		return Gone, true

	case "InternalFailure", "InternalFailureException", "InternalServerError",
		"InternalServiceException", "ServiceUnavailable", "ServiceUnavailableException",
		"RequestTimeout", "RequestTimeoutException": // the service had a bad moment
		return Retry, true
	case "ResourceInUseException": // being created or updated; a subscription not yet free
		return Retry, true
	case "ExpiredToken", "ExpiredTokenException", "RequestExpired": // the SDK fetches new credentials
		return Retry, true
	case "RequestTimeTooSkewed", "RequestInTheFuture": // the SDK learns the clock's offset from the answer
		return Retry, true

	case "AccessDenied", "AccessDeniedException", "NotAuthorized", "OptInRequired",
		"UnrecognizedClientException", "InvalidClientTokenId",
		"InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature",
		"IncompleteSignatureException", "MissingAuthenticationToken",
		"MissingAuthenticationTokenException": // credentials refused
		return Fatal, true
	case "ValidationException", "InvalidArgumentException", "SerializationException",
		"InvalidParameterValue", "MissingParameter": // the request is wrong
		return Fatal, true
	case "UnknownOperationException", "InvalidAction": // not an endpoint of this service
		return Fatal, true
	case "KMSAccessDeniedException", "KMSDisabledException", "KMSInvalidStateException",
		"KMSNotFoundException", "KMSOptInRequired": // somebody must mend the stream's key
		return Fatal, true
	}
	return 0, false
}

// ClassifyCode gives the class of an error code that came without an error, as
// for one entry of PutRecords. An unknown code is Retry.
func ClassifyCode(code string) Class {
	class, _ := byCode(code)
	return class
}

// Invalid reports whether the service refused the request for what it contains,
// rather than for who sent it.
func Invalid(err error) bool {
	switch Code(err) {
	case "ValidationException", "InvalidArgumentException", "SerializationException",
		"InvalidParameterValue", "MissingParameter":
		return true
	}
	resp, ok := errors.AsType[*smithyhttp.ResponseError](err)
	return ok && resp.HTTPStatusCode() == http.StatusRequestEntityTooLarge
}

func byStatus(status int) Class {
	switch {
	case status == http.StatusTooManyRequests:
		return Throttle
	case status == http.StatusRequestTimeout:
		return Retry // the request came too slowly over the network
	case status >= 400 && status < 500:
		return Fatal // the service, or a proxy before it, blames the request
	default:
		return Retry // 5xx, or a success whose body could not be read
	}
}

// stage is how far a call got.
type stage uint8

const (
	made        stage = iota // as far as a request at least
	unaddressed              // the client's settings give no endpoint
	unsigned                 // there are no credentials (yet): the request was never sent
)

// stageOf reads it from how the SDK begins its errors, because it gives those of
// these stages no types.
func stageOf(err error) stage {
	op, ok := errors.AsType[*smithy.OperationError](err)
	if !ok || op.Err == nil {
		return made
	}
	text := op.Err.Error()
	for _, words := range []string{"failed to resolve service endpoint", "failed to bind endpoint params", "resolve auth scheme"} {
		if strings.HasPrefix(text, words) {
			return unaddressed // no region, or settings that exclude one another
		}
	}
	if strings.HasPrefix(text, "get identity") {
		return unsigned
	}
	return made
}

// Missing says which settings a call failed for the want of, and where they may
// come from; "" if for none.
func Missing(err error) string {
	switch stageOf(err) {
	case unsigned:
		return "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the container a role"
	case unaddressed:
		if strings.Contains(err.Error(), "Missing Region") {
			return noRegion
		}
	}
	if _, ok := errors.AsType[*aws.MissingRegionError](err); ok {
		return noRegion
	}
	return ""
}

const noRegion = "no AWS region: set AWS_REGION, or the region of the client's configuration"

// Named puts what is Missing before an error; others, and nil, it returns as
// they are.
func Named(err error) error {
	if what := Missing(err); what != "" {
		return fmt.Errorf("%s: %w", what, err)
	}
	return err
}

// isSkew reports whether the SDK found that a signature was refused because the
// clocks differ. It has then learned by how much and signs the next call right.
func isSkew(err error) bool {
	skew, ok := errors.AsType[interface {
		error
		RetryableError() bool
	}](err)
	if !ok || !skew.RetryableError() {
		return false
	}
	class, known := byCode(Code(err))
	return Code(err) != "" && (!known || class == Fatal)
}

// isUnsendable reports whether the request could not even be made, for a reason
// that lies in the request or the client's settings.
func isUnsendable(err error) bool {
	if stageOf(err) == unaddressed {
		return true
	}
	if _, ok := errors.AsType[*smithy.SerializationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[smithy.InvalidParamsError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*smithy.InvalidParamsError](err); ok {
		return true
	}
	_, ok := errors.AsType[*aws.MissingRegionError](err)
	return ok
}

// Code is the error code that the service gave, "" if none arrived. A code of
// the service that was asked for credentials is not meant.
func Code(err error) string {
	if stageOf(err) == unsigned {
		return ""
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// Unreached reports whether the call found nobody at the endpoint: no address
// of its name, or no connection.
func Unreached(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial" && stageOf(err) == made
}

// Refused reports whether the call certainly had no effect: the service said
// no, or was never reached. After any other error of a write, the write may
// have happened.
func Refused(err error) bool {
	if stageOf(err) == unsigned || isUnsendable(err) || Unreached(err) {
		return true
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		switch class, known := byCode(api.ErrorCode()); {
		case known && class != Retry:
			return true
		case api.ErrorFault() == smithy.FaultClient:
			return true
		}
	}
	if resp, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		status := resp.HTTPStatusCode()
		return status >= 400 && status < 500 && status != http.StatusRequestTimeout
	}
	return false
}
