package state

import (
	"fmt"
	"slices"
	"strings"
)

// Attachments are what users attach to a resource. They are replaced, never
// changed.
type Attachments struct {
	Tags   map[string]string `json:"tags,omitempty"`
	Policy string            `json:"policy,omitempty"` // JSON, empty for none
}

// Attached is new attachments of a stream, or of one of its consumers.
type Attached struct {
	ID       string `json:"id"`                 // of the stream
	Consumer string `json:"consumer,omitempty"` // NAME:SECONDS, as at the end of its ARN
	Attachments
}

// ParseResource reads the ARN of a stream or of a consumer. The consumer is
// NAME:SECONDS, and empty for a stream.
func ParseResource(arn string) (key Key, consumer string, ok bool) {
	key, ok = ParseARN(arn)
	if !ok {
		return key, "", false
	}
	_, resource, _ := strings.Cut(arn, ":stream/")
	_, rest, found := strings.Cut(resource, "/")
	if !found {
		return key, "", true
	}
	consumer, ok = strings.CutPrefix(rest, "consumer/")
	return key, consumer, ok && consumer != ""
}

// AttachmentsOf gives what is attached to the stream, for an empty consumer, or
// to one of its consumers. There is none of a consumer that is not there.
func (s *Stream) AttachmentsOf(consumer string) (Attachments, bool) {
	if consumer == "" {
		return s.Attachments, true
	}
	i := s.consumerOf(consumer)
	if i < 0 {
		return Attachments{}, false
	}
	return s.Consumers[i].Attachments, true
}

// consumerOf gives the index of the consumer with this NAME:SECONDS, or -1.
func (s *Stream) consumerOf(fullName string) int {
	return slices.IndexFunc(s.Consumers, func(c Consumer) bool { return c.fullName() == fullName })
}

func (a *Attached) apply(st *Stream) error {
	if a.Consumer == "" {
		st.Attachments = a.Attachments
		return nil
	}
	i := st.consumerOf(a.Consumer)
	if i < 0 {
		return fmt.Errorf("no consumer %s", a.Consumer)
	}
	st.Consumers = slices.Clone(st.Consumers)
	st.Consumers[i].Attachments = a.Attachments
	return nil
}
