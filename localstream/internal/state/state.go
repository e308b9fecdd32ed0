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
	Expired   *ShardsExpired `json:"expired,omitempty"`
	Removed   *Removed       `json:"removed,omitempty"`
}

// Booted is the opening of the server.
type Booted struct {
	Boot   uint64 `json:"boot"`
	Secret []byte `json:"secret,omitempty"` // set the first time
}

// StatusChanged is a stream's new status, with what is to happen at its end.
type StatusChanged struct {
	ID      string `json:"id"`
	Status  Status `json:"status"`
	Pending []Step `json:"pending,omitempty"`
}

// Resharded is a whole reshard: the shards that it closed and the ones that it
// made. It ends an update.
type Resharded struct {
	ID     string   `json:"id"`
	Closed []Closed `json:"closed"`
	Opened []Shard  `json:"opened"` // by rising number; some may be closed already
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

// ShardsExpired are shards that are forgotten.
type ShardsExpired struct {
	ID      string   `json:"id"`
	Numbers []uint32 `json:"numbers"`
}

// Removed is the end of a stream.
type Removed struct {
	ID string `json:"id"`
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

// Apply makes the change. It fails, without a change, only for an event that
// no planner of this package gives for this state.
func (s *State) Apply(e Event) error {
	switch {
	case e.Snapshot != nil:
		*s = *e.Snapshot
		if s.Streams == nil {
			s.Streams = map[string]*Stream{}
		}
		return nil
	case e.Booted != nil:
		s.Boot = e.Booted.Boot
		if len(e.Booted.Secret) > 0 {
			s.Secret = e.Booted.Secret
		}
		return nil
	case e.Created != nil:
		if _, ok := s.Streams[e.Created.ID]; ok {
			return fmt.Errorf("stream %s exists already", e.Created.ID)
		}
		s.Streams[e.Created.ID] = e.Created
		return nil
	case e.Status != nil:
		return s.change(e.Status.ID, func(st *Stream) error {
			st.Status, st.Pending = e.Status.Status, e.Status.Pending
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
			return nil
		})
	case e.Removed != nil:
		if _, ok := s.Streams[e.Removed.ID]; !ok {
			return fmt.Errorf("no stream %s", e.Removed.ID)
		}
		delete(s.Streams, e.Removed.ID)
		return nil
	}
	return fmt.Errorf("metadata event of an unknown kind")
}

// change replaces a stream by a changed copy.
func (s *State) change(id string, f func(*Stream) error) error {
	old, ok := s.Streams[id]
	if !ok {
		return fmt.Errorf("no stream %s", id)
	}
	st := *old
	if err := f(&st); err != nil {
		return fmt.Errorf("stream %s: %w", st.Name, err)
	}
	s.Streams[id] = &st
	return nil
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
	st.Shards, st.Status, st.Pending = shards, Active, nil
	if err := checkTiling(st.Open()); err != nil {
		return err
	}
	return nil
}
