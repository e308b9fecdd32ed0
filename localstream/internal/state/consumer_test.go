package state

import (
	"reflect"
	"testing"
	"time"
)

func apply(t *testing.T, s *State, events ...Event) {
	t.Helper()
	for _, e := range events {
		b, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if e, err = DecodeEvent(b); err != nil {
			t.Fatal(err)
		}
		if err := s.Apply(e); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
	}
}

func consumer(name string, status Status) Consumer {
	return NewConsumer(name, map[string]string{"k": "v"}, status, testTime, 0)
}

func TestConsumersComeAndGo(t *testing.T) {
	s := New()
	apply(t, s, Event{Created: testStream(1)})
	before := s.Streams["id"]
	for _, name := range []string{"c", "a", "b"} {
		apply(t, s, Event{Registered: &ConsumerRegistered{ID: "id", Consumer: consumer(name, Creating)}})
	}
	apply(t, s,
		Event{Consumer: &ConsumerChanged{ID: "id", Name: "a", Status: Active}},
		Event{Deregistered: &ConsumerRemoved{ID: "id", Name: "b"}})
	if want := []Consumer{consumer("a", Active), consumer("c", Creating)}; !reflect.DeepEqual(s.Streams["id"].Consumers, want) {
		t.Errorf("got %+v, want %+v", s.Streams["id"].Consumers, want)
	}
	if len(before.Consumers) != 0 {
		t.Error("a stream that was published was changed")
	}
	if c, ok := s.Streams["id"].Consumer("c"); !ok || c.Status != Creating {
		t.Errorf("consumer c is %+v, %t", c, ok)
	}
	if _, ok := s.Streams["id"].Consumer("b"); ok {
		t.Error("b is still there")
	}
	for name, e := range map[string]Event{
		"registered twice":      {Registered: &ConsumerRegistered{ID: "id", Consumer: consumer("a", Active)}},
		"of an unknown stream":  {Registered: &ConsumerRegistered{ID: "x", Consumer: consumer("d", Active)}},
		"a change of no one":    {Consumer: &ConsumerChanged{ID: "id", Name: "d", Status: Active}},
		"the end of no one":     {Deregistered: &ConsumerRemoved{ID: "id", Name: "d"}},
		"an end in no stream":   {Deregistered: &ConsumerRemoved{ID: "x", Name: "a"}},
		"a change in no stream": {Consumer: &ConsumerChanged{ID: "x", Name: "a", Status: Active}},
	} {
		if err := s.Apply(e); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if got := s.RetiredConsumer; got != testTime.Unix() {
		t.Errorf("retired %d after a refused event, want %d", got, testTime.Unix())
	}
}

// Whatever the clock does, a consumer that takes the name of one that was
// removed, by itself or with its stream, has another ARN.
func TestAnARNIsNeverThatOfAnEarlierConsumer(t *testing.T) {
	s := New()
	seen := map[string]bool{}
	for i := range 6 {
		if i%3 == 0 {
			apply(t, s, Event{Created: testStream(1)})
		}
		c := NewConsumer("c", nil, Active, testTime.Add(-time.Duration(i)*time.Minute), s.RetiredConsumer)
		if arn := c.ARN(s.Streams["id"].Key); seen[arn] {
			t.Fatalf("%s again", arn)
		} else {
			seen[arn] = true
		}
		apply(t, s, Event{Registered: &ConsumerRegistered{ID: "id", Consumer: c}})
		if i%3 == 2 {
			apply(t, s, Event{Removed: &Removed{ID: "id"}})
		} else {
			apply(t, s, Event{Deregistered: &ConsumerRemoved{ID: "id", Name: "c"}})
		}
	}
	if c := NewConsumer("c", nil, Active, testTime.Add(time.Hour), s.RetiredConsumer); c.Created != testTime.Add(time.Hour).UnixMilli() {
		t.Errorf("created at %d, want now", c.Created)
	}
}

func TestConsumerARNs(t *testing.T) {
	k := Key{Scope{"123456789012", "eu-west-1"}, "a.b_c-1"}
	arn := consumer("x-1.y_z", Active).ARN(k)
	if want := "arn:aws:kinesis:eu-west-1:123456789012:stream/a.b_c-1/consumer/x-1.y_z:1800000000"; arn != want {
		t.Errorf("got %s, want %s", arn, want)
	}
	if stream, name, secs, ok := ParseConsumerARN(arn); !ok || stream != k || name != "x-1.y_z" || secs != 1800000000 {
		t.Errorf("ParseConsumerARN(%s) = %+v, %s, %d, %t", arn, stream, name, secs, ok)
	}
	for _, bad := range []string{
		"", k.ARN(), k.ARN() + "/consumer/", k.ARN() + "/consumer/a", k.ARN() + "/consumer/:1", k.ARN() + "/consumer/a:",
		k.ARN() + "/consumer/a:x", k.ARN() + "/consumer/a:-1", k.ARN() + "/consumer/a:+1", k.ARN() + "/consumer/a:1:2",
		k.ARN() + "/consumer/a:99999999999999999999", k.ARN() + "/x/consumer/a:1", "arn:aws:s3:::stream/a/consumer/a:1",
	} {
		if _, _, _, ok := ParseConsumerARN(bad); ok {
			t.Errorf("ParseConsumerARN(%q) is accepted", bad)
		}
	}
}

// What a server wrote before there were consumers is read as it was.
func TestJournalsWithoutConsumers(t *testing.T) {
	s := New()
	for _, old := range []string{
		`{"snapshot":{"boot":3,"secret":"c2VjcmV0","streams":{"id":{"account":"123456789012","region":"eu-west-1","name":"s","id":"id",` +
			`"created":1800000000123,"status":"ACTIVE","retention_hours":24,"max_record_kib":1024,"next_shard":1,"shards":[{"number":0,` +
			`"range":{"Start":{"Hi":0,"Lo":0},"End":{"Hi":18446744073709551615,"Lo":18446744073709551615}},"create_secs":1799999998,"opened":1800000000123,"parent":-1,"adjacent_parent":-1}]}},"retired":5}}`,
		`{"status":{"id":"id","status":"UPDATING"}}`,
	} {
		e, err := DecodeEvent([]byte(old))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	st := s.Streams["id"]
	if s.Boot != 3 || s.Retired != 5 || s.RetiredConsumer != 0 || st.Status != Updating || len(st.Consumers) != 0 || st.OpenCount() != 1 {
		t.Errorf("read %+v, %+v", s, st)
	}
	apply(t, s, Event{Registered: &ConsumerRegistered{ID: "id", Consumer: consumer("a", Active)}})
}
