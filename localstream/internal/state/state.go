package state

import (
	"encoding/json"
	"fmt"
	"slices"
)

// State is the metadata of a server. It has no lock: one goroutine owns it.
type State struct {
	Boot    uint64             `json:"boot"`    // how often the server was opened
	Secret  []byte             `json:"secret"`  // the key of iterators and tokens
	Streams map[string]*Stream `json:"streams"` // by ID
	// Channels by ID. Nil means that there is none.
	Channels map[string]*Channel `json:"channels,omitempty"`

	// Accounts are the settings of accounts that ever changed them.
	Accounts []Account `json:"accounts,omitempty"`

	// Retired is the latest CreateSecs of all shards of removed streams. New
	// streams start above it, so one that takes the name of another does not
	// repeat its sequence numbers.
	Retired int64 `json:"retired,omitempty"`
	// RetiredConsumer is the latest second in which a consumer that was removed
	// had been created. New consumers are created later.
	RetiredConsumer int64 `json:"retired_consumer,omitempty"`
	// Removed are the IDs of removed streams whose files may still be there.
	Removed []string `json:"removed,omitempty"`
}

// New is the state of a server that was never opened.
func New() *State { return &State{Streams: map[string]*Stream{}} }

// Event is one change, as facts: applying it needs no decision and no clock.
// Exactly one field is set.
type Event struct {
	Snapshot  *State         `json:"snapshot,omitempty"` // replaces everything before it
	Booted    *Booted        `json:"booted,omitempty"`
	Created   *Stream        `json:"created,omitempty"`
	Status    *StatusChanged `json:"status,omitempty"`
	Resharded *Resharded     `json:"resharded,omitempty"`
	Retention *Retention     `json:"retention,omitempty"`
	Expired   *Expired       `json:"expired,omitempty"`
	Removed   *Removed       `json:"removed,omitempty"`

	Settings *SettingsChanged `json:"settings,omitempty"`
	Attached *Attached        `json:"attached,omitempty"`
	Account  *Account         `json:"account,omitempty"`
	Channel  *ChannelEvent    `json:"channel,omitempty"`

	Registered   *ConsumerRegistered `json:"registered,omitempty"`
	Consumer     *ConsumerChanged    `json:"consumer,omitempty"`
	Deregistered *ConsumerRemoved    `json:"deregistered,omitempty"`
}

// Booted is the opening of the server.
type Booted struct {
	Boot    uint64   `json:"boot"`
	Secret  []byte   `json:"secret,omitempty"`  // set the first time
	Cleared []string `json:"cleared,omitempty"` // removed streams whose files are gone by now
}

// StatusChanged is a stream's new status, with what is to happen at its end.
type StatusChanged struct {
	ID      string    `json:"id"`
	Status  Status    `json:"status"`
	Pending []Step    `json:"pending,omitempty"`
	Change  *Settings `json:"change,omitempty"`
}

// Resharded is a whole reshard: the shards that it closed and the ones that it
// made. It ends an update.
type Resharded struct {
	ID       string    `json:"id"`
	Closed   []Closed  `json:"closed"`
	Opened   []Shard   `json:"opened"`             // by rising number; some may be closed already
	Settings *Settings `json:"settings,omitempty"` // that change with it
}

// Closed is the closing of a shard.
type Closed struct {
	Number  uint32 `json:"number"`
	At      int64  `json:"at"` // Unix milliseconds
	EndSecs int64  `json:"end_secs"`
}

// Retention is a new retention period, and what stays hidden whatever it is.
type Retention struct {
	ID      string `json:"id"`
	Hours   int32  `json:"hours"`
	Horizon int64  `json:"horizon"`
}

// Expired is what is forgotten of a stream, because the records are gone that it
// was about: shards, and keys that nothing is encrypted with any more.
type Expired struct {
	ID      string   `json:"id"`
	Numbers []uint32 `json:"numbers"`           // of shards
	Horizon int64    `json:"horizon,omitempty"` // of keys, Unix milliseconds
}

// Removed is the end of a stream. Its files are removed afterwards.
type Removed struct {
	ID      string   `json:"id"`
	Cleared []string `json:"cleared,omitempty"` // streams removed earlier whose files are gone by now
}

// Encode gives the event as a journal record.
func (e Event) Encode() ([]byte, error) { return json.Marshal(e) }

// DecodeEvent reads a journal record.
func DecodeEvent(b []byte) (Event, error) {
	var e Event
	if err := json.Unmarshal(b, &e); err != nil {
		return e, fmt.Errorf("read metadata event: %w", err)
	}
	return e, nil
}

// Apply makes the change, or fails without one for an event that does not fit.
func (s *State) Apply(e Event) error {
	apply, err := s.Prepare(e)
	if err == nil {
		apply()
	}
	return err
}

