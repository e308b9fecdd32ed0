package state

import (
	"fmt"
	"maps"
	"strings"
)

// Failed is the state of a channel that could not be made. Streams do not have
// it.
const Failed Status = "FAILED"

// Channel is everything known of a channel, which delivers the records of a
// stream to a destination. A Channel that was published is never changed:
// [State.Apply] puts a changed copy in its place.
type Channel struct {
	Scope
	ID        string            `json:"id"` // names it in its ARN; never reused
	Name      string            `json:"name"`
	Stream    string            `json:"stream"`  // the ID of its stream
	Created   int64             `json:"created"` // Unix milliseconds
	Status    Status            `json:"status"`
	Reason    string            `json:"reason,omitempty"` // why it is FAILED
	Role      string            `json:"role"`             // ARN
	Format    string            `json:"format"`           // of the records, in the words of the API
	Schema    string            `json:"schema,omitempty"` // ARN
	S3        *Bucket           `json:"s3,omitempty"`     // the destination: this one or the next
	Table     *Table            `json:"table,omitempty"`
	FreshSecs int32             `json:"fresh_secs"` // how old undelivered records get, in seconds
	Letters   DeadLetters       `json:"letters"`
	KMSKey    string            `json:"kms_key,omitempty"`
	Logs      Logs              `json:"logs"`
	Tags      map[string]string `json:"tags,omitempty"`

	// Since is the number that the next new shard of the stream had when the
	// channel became ACTIVE, and Next is what is to be delivered next of each
	// shard: see [Channel.From].
	Since uint32            `json:"since,omitempty"`
	Next  map[uint32]uint64 `json:"next,omitempty"`
	// Delivery is the last one that was begun.
	Delivery *Delivery `json:"delivery,omitempty"`
}

// Bucket is a general purpose S3 bucket as the destination of a channel, in the
// words of the API.
type Bucket struct {
	ARN         string `json:"arn"`
	Owner       string `json:"owner"`
	Compression string `json:"compression"`
	Template    string `json:"template"`
	Class       string `json:"class"`
}

// Table is an S3 table as the destination of a channel, in the words of the
// API.
type Table struct {
	Bucket      string           `json:"bucket"` // ARN
	Namespace   string           `json:"namespace"`
	Name        string           `json:"name"`
	Compression string           `json:"compression"`
	Partitions  []TablePartition `json:"partitions,omitempty"`
}

// TablePartition is a field that a table is partitioned by.
type TablePartition struct {
	Source    string `json:"source"`
	Transform string `json:"transform"`
}

// DeadLetters is where the channel tells of records that it cannot deliver.
type DeadLetters struct {
	Bucket string `json:"bucket"` // ARN
	Owner  string `json:"owner"`
	Prefix string `json:"prefix"`
}

// Logs is where the channel is asked to write its log.
type Logs struct {
	Enabled bool   `json:"enabled,omitempty"`
	Group   string `json:"group"`
	Stream  string `json:"stream"`
}

// Delivery is a pair of objects, one of records and one of dead letters, either
// of which may turn out not to be needed. They are written under temporary
// names, which follow from ID, and get their own when both are complete.
type Delivery struct {
	ID      string `json:"id"`
	Object  string `json:"object"`  // path
	Letters string `json:"letters"` // path
	// Written says that what there is under the temporary names is complete and
	// durable, so the objects only want their own names, if they have not got
	// them. Otherwise it is to be thrown away.
	Written bool `json:"written,omitempty"`
}

// ARN is the Amazon resource name of the channel.
func (c *Channel) ARN() string {
	return "arn:aws:kinesis:" + c.Region + ":" + c.Account + ":channel/" + c.ID
}

// TagKey names the channel as a stream would be named, for messages about tags.
func (c *Channel) TagKey() Key { return Key{c.Scope, c.Name} }

// ParseChannelARN reads what [Channel.ARN] writes, for any AWS partition.
func ParseChannelARN(arn string) (scope Scope, id string, ok bool) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || !strings.HasPrefix(parts[1], "aws") || parts[2] != "kinesis" || len(parts[4]) != 12 {
		return Scope{}, "", false
	}
	id, ok = strings.CutPrefix(parts[5], "channel/")
	return Scope{Account: parts[4], Region: parts[3]}, id, ok && id != ""
}

// From is where the channel goes on in a shard. Shards made after it became
// ACTIVE are delivered from their first record on. It reports false for shards
// that were closed by then, of which nothing is delivered.
func (c *Channel) From(shard uint32) (from uint64, ok bool) {
	if from, ok = c.Next[shard]; ok {
		return from, true
	}
	return 0, shard >= c.Since
}

// Delivers reports whether the channel is in a state in which it delivers.
func (c *Channel) Delivers() bool { return c.Status == Active || c.Status == Updating }

// ChannelEvent is one change of a channel. Exactly one field is set.
type ChannelEvent struct {
	Created *Channel        `json:"created,omitempty"`
	Started *ChannelStarted `json:"started,omitempty"`
	Status  *ChannelStatus  `json:"status,omitempty"`
	Updated *ChannelUpdated `json:"updated,omitempty"`
	Tagged  *ChannelTagged  `json:"tagged,omitempty"`
	Planned *ChannelPlanned `json:"planned,omitempty"`
	Written *ChannelWritten `json:"written,omitempty"`
	Removed *ChannelRemoved `json:"removed,omitempty"`
}

