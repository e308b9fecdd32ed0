package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/consumer"
	"github.com/shardrun/shardrun/internal/aggregate"
)

func TestStartsAreRead(t *testing.T) {
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	for text, want := range map[string]consumer.StartAt{
		"trim": consumer.TrimHorizon(), "START": consumer.TrimHorizon(), "TRIM_HORIZON": consumer.TrimHorizon(),
		"latest": consumer.Latest(), "LATEST": consumer.Latest(), "15m": consumer.AtTimestamp(now.Add(-15 * time.Minute)),
		"2026-01-02T15:04:05Z": consumer.AtTimestamp(now), "START@2026-01-02T15:04:05.000Z": consumer.AtTimestamp(now),
		"2026-01-02T15:05:05Z": consumer.AtTimestamp(now.Add(time.Minute)), // clocks differ
	} {
		if got, err := parseStart("--at", text, now); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"2026-01-02T15:05:06Z":           "--at 2026-01-02T15:05:06Z: that is ahead of now, 2026-01-02T15:04:05Z; a time up to now is accepted",
		"START@2027-01-02T15:05:06.000Z": "is ahead of now",
		"-15m":                           "want latest, trim, a time",
		"SHARD_END":                      "want latest, trim, a time",
		"34:0":                           "want latest, trim, a time",
	} {
		_, err := parseStart("--at", text, now)
		if _, usage := errors.AsType[usageError](err); !usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestTimesToComeAreRefused(t *testing.T) {
	f := newFleet(t, 1)
	ahead := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	f.refused(exitUsage, "--at "+ahead+": that is ahead of now", "leases", "init", "orders", "--group", "billing", "--at", ahead)
	f.ok("leases", "init", "orders", "--group", "billing", "--at", "TRIM_HORIZON")
	f.ok("pause", "billing")
	for _, more := range [][]string{{}, {"--shard", "shardId-000000000000"}} {
		reset := append([]string{"reset", "orders", "--group", "billing", "--yes", "--to"}, append([]string{ahead}, more...)...)
		f.refused(exitUsage, "--to "+ahead+": that is ahead of now", reset...)
	}
	if l := f.leases()["0"]; l.Position != "START" {
		t.Errorf("the lease is at %s", l.Position)
	}
}

func TestAPausedLeaseIsResetAlone(t *testing.T) {
	f := newFleet(t, 2)
	f.start("ann")
	f.states(map[string]string{"0": "held", "1": "held"})
	f.ok("pause", "billing", "--shard", "shardId-000000000001", "--wait")
	reset := []string{"reset", "orders", "--group", "billing", "--to", "START", "--yes", "--shard"}
	f.refused(exitFail, "neither group billing nor its lease is paused", append(reset, "shardId-000000000000")...)
	f.ok(append(reset, "shardId-000000000001")...)
	f.refused(exitFail, "group billing is not paused", "reset", "orders", "--group", "billing", "--to", "START", "--yes")
	f.states(map[string]string{"0": "held", "1": "free"})
}

func TestAResetToARecordThatCannotBeIsRefused(t *testing.T) {
	f := newFleet(t, 1)
	f.ok("leases", "init", "orders", "--group", "billing", "--at", "trim")
	f.put("1")
	var plain, aggregate string
	f.until("an aggregate of three", func() bool { // on a busy machine its first may go alone
		f.put("2", "3", "4")
		all := jsonLines[tailed](t, f.ok("tail", "orders", "--from", "trim", "--no-follow", "--json"))
		last := all[len(all)-1]
		plain, aggregate = all[0].SequenceNumber, last.SequenceNumber
		return last.SubSequenceNumber == 2
	})
	f.ok("pause", "billing")
	reset := []string{"reset", "orders", "--group", "billing", "--shard", "shardId-000000000000", "--yes", "--to"}
	f.refused(exitUsage, "is no aggregate: its only sub-sequence number is 0, not 1", append(reset, plain+":1")...)
	f.refused(exitUsage, "is an aggregate of 3: its sub-sequence numbers are from 0 to 2, not 9999", append(reset, aggregate+":9999")...)
	if out := f.ok(append(reset, aggregate+":2")...); !strings.Contains(out, aggregate+":2\n") {
		t.Errorf("printed %s", out)
	}
	f.ok(append(reset, plain)...)
	if out := f.ok("leases", "billing"); !strings.Contains(out, plain+":0 ") {
		t.Errorf("a position without a number in an aggregate:\n%s", out)
	}
}

func TestSubsequencesOfARecord(t *testing.T) {
	var b aggregate.Builder
	b.Add("k", "", []byte("a"))
	b.Add("k", "", []byte("b"))
	two := b.Append(nil)
	for _, c := range []struct {
		data []byte
		sub  uint64
		ok   bool
	}{{two, 0, true}, {two, 1, true}, {two, 2, false}, {two, 1 << 63, false}, {[]byte("plain"), 1, false}} {
		if err := checkSubsequence(c.data, checkpoint.At("34", c.sub)); (err == nil) != c.ok {
			t.Errorf("%d bytes, %d: %v", len(c.data), c.sub, err)
		}
	}
}
