package sim

import "slices"

// Fault is one kind of trouble. Each run has some of them, by its seed.
type Fault string

// The faults that runs have.
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
	HandlerError  Fault = "handler error"      // errors, partial successes and panics
	HandlerSlow   Fault = "handler slow"       // some calls take longer than the lease time
	ServerCrash   Fault = "server crash"       // power failure of the Kinesis server
	ServerDisk    Fault = "server disk"        // one operation of its disk fails: EIO, short write, no space, lost sync
	ServerErrors  Fault = "server errors"      // throttling, internal failures, expired iterators
	RedisDown     Fault = "redis down"         // restarts, nothing is lost
	RedisSuffix   Fault = "redis loses suffix" // its latest writes, as at a failover
	RedisAll      Fault = "redis loses all"    // while workers run
	RedisClock    Fault = "redis clock"        // jumps by up to an hour
	Reshard       Fault = "reshard storm"      // splits, merges, UpdateShardCount
)

// Faults are all of them.
func Faults() []Fault {
	return []Fault{
		LinkDelay, LinkDrop, LinkLoseReply, LinkReset, LinkDuplicate, LinkCut,
		WorkerCrash, WorkerPause, WorkerSlow, WorkerDrain, HandlerError, HandlerSlow,
		ServerCrash, ServerDisk, ServerErrors, RedisDown, RedisSuffix, RedisAll, RedisClock, Reshard,
	}
}

// Absent is trouble that no run has, because what would survive it does not
// exist.
type Absent struct {
	Fault  Fault
	Reason string
}

// AbsentFaults are the troubles that are off, and what they wait for.
func AbsentFaults() []Absent {
	return []Absent{
		{"producer crash", "a producer has no spool: what it had not sent is lost with it, and nothing can be asserted"},
		{"redis loses all, no worker alive", "looks like a first start: workers begin at StartAt again; needs the policy for lost state"},
		{"redis split brain", "two primaries for a while need a simulated replica"},
		{"stream deleted and made anew", "its leases are not collected yet"},
		{"retention", "records expire only after 24 hours"},
		{"fan-out subscription breaks", "there is no enhanced fan-out yet"},
		{"bit rot", "damage is refused, and there is no repair yet: the run could not heal"},
	}
}

// has reports whether a plan has a fault.
func (p *Plan) has(f Fault) bool { return slices.Contains(p.Faults, f) }
