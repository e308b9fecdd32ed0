package state

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// Records before a boundary keep their key, those after it have the new one,
// also in shards that are opened later.
func TestKeyOfARecord(t *testing.T) {
	st := testStream(2)
	at := func(next uint32, from map[uint32]uint64) Boundary {
		return Boundary{At: testTime.UnixMilli(), NextShard: next, From: from}
	}
	st.encrypt("a", at(2, map[uint32]uint64{0: 10, 1: 20}))
	st.encrypt("", at(2, map[uint32]uint64{0: 15, 1: 20}))
	st.encrypt("b", at(4, map[uint32]uint64{1: 25, 2: 5, 3: 5}))
	for _, tt := range []struct {
		shard uint32
		index uint64
		want  string
	}{
		{0, 9, ""}, {0, 10, "a"}, {0, 14, "a"}, {0, 15, ""}, {0, 1000, ""}, // shard 0 was closed before the last
		{1, 19, ""}, {1, 20, ""}, {1, 24, ""}, {1, 25, "b"},
		{2, 0, ""}, {2, 4, ""}, {2, 5, "b"}, {4, 0, "b"}, {9, 0, "b"},
	} {
		if got := st.KeyOf(tt.shard, tt.index); got != tt.want {
			t.Errorf("key of record %d in shard %d is %q, want %q", tt.index, tt.shard, got, tt.want)
		}
	}
	if st.KeyID() != "b" {
		t.Errorf("the key of new records is %q", st.KeyID())
	}
}

// What no record needs is not remembered.
func TestKeysWithoutRecordsAreForgotten(t *testing.T) {
	from := map[uint32]uint64{0: 1}
	st := testStream(1)
	st.encrypt("", Boundary{NextShard: 1, From: from})
	if len(st.Encryption) != 0 {
		t.Errorf("a stream that was never encrypted has %+v", st.Encryption)
	}
	st.encrypt("a", Boundary{At: 10, NextShard: 1, From: from})
	st.encrypt("b", Boundary{At: 11, NextShard: 1, From: from}) // nothing was put between
	if len(st.Encryption) != 1 || st.KeyOf(0, 1) != "b" {
		t.Errorf("a key that nothing was put with is remembered: %+v", st.Encryption)
	}
	st.encrypt("b", Boundary{At: 12, NextShard: 1, From: map[uint32]uint64{0: 5}})
	if len(st.Encryption) != 1 || st.KeyOf(0, 1) != "b" {
		t.Errorf("the same key again: %+v", st.Encryption)
	}
	st.encrypt("c", Boundary{At: 20, NextShard: 1, From: map[uint32]uint64{0: 7}})
	st.encrypt("", Boundary{At: 30, Horizon: 20, NextShard: 1, From: map[uint32]uint64{0: 8}})
	if len(st.Encryption) != 3 || st.KeyOf(0, 6) != "b" {
		t.Errorf("a key whose records may still be there is forgotten: %+v", st.Encryption)
	}
	st.encrypt("d", Boundary{At: 40, Horizon: 21, NextShard: 1, From: map[uint32]uint64{0: 9}})
	if len(st.Encryption) != 3 || st.KeyOf(0, 7) != "c" || st.KeyOf(0, 8) != "" {
		t.Errorf("a key whose records have expired is remembered: %+v", st.Encryption)
	}
	st.encrypt("", Boundary{At: 50, Horizon: 31, NextShard: 1, From: map[uint32]uint64{0: 10}})
	if len(st.Encryption) != 2 || st.Encryption[0].KeyID != "d" {
		t.Errorf("an oldest entry without a key is of no use: %+v", st.Encryption)
	}
}

// settingsEvents is one of each kind of event about settings.
func settingsEvents(t *testing.T) []Event {
	t.Helper()
	yes, mibps, kib, key := true, int32(7), int32(2048), "alias/k"
	st := testStream(1)
	r, err := st.Reshard(split(0, st.Shards[0].Range.Middle()), testTime)
	if err != nil {
		t.Fatal(err)
	}
	r.Settings = &Settings{WarmMiBps: &mibps}
	return []Event{
		{Created: st},
		{Status: &StatusChanged{ID: "id", Status: Updating, Change: &Settings{OnDemand: &yes, KeyID: &key}}},
		{Settings: &SettingsChanged{ID: "id", Settings: Settings{OnDemand: &yes, Auto: &yes, MaxRecordKiB: &kib, Metrics: []string{"IncomingBytes"}}, Updated: true}},
		{Settings: &SettingsChanged{ID: "id", Settings: Settings{KeyID: &key}, Since: &Boundary{At: 5, NextShard: 1, From: map[uint32]uint64{0: 3}}}},
		{Attached: &Attached{ID: "id", Attachments: Attachments{Tags: map[string]string{"a": "b"}, Policy: "{}"}}},
		{Account: &Account{Scope: st.Scope, Commitment: Commitment{Started: 5}}},
		{Account: &Account{Scope: Scope{"1", "r"}, Commitment: Commitment{Started: 6}}},
		{Account: &Account{Scope: st.Scope, Commitment: Commitment{Started: 5, Ends: 9}}},
		{Resharded: r},
	}
}

