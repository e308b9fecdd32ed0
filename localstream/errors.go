package localstream

import (
	"fmt"
	"net/http"
)

// apiError is an error of the Kinesis API: what goes over the wire in place of
// an answer.
type apiError struct {
	Type    string // "ResourceNotFoundException"
	Message string // may be empty, then the answer has no message
	Status  int    // of HTTP
}

func (e *apiError) Error() string {
	if e.Message == "" {
		return e.Type
	}
	return e.Type + ": " + e.Message
}

// The error types of the API, by their names on the wire.
const (
	typeAccessDenied     = "AccessDeniedException"
	typeDryRun           = "DryRunOperationException"
	typeExpiredIterator  = "ExpiredIteratorException"
	typeExpiredToken     = "ExpiredNextTokenException"
	typeInternal         = "InternalFailure"
	typeInvalidArgument  = "InvalidArgumentException"
	typeLimitExceeded    = "LimitExceededException"
	typeNotFound         = "ResourceNotFoundException"
	typeInUse            = "ResourceInUseException"
	typeSerialization    = "SerializationException"
	typeThroughput       = "ProvisionedThroughputExceededException"
	typeUnavailable      = "ServiceUnavailableException"
	typeUnknownOperation = "UnknownOperationException"
	typeValidation       = "ValidationException"
)

func clientError(kind, format string, args ...any) *apiError {
	return &apiError{Type: kind, Message: fmt.Sprintf(format, args...), Status: http.StatusBadRequest}
}

func invalidArgument(format string, args ...any) *apiError {
	return clientError(typeInvalidArgument, format, args...)
}

func invalid(format string, args ...any) *apiError {
	return clientError(typeValidation, format, args...)
}

func notFound(format string, args ...any) *apiError {
	return clientError(typeNotFound, format, args...)
}

func inUse(format string, args ...any) *apiError { return clientError(typeInUse, format, args...) }

func limitExceeded(format string, args ...any) *apiError {
	return clientError(typeLimitExceeded, format, args...)
}

func throttled(format string, args ...any) *apiError {
	return clientError(typeThroughput, format, args...)
}

// noOperation is the answer to a request that does not say what it wants.
func noOperation() *apiError {
	return &apiError{Type: typeAccessDenied, Message: "Unable to determine service/operation name to be authorized", Status: http.StatusForbidden}
}

// dryRun is the answer to a request that asked for a dry run and passed every
// check.
func dryRun() *apiError {
	return clientError(typeDryRun, "The request would have succeeded, but the DryRun parameter is set.")
}

// internalFailure is a fault of the server, such as a failed disk. AWS gives
// no message; ours helps whoever runs the server, who is the client as well.
func internalFailure(err error) *apiError {
	return &apiError{Type: typeInternal, Message: err.Error(), Status: http.StatusInternalServerError}
}

// tooManyRequests is the answer to a peer that has as many requests running as
// one may have.
func tooManyRequests() *apiError {
	return &apiError{
		Type: typeUnavailable, Status: http.StatusServiceUnavailable,
		Message: fmt.Sprintf("this address has %d requests running already", maxPeerRequests),
	}
}

// unavailable is the answer of a server that is closing.
func unavailable() *apiError {
	return &apiError{Type: typeUnavailable, Message: "the server is shutting down", Status: http.StatusServiceUnavailable}
}