// Prepare gives the function that makes the change, which cannot fail. It
// fails itself for an event that does not fit this state, which no planner of
// this package gives: such an event must not get into a journal, because that
// could not be replayed.
func (s *State) Prepare(e Event) (apply func(), err error) {
	switch {
	case e.Snapshot != nil:
		return func() {
			*s = *e.Snapshot
			if s.Streams == nil {
				s.Streams = map[string]*Stream{}
			}
		}, nil
	case e.Booted != nil:
		return func() {
			s.Boot = e.Booted.Boot
			if len(e.Booted.Secret) > 0 {
				s.Secret = e.Booted.Secret
			}
			s.clear(e.Booted.Cleared)
		}, nil
	case e.Created != nil:
		for id, st := range s.Streams {
			if id == e.Created.ID || st.Key == e.Created.Key {
				return nil, fmt.Errorf("stream %s exists already", st.Name)
			}
		}
		return func() { s.Streams[e.Created.ID] = e.Created }, nil
	case e.Status != nil:
		return s.change(e.Status.ID, func(st *Stream) error {
			st.Status, st.Pending, st.Change = e.Status.Status, e.Status.Pending, e.Status.Change
			return nil
		})
	case e.Resharded != nil:
		return s.change(e.Resharded.ID, e.Resharded.apply)
	case e.Retention != nil:
		return s.change(e.Retention.ID, func(st *Stream) error {
			st.RetentionHours, st.Horizon = e.Retention.Hours, e.Retention.Horizon
			return nil
		})
	case e.Expired != nil:
		return s.change(e.Expired.ID, func(st *Stream) error {
			st.Shards = slices.DeleteFunc(slices.Clone(st.Shards), func(sh Shard) bool {
				return sh.IsClosed() && slices.Contains(e.Expired.Numbers, sh.Number)
			})
			st.Encryption = withoutExpired(st.Encryption, e.Expired.Horizon)
			return nil
		})
	case e.Settings != nil:
		return s.change(e.Settings.ID, e.Settings.apply)
	case e.Attached != nil:
		return s.change(e.Attached.ID, e.Attached.apply)
	case e.Account != nil:
		return func() { s.setAccount(*e.Account) }, nil
	case e.Registered != nil:
		return s.change(e.Registered.ID, e.Registered.apply)
	case e.Consumer != nil:
		return s.change(e.Consumer.ID, e.Consumer.apply)
	case e.Deregistered != nil:
		return s.deregister(e.Deregistered)
	case e.Removed != nil:
		st, ok := s.Streams[e.Removed.ID]
		if !ok {
			return nil, fmt.Errorf("no stream %s", e.Removed.ID)
		}
		return func() {
			for _, sh := range st.Shards {
				s.Retired = max(s.Retired, sh.CreateSecs)
			}
			s.retire(st.Consumers...)
			s.clear(e.Removed.Cleared)
			s.Removed = append(s.Removed, st.ID)
			s.removeChannels(st.ID)
			delete(s.Streams, st.ID)
		}, nil
	case e.Channel != nil:
		return s.prepareChannel(e.Channel)
	}
	return nil, fmt.Errorf("metadata event of an unknown kind")
}

// clear forgets removed streams whose files are gone.
func (s *State) clear(ids []string) {
	s.Removed = slices.DeleteFunc(s.Removed, func(id string) bool { return slices.Contains(ids, id) })
}

// change prepares to replace a stream by a changed copy.
func (s *State) change(id string, f func(*Stream) error) (apply func(), err error) {
	old, ok := s.Streams[id]
	if !ok {
		return nil, fmt.Errorf("no stream %s", id)
	}
	st := *old
	if err := f(&st); err != nil {
		return nil, fmt.Errorf("stream %s: %w", st.Name, err)
	}
	return func() { s.Streams[id] = &st }, nil
}

func (r *Resharded) apply(st *Stream) error {
	shards := append(slices.Clone(st.Shards), r.Opened...)
	for _, c := range r.Closed {
		i := slices.IndexFunc(shards, func(sh Shard) bool { return sh.Number == c.Number })
		if i < 0 || shards[i].IsClosed() {
			return fmt.Errorf("close shard %d, which is not open", c.Number)
		}
		shards[i].Closed, shards[i].EndSecs = c.At, c.EndSecs
	}
	for _, sh := range r.Opened {
		if sh.Number != st.NextShard {
			return fmt.Errorf("new shard %d, expected %d", sh.Number, st.NextShard)
		}
		st.NextShard++
	}
	st.Shards, st.Status, st.Pending, st.Change = shards, Active, nil, nil
	if r.Settings != nil {
		st.set(r.Settings)
	}
	return checkTiling(st.Open())
}
