package state

import (
	"reflect"
	"testing"
)

func testChannel() *Channel {
	return &Channel{
		Scope: Scope{"123456789012", "eu-west-1"}, ID: "c1", Name: "c", Stream: "id", Created: 5, Status: Creating, Role: "role",
		Format: "JSON", S3: &Bucket{ARN: "bucket", Template: "t"}, FreshSecs: 300, Letters: DeadLetters{Bucket: "letters"},
		Logs: Logs{Group: "g", Stream: "s"}, Tags: map[string]string{"k": "v"},
	}
}

// channelEvents is one of each kind, in an order that makes sense.
func channelEvents() []Event {
	table := testChannel()
	table.ID, table.Name, table.S3, table.Table = "c2", "d", nil, &Table{Name: "t", Partitions: []TablePartition{{"a", "TIME_HOUR"}}}
	var out []Event
	for _, e := range []ChannelEvent{
		{Created: testChannel()},
		{Created: table},
		{Started: &ChannelStarted{ID: "c1", Since: 2, Next: map[uint32]uint64{0: 7, 1: 8}}},
		{Status: &ChannelStatus{ID: "c2", Status: Failed, Reason: "no table"}},
		{Updated: &ChannelUpdated{ID: "c1", FreshSecs: 400, Logs: Logs{Enabled: true, Group: "h", Stream: "s"}}},
		{Tagged: &ChannelTagged{ID: "c1", Tags: map[string]string{"new": "v"}}},
		{Planned: &ChannelPlanned{ID: "c1", Delivery: Delivery{ID: "d1", Object: "o", Letters: "l"}}},
		{Written: &ChannelWritten{ID: "c1", Delivery: "d1", Next: map[uint32]uint64{1: 9}}},
	} {
		out = append(out, Event{Channel: &e})
	}
	return out
}

