package state

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

// events is one of each kind, in an order that makes sense.
func events(t *testing.T) []Event {
	t.Helper()
	st := testStream(2)
	st.Tags = map[string]string{"k": "v"}
	mid := st.Shards[0].Range.Middle()
	r, err := st.Reshard(split(0, mid), testTime.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return []Event{
		{Booted: &Booted{Boot: 1, Secret: []byte("secret")}},
		{Created: st},
		{Status: &StatusChanged{ID: "id", Status: Updating, Pending: split(0, mid)}},
		{Resharded: r},
		{Retention: &Retention{ID: "id", Hours: 48, Horizon: 7}},
		{Registered: &ConsumerRegistered{ID: "id", Consumer: consumer("a", Creating)}},
		{Registered: &ConsumerRegistered{ID: "id", Consumer: consumer("b", Creating)}},
		{Consumer: &ConsumerChanged{ID: "id", Name: "a", Status: Active}},
		{Deregistered: &ConsumerRemoved{ID: "id", Name: "b"}},
		{Booted: &Booted{Boot: 2}},
		{Expired: &Expired{ID: "id", Numbers: []uint32{0}}},
	}
}

func TestEventsSurviveTheJournal(t *testing.T) {
	direct, replayed := New(), New()
	for _, e := range events(t) {
		b, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeEvent(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := direct.Apply(e); err != nil {
			t.Fatal(err)
		}
		if err := replayed.Apply(again); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(direct, replayed) {
		t.Errorf("replayed state differs:\n%+v\n%+v", direct.Streams["id"], replayed.Streams["id"])
	}
	st := direct.Streams["id"]
	if st.Status != Active || st.Pending != nil || st.RetentionHours != 48 || st.Horizon != 7 || st.NextShard != 4 ||
		len(st.Shards) != 3 || direct.Boot != 2 || string(direct.Secret) != "secret" {
		t.Errorf("state after all events: %+v, %+v", direct, st)
	}

	b, err := Event{Snapshot: direct}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	e, err := DecodeEvent(b)
	if err != nil {
		t.Fatal(err)
	}
	fromSnapshot := New()
	if err := fromSnapshot.Apply(e); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(direct, fromSnapshot) {
		t.Error("state from a snapshot differs")
	}
	if err := direct.Apply(Event{Removed: &Removed{ID: "id"}}); err != nil || len(direct.Streams) != 0 {
		t.Errorf("remove: %v, %d streams left", err, len(direct.Streams))
	}
}

// A removed stream leaves behind when its youngest shard was made, for ever,
// and its files, until they are known to be gone.
func TestWhatARemovedStreamLeaves(t *testing.T) {
	s := New()
	for _, e := range events(t) {
		if err := s.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	youngest := s.Streams["id"].Open()[0].CreateSecs
	old := testStream(1)
	old.ID, old.Name, old.Shards[0].CreateSecs = "old", "old", 5
	for _, e := range []Event{{Created: old}, {Removed: &Removed{ID: "id"}}, {Removed: &Removed{ID: "old", Cleared: []string{"id"}}}} {
		if err := s.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	b, err := Event{Snapshot: s}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := DecodeEvent(b)
	if err != nil {
		t.Fatal(err)
	}
	if s = New(); s.Apply(snapshot) != nil {
		t.Fatal("the snapshot is refused")
	}
	if s.Retired != youngest || !slices.Equal(s.Removed, []string{"old"}) {
		t.Errorf("retired %d, want %d; files of %v remain, want old", s.Retired, youngest, s.Removed)
	}
	if err := s.Apply(Event{Booted: &Booted{Boot: 3, Cleared: []string{"old"}}}); err != nil || len(s.Removed) != 0 {
		t.Errorf("%v, files of %v remain", err, s.Removed)
	}
	if got := NewShards(1, time.Unix(youngest, 0), s.Retired)[0].CreateSecs; got != youngest+1 {
		t.Errorf("a new shard is dated %d, the last of a removed stream %d", got, youngest)
	}
}

func TestApplyRefusesWhatDoesNotFit(t *testing.T) {
	s := New()
	if err := s.Apply(Event{Created: testStream(1)}); err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]Event{
		"empty event":    {},
		"stream twice":   {Created: testStream(1)},
		"name twice":     {Created: &Stream{Key: testStream(1).Key, ID: "other"}},
		"unknown stream": {Status: &StatusChanged{ID: "other"}},
		"remove unknown": {Removed: &Removed{ID: "other"}},
		"gap of numbers": {Resharded: &Resharded{ID: "id", Opened: []Shard{{Number: 5}}}},
		"no shard open":  {Resharded: &Resharded{ID: "id", Closed: []Closed{{Number: 0, At: 1}}}},
		"unknown shard":  {Resharded: &Resharded{ID: "id", Closed: []Closed{{Number: 3, At: 1}}}},
	} {
		if err := s.Apply(e); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if got := s.Streams["id"]; got.OpenCount() != 1 || got.NextShard != 1 {
		t.Errorf("a refused event changed the state: %+v", got)
	}
}

func TestARNs(t *testing.T) {
	k := Key{Scope{"123456789012", "eu-west-1"}, "a.b_c-1"}
	if got, ok := ParseARN(k.ARN()); !ok || got != k {
		t.Errorf("ParseARN(%s) = %+v, %v", k.ARN(), got, ok)
	}
	if got, ok := ParseARN(k.ARN() + "/consumer/c:1"); !ok || got != k {
		t.Errorf("consumer ARN: %+v, %v", got, ok)
	}
	for _, bad := range []string{"", "arn:aws:kinesis:r:123456789012:stream/", "arn:aws:kinesis:r:12345678901:stream/a",
		"arn:aws:dynamodb:r:123456789012:stream/a", "arn:aws:kinesis:r:123456789012:table/a", "arn:x:kinesis:r:123456789012:stream/a"} {
		if _, ok := ParseARN(bad); ok {
			t.Errorf("ParseARN(%q) is accepted", bad)
		}
	}
}
