package sim

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/shardrun/shardrun/internal/history"
)

// pushLag is how long a record may take from the log to a subscriber who waits, where
// there is no fault.
const pushLag = time.Second

// pushed fails the run when a record came late that nothing kept from a subscriber.
func (f *fanOut) pushed(a *account, r history.Raw) {
	w, lag := f.world, time.Since(r.Arrival)
	if w.storms.lull(onTheWay(f.node)) < lag+time.Minute {
		return
	}
	if w.reach("record pushed in peace"); lag > pushLag {
		w.fail("%s: %s of %s comes %v after it arrived", fanOutName, r.Sequence, a.shard, lag)
	}
}

// underWayFor is longer than anything takes to a subscriber, also over a bad link.
const underWayFor = 10 * time.Second

// silent fails the run when nothing came that was due, and nothing kept it from a
// subscriber since all that was due had come.
func (f *fanOut) silent(a *account, what string, heard time.Time) {
	quiet := time.Since(heard)
	if f.world.storms.lull(onTheWay(f.node)) > quiet+underWayFor {
		f.world.fail("%s: %s: %s for %v", fanOutName, a.shard, what, quiet)
	}
}

// fanOutTime is how long the reader may take to the end of the stream when the faults
// are over: to see that a subscription is silent, be busy, and subscribe anew.
const fanOutTime = 4*silence + time.Minute

// finish waits until the reader has all that the log has, and ends it.
func (f *fanOut) finish() {
	w := f.world
	for end := time.Now().Add(fanOutTime); time.Now().Before(end); {
		if truth, err := w.truth(); err == nil && f.hasAll(truth) {
			break
		}
		sleep(w.life, time.Second)
	}
	f.end()
	<-f.ended
}

// hasAll reports whether the reader has come to the end of every shard.
func (f *fanOut) hasAll(truth history.Stream) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range truth.Shards {
		a := f.shards[s.ID]
		if a == nil || a.over != (s.EndSequence != "") || !a.over && len(a.got) < len(s.Records) {
			return false
		}
	}
	return true
}

// judge fails the run unless the reader, which has ended, was given each shard of the
// stream: its records in order, each once and as it is, and its children at its end.
func (f *fanOut) judge(truth history.Stream) {
	for _, s := range truth.Shards {
		a := f.shards[s.ID]
		if a == nil || !a.begun {
			f.world.fail("%s: nobody said that there is %s", fanOutName, s.ID)
			continue
		}
		if wrong := a.wrong(s, truth); wrong != "" {
			f.world.fail("%s: %s: %s", fanOutName, s.ID, wrong)
		}
		f.world.reach("shard read by fan-out")
	}
}

// wrong says the first thing that is wrong with what was told of a shard.
func (a *account) wrong(s history.Shard, truth history.Stream) string {
	if wrong := a.records(s); wrong != "" {
		return wrong
	}
	if wrong := a.numbers(s); wrong != "" {
		return wrong
	}
	return a.ends(s, truth)
}

// records says what is wrong with the records of a shard.
func (a *account) records(s history.Shard) string {
	for i, r := range a.got {
		switch {
		case i == len(s.Records):
			return fmt.Sprintf("%s came behind the last record", r.Sequence)
		case r.Sequence != s.Records[i].Sequence:
			return fmt.Sprintf("%s came as record %d, and %s was due", r.Sequence, i, s.Records[i].Sequence)
		case r.Key != s.Records[i].Key || !bytes.Equal(r.Data, s.Records[i].Data):
			return fmt.Sprintf("%s was altered", r.Sequence)
		case r.Arrival.UnixMilli() != s.Records[i].Arrival.UnixMilli():
			return fmt.Sprintf("%s is said to have arrived at %v, and did at %v", r.Sequence, r.Arrival.UTC(), s.Records[i].Arrival.UTC())
		}
	}
	if n := len(a.got); n < len(s.Records) {
		return fmt.Sprintf("%d of %d records came, without %s", n, len(s.Records), s.Records[n].Sequence)
	}
	return ""
}

// numbers says what is wrong with the continuation numbers: each is at or above the
// last record that came, and below the next one. The records have to be those of the
// shard, as records found them.
func (a *account) numbers(s history.Shard) string {
	for _, m := range a.marks {
		switch n := m.records; {
		case n > 0 && below(m.number, s.Records[n-1].Sequence):
			return fmt.Sprintf("told to go on after %s behind %s", m.number, s.Records[n-1].Sequence)
		case n < len(s.Records) && !below(m.number, s.Records[n].Sequence):
			return fmt.Sprintf("told to go on after %s in front of %s", m.number, s.Records[n].Sequence)
		}
	}
	return ""
}

// below reports whether a sequence number is less than another.
func below(a, b string) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}

// ends says what is wrong with what was told of the end of a shard.
func (a *account) ends(s history.Shard, truth history.Stream) string {
	if closed := s.EndSequence != ""; a.over != closed {
		return fmt.Sprintf("told that it has ended: %v, and it has: %v", a.over, closed)
	}
	var got, want []string
	for _, c := range a.children {
		got = append(got, child(aws.ToString(c.ShardId), c.ParentShards, aws.ToString(c.HashKeyRange.StartingHashKey), aws.ToString(c.HashKeyRange.EndingHashKey)))
	}
	for _, c := range truth.Shards {
		if a.over && slices.Contains(c.Parents, s.ID) {
			want = append(want, child(c.ID, c.Parents, c.StartHashKey, c.EndHashKey))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Sprintf("its children are said to be %v, and are %v", got, want)
	}
	return ""
}

func child(id string, parents []string, first, last string) string {
	return fmt.Sprintf("%s of %v with %s to %s", id, parents, first, last)
}