// ChannelStarted makes a channel ACTIVE for the first time, with where it
// begins.
type ChannelStarted struct {
	ID    string            `json:"id"`
	Since uint32            `json:"since"`
	Next  map[uint32]uint64 `json:"next"`
}

// ChannelStatus is a channel's new status.
type ChannelStatus struct {
	ID     string `json:"id"`
	Status Status `json:"status"`
	Reason string `json:"reason,omitempty"`
}

// ChannelUpdated is a channel's new settings, all of those that can change. It
// begins an update.
type ChannelUpdated struct {
	ID        string `json:"id"`
	FreshSecs int32  `json:"fresh_secs"`
	Logs      Logs   `json:"logs"`
}

// ChannelTagged is a channel's new tags, all of them.
type ChannelTagged struct {
	ID   string            `json:"id"`
	Tags map[string]string `json:"tags,omitempty"`
}

// ChannelPlanned is a delivery that is begun.
type ChannelPlanned struct {
	ID       string   `json:"id"`
	Delivery Delivery `json:"delivery"`
}

// ChannelWritten is the end of the delivery that was begun last: its objects are
// written, and what is to be delivered of some shards begins behind them.
type ChannelWritten struct {
	ID       string            `json:"id"`
	Delivery string            `json:"delivery"`
	Next     map[uint32]uint64 `json:"next"`
}

// ChannelRemoved is the end of a channel.
type ChannelRemoved struct {
	ID string `json:"id"`
}

// prepareChannel is [State.Prepare] for the change of a channel.
func (s *State) prepareChannel(e *ChannelEvent) (apply func(), err error) {
	switch {
	case e.Created != nil:
		return s.prepareNewChannel(e.Created)
	case e.Started != nil:
		return s.changeChannel(e.Started.ID, func(c *Channel) error {
			c.Status, c.Since, c.Next = Active, e.Started.Since, e.Started.Next
			return nil
		})
	case e.Status != nil:
		return s.changeChannel(e.Status.ID, func(c *Channel) error {
			c.Status, c.Reason = e.Status.Status, e.Status.Reason
			return nil
		})
	case e.Updated != nil:
		return s.changeChannel(e.Updated.ID, func(c *Channel) error {
			c.Status, c.FreshSecs, c.Logs = Updating, e.Updated.FreshSecs, e.Updated.Logs
			return nil
		})
	case e.Tagged != nil:
		return s.changeChannel(e.Tagged.ID, func(c *Channel) error {
			c.Tags = e.Tagged.Tags
			return nil
		})
	case e.Planned != nil:
		return s.changeChannel(e.Planned.ID, func(c *Channel) error {
			c.Delivery = &e.Planned.Delivery
			return nil
		})
	case e.Written != nil:
		return s.changeChannel(e.Written.ID, func(c *Channel) error { return e.Written.apply(c, s.Streams[c.Stream]) })
	case e.Removed != nil:
		if s.Channels[e.Removed.ID] == nil {
			return nil, fmt.Errorf("no channel %s", e.Removed.ID)
		}
		return func() { delete(s.Channels, e.Removed.ID) }, nil
	}
	return nil, fmt.Errorf("metadata event of a channel of an unknown kind")
}

func (s *State) prepareNewChannel(c *Channel) (apply func(), err error) {
	if s.Streams[c.Stream] == nil {
		return nil, fmt.Errorf("channel %s: no stream %s", c.Name, c.Stream)
	}
	for id, other := range s.Channels {
		if id == c.ID || other.Scope == c.Scope && other.Name == c.Name {
			return nil, fmt.Errorf("channel %s exists already", c.Name)
		}
	}
	return func() {
		if s.Channels == nil {
			s.Channels = map[string]*Channel{}
		}
		s.Channels[c.ID] = c
	}, nil
}

// changeChannel prepares to replace a channel by a changed copy.
func (s *State) changeChannel(id string, f func(*Channel) error) (apply func(), err error) {
	old, ok := s.Channels[id]
	if !ok {
		return nil, fmt.Errorf("no channel %s", id)
	}
	c := *old
	if err := f(&c); err != nil {
		return nil, fmt.Errorf("channel %s: %w", c.Name, err)
	}
	return func() { s.Channels[id] = &c }, nil
}

// apply also forgets shards that the stream has forgotten.
func (w *ChannelWritten) apply(c *Channel, st *Stream) error {
	if c.Delivery == nil || c.Delivery.ID != w.Delivery {
		return fmt.Errorf("a delivery ends that was not begun")
	}
	d := *c.Delivery
	d.Written = true
	c.Delivery = &d
	next := make(map[uint32]uint64, len(c.Next)+len(w.Next))
	maps.Copy(next, c.Next)
	maps.Copy(next, w.Next)
	maps.DeleteFunc(next, func(shard uint32, _ uint64) bool {
		_, ok := st.Shard(shard)
		return !ok
	})
	c.Next = next
	return nil
}

// removeChannels forgets the channels of a stream that is removed.
func (s *State) removeChannels(stream string) {
	maps.DeleteFunc(s.Channels, func(_ string, c *Channel) bool { return c.Stream == stream })
}
