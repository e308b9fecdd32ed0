package awscbor

import (
	"net/http"
	"sync/atomic"
)

// A service may not take CBOR: emulators that only know JSON are about. They
// show it in a few ways, none of which is beyond doubt by itself. So the call
// that seems to be refused is made again in JSON, and only if that is understood
// does the client go on in JSON. Once a service has answered in CBOR there is
// nothing to find out any more, and its errors are errors.

// answer is what the decision looks at.
type answer struct {
	stream   bool // of a call that is answered by events
	status   int
	encoding encoding
	code     string // of the error, as far as one was found
}

func (a answer) succeeded() bool { return 200 <= a.status && a.status < 300 }

// refuses reports whether an answer looks as if its service did not take the
// encoding of the request.
func refuses(a answer) bool {
	switch {
	case a.succeeded():
		return false
	case a.status == http.StatusInternalServerError && a.stream:
		// AWS was seen to answer so to SubscribeToShard in CBOR.
		return true
	case a.encoding == inCBOR:
		return false
	case a.status == http.StatusUnsupportedMediaType:
		return true
	case a.status == http.StatusBadRequest, a.status == http.StatusNotFound:
		// AWS itself and those who copy it: 404 and XML to a content type that
		// is unknown, 400 to a body that is not what was announced.
		return a.code == "UnknownOperationException" || a.code == "SerializationException"
	}
	return false
}

// understands reports whether an answer to a request in CBOR shows that its
// service takes CBOR.
func understands(a answer) bool {
	switch {
	case refuses(a):
		return false
	case a.succeeded():
		return a.stream || a.encoding == inCBOR || a.encoding == inNothing
	}
	return a.encoding == inCBOR
}

// What a lane speaks.
const (
	notKnown uint32 = iota
	speaksCBOR
	speaksJSON
)

// lane is what is known about how a service takes CBOR in calls of one kind.
// It becomes known once.
type lane struct{ speaks atomic.Uint32 }

// asksCBOR decides about the encoding of a request.
func (l *lane) asksCBOR(c *call) bool { return !c.json && l.speaks.Load() != speaksJSON }

// hear takes note of an answer. It reports whether the answer refuses CBOR, so
// that the call should be made again in JSON.
func (l *lane) hear(c *call, a answer) (refused bool) {
	switch {
	case c.json:
		c.understood = a.status < 500 && !refuses(a) // who fails has not said whether it did
	case c.cbor && l.speaks.Load() == notKnown:
		if understands(a) {
			l.speaks.CompareAndSwap(notKnown, speaksCBOR)
		}
		return refuses(a)
	case c.cbor && l.speaks.Load() == speaksJSON: // found out by another call meanwhile
		return refuses(a)
	}
	return false
}

// goOnInJSON settles that the service refuses CBOR. It reports whether that was
// not known before.
func (l *lane) goOnInJSON() bool { return l.speaks.CompareAndSwap(notKnown, speaksJSON) }
