package state

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Consumer is a registered consumer of a stream: one that reads with enhanced
// fan-out.
type Consumer struct {
	Name    string `json:"name"`
	Created int64  `json:"created"` // Unix milliseconds; its second is in the ARN
	Status  Status `json:"status"`  // never Updating
	Attachments
}

// ConsumerRegistered is a new consumer of a stream.
type ConsumerRegistered struct {
	ID       string   `json:"id"` // of the stream
	Consumer Consumer `json:"consumer"`
}

// ConsumerChanged is a consumer's new status.
type ConsumerChanged struct {
	ID     string `json:"id"` // of the stream
	Name   string `json:"name"`
	Status Status `json:"status"`
}

// ConsumerRemoved is the end of a consumer.
type ConsumerRemoved struct {
	ID   string `json:"id"` // of the stream
	Name string `json:"name"`
}

// NewConsumer makes a consumer, created now, but at least a second after
// retired, the latest second in which a consumer that was removed had been
// created: one that takes the name of another has an ARN of its own.
func NewConsumer(name string, tags map[string]string, status Status, now time.Time, retired int64) Consumer {
	created := now.UnixMilli()
	if created/1000 <= retired {
		created = (retired + 1) * 1000
	}
	return Consumer{Name: name, Created: created, Status: status, Attachments: Attachments{Tags: maps.Clone(tags)}}
}

// Secs is when the consumer was created, as the second that its ARN has.
func (c Consumer) Secs() int64 { return c.Created / 1000 }

// ARN is the Amazon resource name of a consumer of the stream with this key.
func (c Consumer) ARN(stream Key) string {
	return stream.ARN() + "/consumer/" + c.fullName()
}

// fullName is NAME:SECONDS, as at the end of the ARN.
func (c Consumer) fullName() string { return c.Name + ":" + strconv.FormatInt(c.Secs(), 10) }

// ParseConsumerARN reads what [Consumer.ARN] writes, for any AWS partition: the
// stream, the name, and the second of creation.
func ParseConsumerARN(arn string) (stream Key, name string, secs int64, ok bool) {
	head, tail, _ := strings.Cut(arn, "/consumer/")
	stream, ok = ParseARN(head)
	name, digits, colon := strings.Cut(tail, ":")
	secs, err := strconv.ParseInt(digits, 10, 64)
	if !ok || !colon || name == "" || err != nil || secs < 0 || digits[0] == '+' || !strings.HasSuffix(head, "/"+stream.Name) {
		return Key{}, "", 0, false
	}
	return stream, name, secs, true
}

// Consumer finds a consumer by its name.
func (s *Stream) Consumer(name string) (Consumer, bool) {
	i, ok := s.consumer(name)
	if !ok {
		return Consumer{}, false
	}
	return s.Consumers[i], true
}

func (s *Stream) consumer(name string) (index int, ok bool) {
	return slices.BinarySearchFunc(s.Consumers, name, func(c Consumer, name string) int { return strings.Compare(c.Name, name) })
}

var (
	errConsumerExists  = errors.New("the consumer exists already")
	errConsumerMissing = errors.New("no such consumer")
)

func (e *ConsumerRegistered) apply(st *Stream) error {
	i, exists := st.consumer(e.Consumer.Name)
	if exists {
		return fmt.Errorf("register %s: %w", e.Consumer.Name, errConsumerExists)
	}
	st.Consumers = slices.Insert(slices.Clone(st.Consumers), i, e.Consumer)
	return nil
}

func (e *ConsumerChanged) apply(st *Stream) error {
	i, ok := st.consumer(e.Name)
	if !ok {
		return fmt.Errorf("change %s: %w", e.Name, errConsumerMissing)
	}
	st.Consumers = slices.Clone(st.Consumers)
	st.Consumers[i].Status = e.Status
	return nil
}

func (e *ConsumerRemoved) apply(st *Stream) error {
	i, ok := st.consumer(e.Name)
	if !ok {
		return fmt.Errorf("deregister %s: %w", e.Name, errConsumerMissing)
	}
	st.Consumers = slices.Delete(slices.Clone(st.Consumers), i, i+1)
	return nil
}

// deregister prepares to remove a consumer.
func (s *State) deregister(e *ConsumerRemoved) (apply func(), err error) {
	change, err := s.change(e.ID, e.apply)
	if err != nil {
		return nil, err
	}
	return func() {
		gone, _ := s.Streams[e.ID].Consumer(e.Name)
		s.retire(gone)
		change()
	}, nil
}

// retire remembers the seconds of consumers that are removed.
func (s *State) retire(gone ...Consumer) {
	for _, c := range gone {
		s.RetiredConsumer = max(s.RetiredConsumer, c.Secs())
	}
}
