package sim

import (
	"slices"
	"time"
)

// Fault is one kind of trouble. Each run has some of them, by its seed.
type Fault string

// The faults.
const (
	LinkDelay     Fault = "link delay"
	LinkDrop      Fault = "link drop"
	LinkLoseReply Fault = "link lose reply"
	LinkReset     Fault = "link reset"
	LinkDuplicate Fault = "link duplicate"
	LinkCut       Fault = "link cut"
	WorkerCrash   Fault = "worker crash"
	WorkerPause   Fault = "worker pause"
	WorkerSlow    Fault = "worker slow"
	WorkerDrain   Fault = "worker drain"
	WorkerTwin    Fault = "worker twin"
	WriterCrash   Fault = "writer crash"
	HandlerError  Fault = "handler error"
	HandlerSlow   Fault = "handler slow"
	ServerCrash   Fault = "server crash"
	ServerDisk    Fault = "server disk"
	ServerErrors  Fault = "server errors"
	ServerRot     Fault = "server bit rot"
	RedisDown     Fault = "redis down"
	RedisSuffix   Fault = "redis loses suffix"
	RedisAll      Fault = "redis loses all"
	RedisGone     Fault = "redis loses group"
	RedisClock    Fault = "redis clock"
	Reshard       Fault = "reshard storm"
)

// Kind is what is known of a [Fault].
type Kind struct {
	Fault Fault
	// What says what happens.
	What string
	// Every is about how much time passes between two of them in a run.
	Every time.Duration
	// Off is why no run has it, unless it is asked for by name: what would
	// survive it does not exist yet. Empty for those that runs have.
	Off string
}

// Kinds are all faults.
func Kinds() []Kind {
	return []Kind{
		{Fault: LinkDelay, What: "messages take up to seconds", Every: 30 * time.Second},
		{Fault: LinkDrop, What: "requests are lost, callers wait", Every: 30 * time.Second},
		{Fault: LinkLoseReply, What: "requests arrive, answers do not", Every: 30 * time.Second},
		{Fault: LinkReset, What: "connections break, before or after the request arrived", Every: 30 * time.Second},
		{Fault: LinkDuplicate, What: "requests to Kinesis arrive twice", Every: 30 * time.Second},
		{Fault: LinkCut, What: "half-open: nothing passes for a while, nobody is told", Every: 45 * time.Second},
		{Fault: WorkerCrash, What: "and another starts later, under the same name or a new one", Every: time.Minute},
		{Fault: WorkerPause, What: "for up to three lease times", Every: time.Minute},
		{Fault: WorkerSlow, What: "everything takes up to 50 times as long", Every: time.Minute},
		{Fault: WorkerDrain, What: "scaling in and out", Every: 45 * time.Second},
		{Fault: WorkerTwin, What: "another starts under its name while it runs, or while it stops", Every: 75 * time.Second},
		{Fault: WriterCrash, What: "and another starts later", Every: 90 * time.Second},
		{Fault: HandlerError, What: "errors, partial successes and panics; destinations fail too", Every: 20 * time.Second},
		{Fault: HandlerSlow, What: "some calls take longer than the lease time, whatever their context says", Every: 25 * time.Second},
		{Fault: ServerCrash, What: "power failure of the Kinesis server", Every: 75 * time.Second},
		{Fault: ServerDisk, What: "one operation of its disk fails: EIO, short write, no space, lost sync", Every: 90 * time.Second},
		{Fault: ServerErrors, What: "throttling, internal failures, expired iterators", Every: 20 * time.Second},
		{Fault: ServerRot, What: "bits of its log flip while it is down", Every: 3 * time.Minute, Off: "damage is found and refused; until it can be repaired the run cannot heal"},
		{Fault: RedisDown, What: "restarts, nothing is lost", Every: 75 * time.Second},
		{Fault: RedisSuffix, What: "its latest writes, as at a failover", Every: 75 * time.Second},
		{Fault: RedisAll, What: "while workers run", Every: 150 * time.Second},
		{Fault: RedisGone, What: "everything, and no worker is left to remember it; a group that starts at the tip may skip what came before", Every: 2 * time.Minute},
		{Fault: RedisClock, What: "jumps by up to an hour", Every: time.Minute},
		{Fault: Reshard, What: "splits, merges, UpdateShardCount; some while a producer is in a rush, over a bad link", Every: 25 * time.Second},
	}
}

// kindOf is what is known of a fault, false for none.
func kindOf(f Fault) (Kind, bool) {
	kinds := Kinds()
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Fault == f })
	if i < 0 {
		return Kind{}, false
	}
	return kinds[i], true
}
