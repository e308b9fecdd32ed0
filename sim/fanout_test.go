package sim

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/localstream"
)

// Where nothing fails, a subscriber subscribes anew only when it wants to, or after
// five minutes, and is given all of the stream, in JSON and in CBOR.
func TestFanOutInPeace(t *testing.T) {
	reached, encodings := map[string]int{}, map[bool]int{}
	for seed := uint64(1); seed <= 3; seed++ {
		seedEverything(t, seed)
		plan := NewPlan(seed, 8*time.Minute)
		plan.Faults, plan.FanOut, plan.Workers, plan.Actions = []Fault{Reshard}, true, 1, nil
		for at := 7 * time.Minute; at < plan.For; at += 15 * time.Second {
			plan.Actions = append(plan.Actions, Action{At: at, Fault: Reshard, Rate: 1})
		}
		var r *Result
		synctest.Test(t, func(*testing.T) { r = Run(plan, false, nil) })
		if !r.OK() {
			t.Errorf("%v", r)
		}
		for what, n := range r.Reached {
			reached[what] += n
		}
		encodings[plan.speaksCBOR(fanOutName)]++
	}
	for what, least := range map[string]int{"subscription: over": 1, "subscription: end of the shard": 4, "record pushed in peace": 100} {
		if n := reached[what]; n < least {
			t.Errorf("%s: %d times, want %d", what, n, least)
		}
	}
	for _, never := range []string{"subscription: broken", "subscription: silent"} {
		if n := reached[never]; n > 0 {
			t.Errorf("%s: %d times", never, n)
		}
	}
	if encodings[true] == 0 || encodings[false] == 0 {
		t.Errorf("in CBOR: %v", encodings)
	}
}

// The account of a shard has to be what the log has.
func TestAccounts(t *testing.T) {
	at := time.UnixMilli(1_000_000)
	raw := func(n int) history.Raw {
		return history.Raw{Sequence: fmt.Sprint(100 + 10*n), Key: "k", Arrival: at, Data: []byte{byte(n)}}
	}
	child := types.ChildShard{ShardId: aws.String("b"), ParentShards: []string{"a"},
		HashKeyRange: &types.HashKeyRange{StartingHashKey: aws.String("0"), EndingHashKey: aws.String("9")}}
	for name, c := range map[string]struct {
		change func(a *account, s *history.Shard)
		want   string // part of the failure, empty for none
	}{
		"as it is": {func(*account, *history.Shard) {}, ""},
		"lost":     {func(a *account, _ *history.Shard) { a.got = append(a.got[:1], a.got[2]) }, "120 came as record 1, and 110 was due"},
		"again":    {func(a *account, _ *history.Shard) { a.got = append(a.got, a.got[2]) }, "120 came behind the last record"},
		"again at the tip": {func(a *account, _ *history.Shard) {
			a.got, a.marks = append(a.got, a.got[2]), append(a.marks, bookmark{4, "120"})
		}, "120 came behind the last record"},
		"out of order": {func(a *account, _ *history.Shard) { a.got[0], a.got[1] = a.got[1], a.got[0] },
			"110 came as record 0, and 100 was due"},
		"not to the end":             {func(a *account, _ *history.Shard) { a.got = a.got[:2] }, "2 of 3 records came, without 120"},
		"with other data":            {func(a *account, _ *history.Shard) { a.got[1].Data = nil }, "110 was altered"},
		"with another key":           {func(a *account, _ *history.Shard) { a.got[1].Key = "l" }, "110 was altered"},
		"at another time":            {func(a *account, _ *history.Shard) { a.got[1].Arrival = at.Add(time.Millisecond) }, "110 is said to have arrived"},
		"goes on too late":           {func(a *account, _ *history.Shard) { a.marks[0].number = "120" }, "told to go on after 120 in front of 120"},
		"goes on too early":          {func(a *account, _ *history.Shard) { a.marks[0].number = "109" }, "told to go on after 109 behind 110"},
		"goes on before the first":   {func(a *account, _ *history.Shard) { a.marks[0] = bookmark{0, "9"} }, ""},
		"goes on in between":         {func(a *account, _ *history.Shard) { a.marks[0].number = "119" }, ""},
		"told of no end":             {func(a *account, _ *history.Shard) { a.over, a.children = false, nil }, "told that it has ended: false"},
		"told of an end":             {func(_ *account, s *history.Shard) { s.EndSequence = "" }, "told that it has ended: true"},
		"told of no child":           {func(a *account, _ *history.Shard) { a.children = nil }, "its children are said to be []"},
		"told of another parent":     {func(a *account, _ *history.Shard) { a.children[0].ParentShards = []string{"c"} }, "its children are said to be [b of [c] with 0 to 9]"},
		"nobody told of the shard":   {func(a *account, _ *history.Shard) { a.begun = false }, "nobody said that there is a"},
		"nobody told of the child":   {func(a *account, _ *history.Shard) { a.shard = "c" }, "nobody said that there is b"},
		"a failure is one of a kind": {func(a *account, _ *history.Shard) { a.got, a.marks = a.got[:1], []bookmark{{1, "0"}} }, "1 of 3 records came"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(Plan{}, false, nil)
			defer w.redis.mini.Close()
			s := history.Shard{ID: "a", EndSequence: "200", Records: []history.Raw{raw(0), raw(1), raw(2)}}
			a := &account{shard: "a", begun: true, over: true, got: []history.Raw{raw(0), raw(1), raw(2)}, marks: []bookmark{{2, "110"}},
				children: []types.ChildShard{child}}
			c.change(a, &s)
			f := &fanOut{world: w, shards: map[string]*account{"a": a, "b": {shard: "b", begun: true}}}
			if a.shard == "c" {
				delete(f.shards, "b")
			}
			f.judge(history.Stream{Shards: []history.Shard{s, {ID: "b", Parents: []string{"a"}, StartHashKey: "0", EndHashKey: "9"}}})
			got := strings.Join(w.failures, "; ")
			if (c.want == "") != (got == "") || !strings.Contains(got, c.want) || len(w.failures) > 1 {
				t.Errorf("failed for %q, want %q", got, c.want)
			}
		})
	}
}

