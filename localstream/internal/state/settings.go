package state

import (
	"maps"
	"slices"
	"sort"
)

// Settings are new values of settings of a stream. Nil stays as it is.
type Settings struct {
	OnDemand     *bool    `json:"on_demand,omitempty"`
	Auto         *bool    `json:"auto,omitempty"`
	WarmMiBps    *int32   `json:"warm_mibps,omitempty"`
	MaxRecordKiB *int32   `json:"max_record_kib,omitempty"`
	KeyID        *string  `json:"key_id,omitempty"` // of the key to encrypt with, "" to stop
	Metrics      []string `json:"metrics,omitzero"` // all of them; empty is none
}

// SettingsChanged is a change of settings in one step.
type SettingsChanged struct {
	ID string `json:"id"`
	Settings
	Since   *Boundary `json:"since,omitempty"`   // set with a KeyID
	Updated bool      `json:"updated,omitempty"` // the change ends an update
}

// Boundary parts the records of a stream into those before a moment and those
// after it, whatever the clock does.
type Boundary struct {
	At        int64             `json:"at"`             // Unix milliseconds; no record before it arrived later
	Horizon   int64             `json:"horizon"`        // the trim horizon at that time
	NextShard uint32            `json:"next_shard"`     // of shards from this number on, every record is after it,
	From      map[uint32]uint64 `json:"from,omitempty"` // and of these shards, the records from these indices on
}

// before reports whether a record comes before the boundary.
func (b *Boundary) before(shard uint32, index uint64) bool {
	if shard >= b.NextShard {
		return false
	}
	from, open := b.From[shard]
	return !open || index < from
}

// Encryption is the key of the records after a boundary, up to the next one.
type Encryption struct {
	KeyID string   `json:"key_id,omitempty"` // empty for records that are not encrypted
	Since Boundary `json:"since"`
}

// set takes over the settings that are given.
func (s *Stream) set(to *Settings) {
	if to.OnDemand != nil {
		s.OnDemand = *to.OnDemand
	}
	if to.Auto != nil {
		s.Auto = *to.Auto
	}
	if to.WarmMiBps != nil {
		s.WarmMiBps = *to.WarmMiBps
	}
	if to.MaxRecordKiB != nil {
		s.MaxRecordKiB = *to.MaxRecordKiB
	}
	if to.Metrics != nil {
		s.Metrics = to.Metrics
	}
}

func (c *SettingsChanged) apply(st *Stream) error {
	st.set(&c.Settings)
	if c.KeyID != nil && c.Since != nil {
		st.encrypt(*c.KeyID, *c.Since)
	}
	if c.Updated {
		st.Status, st.Pending, st.Change = Active, nil, nil
	}
	return nil
}

// encrypt makes a key that of the records after a boundary. What is known of
// records that have expired is forgotten, and so is a key without a record.
func (s *Stream) encrypt(keyID string, since Boundary) {
	list := slices.Clone(s.Encryption)
	if n := len(list); n > 0 && list[n-1].Since.NextShard == since.NextShard && maps.Equal(list[n-1].Since.From, since.From) {
		list = list[:n-1]
	}
	if n := len(list); n == 0 || list[n-1].KeyID != keyID {
		list = append(list, Encryption{KeyID: keyID, Since: since})
	}
	s.Encryption = withoutExpired(list, since.Horizon)
}

// withoutExpired is a list without the keys whose records have all arrived
// before the horizon.
func withoutExpired(list []Encryption, horizon int64) []Encryption {
	for len(list) > 1 && list[1].Since.At < horizon || len(list) > 0 && list[0].KeyID == "" {
		list = list[1:]
	}
	return list
}

// HasExpiredKeys reports whether there is something to forget of the keys of
// records that arrived before the horizon.
func (s *Stream) HasExpiredKeys(horizon int64) bool {
	return len(withoutExpired(s.Encryption, horizon)) < len(s.Encryption)
}

// KeyID is the id of the key that new records are encrypted with, empty if
// they are not.
func (s *Stream) KeyID() string {
	if n := len(s.Encryption); n > 0 {
		return s.Encryption[n-1].KeyID
	}
	return ""
}

// KeyOf is the id of the key that a record was encrypted with, empty if it was
// not.
func (s *Stream) KeyOf(shard uint32, index uint64) string {
	after := sort.Search(len(s.Encryption), func(i int) bool { return s.Encryption[i].Since.before(shard, index) })
	if after == 0 {
		return ""
	}
	return s.Encryption[after-1].KeyID
}