func TestChannelEventsSurviveTheJournal(t *testing.T) {
	direct, replayed := New(), New()
	for _, e := range append([]Event{{Created: testStream(2)}}, channelEvents()...) {
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
	b, err := Event{Snapshot: direct}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := DecodeEvent(b)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*State{"replayed": replayed, "from a snapshot": snapshot.Snapshot} {
		if !reflect.DeepEqual(direct, s) {
			t.Errorf("%s: got %+v", name, s.Channels["c1"])
		}
	}
	want := testChannel()
	want.Status, want.FreshSecs, want.Logs = Updating, 400, Logs{Enabled: true, Group: "h", Stream: "s"}
	want.Tags = map[string]string{"new": "v"}
	want.Since, want.Next = 2, map[uint32]uint64{0: 7, 1: 9}
	want.Delivery = &Delivery{ID: "d1", Object: "o", Letters: "l", Written: true}
	if got := direct.Channels["c1"]; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := direct.Channels["c2"]; got.Status != Failed || got.Reason != "no table" {
		t.Errorf("got %+v", got)
	}
	if err := direct.Apply(Event{Channel: &ChannelEvent{Removed: &ChannelRemoved{ID: "c2"}}}); err != nil || len(direct.Channels) != 1 {
		t.Errorf("%v, %d channels", err, len(direct.Channels))
	}
}

// What was written before there were channels can be read.
func TestAJournalWithoutChannels(t *testing.T) {
	s := New()
	for _, line := range []string{
		`{"booted":{"boot":1,"secret":"c2VjcmV0"}}`,
		`{"snapshot":{"boot":2,"secret":"c2VjcmV0","streams":{"id":{"account":"123456789012","region":"eu-west-1","name":"s","id":"id",` +
			`"created":1,"status":"ACTIVE","retention_hours":24,"max_record_kib":1024,"next_shard":0,"shards":null}}}}`,
	} {
		e, err := DecodeEvent([]byte(line))
		if err == nil {
			err = s.Apply(e)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Apply(Event{Channel: &ChannelEvent{Created: testChannel()}}); err != nil || len(s.Channels) != 1 {
		t.Errorf("%v, %d channels", err, len(s.Channels))
	}
}

// A channel is at the end of the shards that were open when it started, at the
// start of those that came later, and not in those that were closed before;
// what the stream forgets it forgets.
func TestWhereAChannelGoesOn(t *testing.T) {
	s := New()
	if err := s.Apply(Event{Created: testStream(4)}); err != nil {
		t.Fatal(err)
	}
	for _, e := range channelEvents() {
		if err := s.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	at := func() (out []any) {
		for shard := range uint32(4) {
			from, ok := s.Channels["c1"].From(shard)
			out = append(out, from, ok)
		}
		return out
	}
	if got := at(); !reflect.DeepEqual(got, []any{uint64(7), true, uint64(9), true, uint64(0), true, uint64(0), true}) {
		t.Errorf("got %v", got)
	}
	st := *s.Streams["id"]
	st.Shards = st.Shards[1:]
	s.Streams["id"] = &st
	if err := s.Apply(Event{Channel: &ChannelEvent{Written: &ChannelWritten{ID: "c1", Delivery: "d1", Next: map[uint32]uint64{2: 3}}}}); err != nil {
		t.Fatal(err)
	}
	if got := at(); !reflect.DeepEqual(got, []any{uint64(0), false, uint64(9), true, uint64(3), true, uint64(0), true}) {
		t.Errorf("got %v", got)
	}
}

func TestApplyRefusesWhatDoesNotFitAChannel(t *testing.T) {
	s := New()
	created := func(change func(*Channel)) ChannelEvent {
		c := testChannel()
		change(c)
		return ChannelEvent{Created: c}
	}
	if err := s.Apply(Event{Channel: &ChannelEvent{Created: testChannel()}}); err == nil {
		t.Error("a channel of no stream: no error")
	}
	for _, e := range []Event{{Created: testStream(1)}, {Channel: &ChannelEvent{Created: testChannel()}}} {
		if err := s.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Apply(Event{Channel: &ChannelEvent{Written: &ChannelWritten{ID: "c1", Delivery: "d1"}}}); err == nil {
		t.Error("a delivery not begun: no error")
	}
	begun := Event{Channel: &ChannelEvent{Planned: &ChannelPlanned{ID: "c1", Delivery: Delivery{ID: "d1"}}}}
	if err := s.Apply(begun); err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]ChannelEvent{
		"another delivery":         {Written: &ChannelWritten{ID: "c1", Delivery: "d0"}},
		"empty event":              {},
		"channel twice":            created(func(c *Channel) { c.Name = "other" }),
		"name twice":               created(func(c *Channel) { c.ID = "other" }),
		"unknown channel":          {Status: &ChannelStatus{ID: "other"}},
		"remove unknown":           {Removed: &ChannelRemoved{ID: "other"}},
		"an unknown one's objects": {Written: &ChannelWritten{ID: "other"}},
	} {
		if err := s.Apply(Event{Channel: &e}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	elsewhere := created(func(c *Channel) { c.ID, c.Region = "other", "us-east-1" })
	if err := s.Apply(Event{Channel: &elsewhere}); err != nil {
		t.Errorf("the same name in another region: %v", err)
	}
	if err := s.Apply(Event{Removed: &Removed{ID: "id"}}); err != nil || len(s.Channels) != 0 {
		t.Errorf("%v, a stream leaves %d channels behind", err, len(s.Channels))
	}
}

func TestChannelARNs(t *testing.T) {
	c := testChannel()
	if scope, id, ok := ParseChannelARN(c.ARN()); !ok || id != "c1" || scope != c.Scope {
		t.Errorf("ParseChannelARN(%s) = %v, %s, %v", c.ARN(), scope, id, ok)
	}
	for _, bad := range []string{"", "arn:aws:kinesis:r:123456789012:channel/", "arn:aws:kinesis:r:12345678901:channel/a",
		"arn:aws:dynamodb:r:123456789012:channel/a", "arn:aws:kinesis:r:123456789012:stream/a", "arn:x:kinesis:r:123456789012:channel/a"} {
		if _, _, ok := ParseChannelARN(bad); ok {
			t.Errorf("ParseChannelARN(%q) is accepted", bad)
		}
	}
}