// A record that comes late in peace is a failure, and one that a fault kept is not.
func TestPushes(t *testing.T) {
	for name, c := range map[string]struct {
		lag   time.Duration
		fault string
		want  string
	}{
		"soon":          {pushLag, "", ""},
		"late":          {pushLag + 1, "", "comes 1.000000001s after it arrived"},
		"late in storm": {time.Minute, string(ServerCrash), ""},
		"late by link":  {time.Minute, fanOutName + ">kinesis", ""},
		"late beside":   {time.Minute, "worker-0>kinesis", "comes 1m0s after it arrived"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(Plan{}, false, nil)
				defer w.redis.mini.Close()
				time.Sleep(time.Hour)
				if c.fault != "" {
					w.storms.begin(c.fault)()
				}
				f := &fanOut{world: w, node: w.newNode(fanOutName)}
				f.pushed(&account{shard: "a"}, history.Raw{Sequence: "1", Arrival: time.Now().Add(-c.lag)})
				said(t, w, c.want)
			})
		})
	}
}

// A server that says nothing is a failure in peace, and not when a fault may have
// taken what it said.
func TestSilence(t *testing.T) {
	for name, c := range map[string]struct {
		quiet, ago time.Duration // since an event came, and since the fault ended
		fault      string
		want       string
	}{
		"in peace":        {silence, 0, "", "no event for 15s"},
		"in a storm":      {silence, 0, string(ServerErrors), ""},
		"by the link":     {silence, silence + underWayFor, fanOutName + ">kinesis", ""},
		"long after that": {silence, silence + underWayFor + 1, fanOutName + ">kinesis", "no event for 15s"},
		"with a backlog":  {time.Minute, 50 * time.Second, fanOutName + ">kinesis", ""},
		"beside a fault":  {silence, 0, "worker-0>kinesis", "no event for 15s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(Plan{}, false, nil)
				defer w.redis.mini.Close()
				time.Sleep(time.Hour)
				if c.fault != "" {
					end := w.storms.begin(c.fault)
					if c.ago > 0 {
						end()
						time.Sleep(c.ago)
					}
				}
				f := &fanOut{world: w, node: w.newNode(fanOutName)}
				f.silent(&account{shard: "a"}, "no event", time.Now().Add(-c.quiet))
				said(t, w, c.want)
			})
		})
	}
}

// The reader itself tells that a server hangs, with an answer or with an event.
func TestTheReaderTellsThatTheServerHangs(t *testing.T) {
	for operation, want := range map[string]string{"SubscribeToShard": "no answer to SubscribeToShard for 5", subscribedEvents: "no event for 1"} {
		t.Run(operation, func(t *testing.T) {
			seedEverything(t, 1)
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(Plan{Seed: 1, Shards: 1, For: time.Minute}, false, nil)
				w.life, w.end = context.WithCancel(t.Context())
				defer w.stop()
				var err error
				if w.kinesis, err = newKinesis(nil, &w.work, w.source, localstream.LimitsOff, 0); err != nil {
					t.Fatal(err)
				}
				if err := w.create(); err != nil {
					t.Fatal(err)
				}
				w.subscribes()
				time.Sleep(time.Hour)
				said(t, w, "")
				server, _ := w.kinesis.current()
				server.Inject(localstream.Fault{Operation: operation, Action: localstream.Delay, Delay: 2 * silence})
				time.Sleep(time.Hour)
				said(t, w, want)
			})
		})
	}
}
