package sim

import (
	"slices"
	"time"
)

// Fault is one kind of trouble. Each run has some of them, by its seed.
type Fault string

// The faults.
const (
	LinkDelay     Fault = "link delay"         // messages take up to seconds
	LinkDrop      Fault = "link drop"          // requests are lost, callers wait
	LinkLoseReply Fault = "link lose reply"    // requests arrive, answers do not
	LinkReset     Fault = "link reset"         // connections break, before or after the request arrived
	LinkDuplicate Fault = "link duplicate"     // requests to Kinesis arrive twice
	LinkCut       Fault = "link cut"           // half-open: nothing passes for a while, nobody is told
	WorkerCrash   Fault = "worker crash"       // and another starts later, under the same name or a new one
	WorkerPause   Fault = "worker pause"       // for up to three lease times
	WorkerSlow    Fault = "worker slow"        // everything takes up to 50 times as long
	WorkerDrain   Fault = "worker drain"       // scaling in and out
	WriterCrash   Fault = "writer crash"       // and another starts later
	HandlerError  Fault = "handler error"      // errors, partial successes and panics
	HandlerSlow   Fault = "handler slow"       // some calls take longer than the lease time
	ServerCrash   Fault = "server crash"       // power failure of the Kinesis server
	ServerDisk    Fault = "server disk"        // one operation of its disk fails: EIO, short write, no space, lost sync
	ServerErrors  Fault = "server errors"      // throttling, internal failures, expired iterators
	ServerRot     Fault = "server bit rot"     // bits of its log flip while it is down
	RedisDown     Fault = "redis down"         // restarts, nothing is lost
	RedisSuffix   Fault = "redis loses suffix" // its latest writes, as at a failover
	RedisAll      Fault = "redis loses all"    // while workers run
	RedisGone     Fault = "redis loses group"  // everything, and no worker is left to remember it
	RedisClock    Fault = "redis clock"        // jumps by up to an hour
	Reshard       Fault = "reshard storm"      // splits, merges, UpdateShardCount
)

// Kind is what is known of a [Fault].
type Kind struct {
	Fault Fault
	// Every is about how much time passes between two of them in a run.
	Every time.Duration
	// Off is why no run has it, unless it is asked for by name: what would
	// survive it does not exist yet. Empty for those that runs have.
	Off string
}

// Kinds are all faults.
func Kinds() []Kind {
	return []Kind{
		{Fault: LinkDelay, Every: 30 * time.Second},
		{Fault: LinkDrop, Every: 30 * time.Second},
		{Fault: LinkLoseReply, Every: 30 * time.Second},
		{Fault: LinkReset, Every: 30 * time.Second},
		{Fault: LinkDuplicate, Every: 30 * time.Second},
		{Fault: LinkCut, Every: 45 * time.Second},
		{Fault: WorkerCrash, Every: time.Minute},
		{Fault: WorkerPause, Every: time.Minute},
		{Fault: WorkerSlow, Every: time.Minute},
		{Fault: WorkerDrain, Every: 45 * time.Second},
		{Fault: WriterCrash, Every: 90 * time.Second},
		{Fault: HandlerError, Every: 30 * time.Second},
		{Fault: HandlerSlow, Every: 90 * time.Second},
		{Fault: ServerCrash, Every: 75 * time.Second},
		{Fault: ServerDisk, Every: 90 * time.Second},
		{Fault: ServerErrors, Every: 20 * time.Second},
		{Fault: ServerRot, Every: 3 * time.Minute, Off: "damage is found and refused; until it can be repaired the run cannot heal"},
		{Fault: RedisDown, Every: 75 * time.Second},
		{Fault: RedisSuffix, Every: 75 * time.Second},
		{Fault: RedisAll, Every: 150 * time.Second},
		{Fault: RedisGone, Every: 4 * time.Minute, Off: "looks like a first start: a group that starts at the tip skips records; needs a policy for lost state"},
		{Fault: RedisClock, Every: time.Minute},
		{Fault: Reshard, Every: 25 * time.Second},
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