func TestSettingsSurviveTheJournal(t *testing.T) {
	direct, replayed := New(), New()
	for _, e := range settingsEvents(t) {
		b, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeEvent(b)
		if err != nil {
			t.Fatal(err)
		}
		for s, e := range map[*State]Event{direct: e, replayed: again} {
			if err := s.Apply(e); err != nil {
				t.Fatalf("%s: %v", b, err)
			}
		}
	}
	st := direct.Streams["id"]
	if st.Status != Active || st.Change != nil || !st.OnDemand || !st.Auto || st.MaxRecordKiB != 2048 || st.WarmMiBps != 7 || len(st.Metrics) != 1 ||
		st.KeyID() != "alias/k" || st.Tags["a"] != "b" || st.Policy != "{}" || st.OpenCount() != 2 {
		t.Errorf("stream after all events: %+v", st)
	}
	if got := direct.CommitmentOf(st.Scope); len(direct.Accounts) != 2 || got != (Commitment{5, 9}) || direct.CommitmentOf(Scope{"2", "r"}).Made() {
		t.Errorf("accounts: %+v", direct.Accounts)
	}
	b, err := Event{Snapshot: direct}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := DecodeEvent(b)
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]*State{"replayed": replayed, "from a snapshot": snapshot.Snapshot} {
		if !reflect.DeepEqual(direct, got) {
			t.Errorf("the state %s differs:\n%+v\n%+v", what, direct.Streams["id"], got.Streams["id"])
		}
	}
	// All metrics can be taken away: an empty list is not the same as no list.
	e := Event{Settings: &SettingsChanged{ID: "id", Settings: Settings{Metrics: []string{}}}}
	if b, err = e.Encode(); err != nil {
		t.Fatal(err)
	}
	if e, err = DecodeEvent(b); err != nil || direct.Apply(e) != nil || len(direct.Streams["id"].Metrics) != 0 || !direct.Streams["id"].OnDemand {
		t.Errorf("metrics after %s: %+v, %v", b, direct.Streams["id"], err)
	}
	if err := direct.Apply(Event{Attached: &Attached{ID: "id", Consumer: "c:1"}}); err == nil {
		t.Error("something is attached to a consumer that is not there")
	}
}

// Journals that were written before a stream had the settings of today are
// read as they always were.
func TestOldJournalsAreRead(t *testing.T) {
	s := New()
	for _, line := range []string{
		`{"booted":{"boot":1,"secret":"c2VjcmV0"}}`,
		`{"created":{"account":"123456789012","region":"eu-west-1","name":"s","id":"id","created":1800000000123,"status":"ACTIVE","on_demand":true,` +
			`"retention_hours":24,"max_record_kib":1024,"warm_mibps":3,"next_shard":1,"shards":[{"number":0,"range":{"Start":{"Hi":0,"Lo":0},` +
			`"End":{"Hi":18446744073709551615,"Lo":18446744073709551615}},"create_secs":1799999998,"opened":1800000000123,"parent":-1,"adjacent_parent":-1}],"tags":{"a":"b"}}}`,
		`{"status":{"id":"id","status":"UPDATING","pending":[{"shard":0,"split":{"Hi":1,"Lo":0}}]}}`,
		`{"retention":{"id":"id","hours":48,"horizon":7}}`,
	} {
		e, err := DecodeEvent([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	st := s.Streams["id"]
	if st.Name != "s" || st.Tags["a"] != "b" || st.WarmMiBps != 3 || st.Auto || st.KeyID() != "" || st.KeyOf(0, 1) != "" || len(st.Pending) != 1 || st.Change != nil {
		t.Errorf("stream %+v", st)
	}
	if attached, ok := st.AttachmentsOf(""); !ok || attached.Policy != "" || len(attached.Tags) != 1 {
		t.Errorf("attached: %+v, %v", attached, ok)
	}
}

func TestResourceARNs(t *testing.T) {
	k := Key{Scope{"123456789012", "eu-west-1"}, "a.b"}
	for _, tt := range []struct {
		arn, consumer string
		ok            bool
	}{
		{k.ARN(), "", true}, {k.ARN() + "/consumer/c:17", "c:17", true},
		{k.ARN() + "/consumer/", "", false}, {k.ARN() + "/x", "", false}, {k.ARN() + "/", "", false}, {"x", "", false},
		{"arn:aws:kinesis:eu-west-1:12345678901x:stream/a", "", false},
	} {
		key, consumer, ok := ParseResource(tt.arn)
		if ok != tt.ok || ok && (key != k || consumer != tt.consumer) {
			t.Errorf("ParseResource(%s) = %+v, %q, %v", tt.arn, key, consumer, ok)
		}
	}
}

func TestCommitments(t *testing.T) {
	now := testTime
	var c Commitment
	if c.Made() || c.Enabled(now) || c.Disable(now) != c {
		t.Errorf("a commitment that was never made: %+v", c)
	}
	c = c.Enable(now)
	if !c.Enabled(now) || c.Enable(now.Add(time.Hour)) != c || !c.EarliestEnd().Equal(now.Add(24*time.Hour)) {
		t.Errorf("after Enable: %+v", c)
	}
	ending := c.Disable(now.Add(time.Hour))
	if !ending.Enabled(now.Add(24*time.Hour-1)) || ending.Enabled(now.Add(24*time.Hour)) || ending.Disable(now.Add(2*time.Hour)) != ending {
		t.Errorf("ended before its term: %+v", ending)
	}
	if got := ending.Enable(now.Add(2 * time.Hour)); got != c {
		t.Errorf("the end is taken back: %+v, want %+v", got, c)
	}
	if got := c.Disable(now.Add(48 * time.Hour)); got.Enabled(now.Add(48*time.Hour)) || !got.Enabled(now.Add(48*time.Hour-time.Second)) {
		t.Errorf("ended after its term: %+v", got)
	}
	if got := ending.Enable(now.Add(25 * time.Hour)); got.Started != now.Add(25*time.Hour).UnixMilli() || got.Ends != 0 {
		t.Errorf("made again: %+v", got)
	}
	if b, err := json.Marshal(Commitment{}); err != nil || string(b) != "{}" {
		t.Errorf("%s, %v", b, err)
	}
}
