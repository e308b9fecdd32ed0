package protocol

// The models that are explored. Each is a small part of the protocol with the
// faults that bear on it, so that its states can be counted to the last.

// lineage is S1 → a, b; S2 → c, d; b + c → m. Nobody takes a and d, which have no
// part in what can go wrong.
func lineage() (shards [][]int, passive uint8) {
	return [][]int{nil, nil, {0}, {0}, {1}, {1}, {3, 4}}, 1<<2 | 1<<5
}

// one is a stream of one shard, split one that is split, diamond one that is split
// and merged.
func one() [][]int     { return [][]int{nil} }
func split() [][]int   { return [][]int{nil, {0}, {0}} }
func diamond() [][]int { return [][]int{nil, {0}, {0}, {1, 2}} }

// bound is how often faults may happen.
func bound(pairs ...uint8) (out [faults]uint8) {
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = pairs[i+1]
	}
	return out
}

// Models are the small ones.
func Models() []Model {
	shards, passive := lineage()
	return []Model{{
		// Saves, releases and completes that arrive late, and in another order.
		Name: "fence", Workers: 2, Sessions: 2, Shards: one(), Records: 2, Tokens: 1, Calls: 2, Sample: 40,
	}, {
		Name: "fence and failover", Workers: 2, Sessions: 2, Shards: one(), Records: 1, Tokens: 1, Calls: 1, Sample: 40,
		Faults: bound(snapshots, 1, failovers, 1),
	}, {
		Name: "restart", Workers: 2, Sessions: 3, Shards: one(), Records: 1, Tokens: 1, Calls: 2, Sample: 40,
		Faults: bound(crashes, 1),
	}, {
		Name: "reset", Workers: 2, Sessions: 2, Shards: one(), Records: 2, Tokens: 1, Calls: 1, Sample: 20,
		Faults: bound(operations, 1),
	}, {
		// Who believes in a lease, when.
		Name: "session time", Workers: 2, Sessions: 2, Shards: one(), Tokens: 1, Calls: 1, TTL: 2, Exclusive: true, Sample: 100,
	}, {
		Name: "lineage", Workers: 1, Sessions: 1, Shards: shards, Passive: passive, Records: 1, Tokens: 6, Calls: 1, Lean: true, Sample: 30,
	}, {
		// A worker that sees the table through beats, and loses calls and answers.
		Name: "reconcile", Workers: 1, Sessions: 1, Shards: one(), Records: 1, Tokens: 2, Calls: 1, Beats: 4, Views: true, Sample: 20,
	}, {
		// Beats that are executed twice, and lost writes.
		Name: "beats and failover", Workers: 2, Sessions: 2, Shards: one(), Tokens: 1, Calls: 1, Beats: 3, Views: true, Steady: true, Sample: 50,
		Faults: bound(snapshots, 1, failovers, 1, repeats, 1),
	}, {
		Name: "beats lost, and failover", Workers: 2, Sessions: 2, Shards: one(), Records: 1, Tokens: 1, Calls: 1, Beats: 4, Views: true, Lean: true, Steady: true, Sample: 50,
		Faults: bound(snapshots, 1, failovers, 1),
	}, {
		Name: "hand-over", Workers: 2, Sessions: 2, Shards: one(), Tokens: 1, Calls: 1, Beats: 4, Views: true, Wants: true, Sample: 40,
		Faults: bound(operations, 1),
	}, {
		Name: "drain", Workers: 2, Sessions: 2, Held: true, Shards: one(), Tokens: 1, Calls: 1, Beats: 4, Views: true, Drains: true, Sample: 50,
		Faults: bound(crashes, 1),
	}, {
		Name: "state loss", Workers: 2, Sessions: 2, Shards: split(), Passive: 1 << 2, Records: 1, Tokens: 1, Calls: 1, Lean: true, Memory: true, Sample: 60,
		Faults: bound(losses, 1),
	}, {
		Name: "gc and retire", Workers: 1, Sessions: 1, Shards: diamond(), Records: 1, Tokens: 4, Calls: 1, Lean: true, Audit: true, Sample: 50,
		Faults: bound(operations, 2),
	}, {
		Name: "adopt", Workers: 1, Sessions: 1, Shards: diamond(), Records: 1, Tokens: 4, Calls: 1, Lean: true, Audit: true, Damage: true, Sample: 20,
		Faults: bound(operations, 1),
	}}
}

// Larger are the same parts within wider bounds, in minutes.
func Larger() []Model {
	shards, passive := lineage()
	const most = 8_000_000 // states, for the memory
	out := []Model{{
		Name: "fence, longer", Workers: 2, Sessions: 2, Shards: one(), Records: 2, Tokens: 2, Calls: 2,
	}, {
		Name: "fence, three workers", Workers: 3, Sessions: 3, Shards: one(), Records: 1, Tokens: 1, Calls: 2,
	}, {
		Name: "fence and failover, longer", Workers: 2, Sessions: 2, Shards: one(), Records: 1, Tokens: 2, Calls: 1,
		Faults: bound(snapshots, 1, failovers, 2),
	}, {
		Name: "session time, two calls", Workers: 2, Sessions: 2, Shards: one(), Tokens: 1, Calls: 2, TTL: 2, Exclusive: true,
	}, {
		Name: "session time, finer", Workers: 2, Sessions: 2, Shards: one(), Tokens: 1, Calls: 1, TTL: 4, Held: true, Exclusive: true,
	}, {
		Name: "session time and an outage", Workers: 2, Sessions: 2, Held: true, Shards: one(), Tokens: 1, Calls: 1, TTL: 2, Exclusive: true,
		Faults: bound(outages, 1),
	}, {
		Name: "session time and a clock that jumps", Workers: 2, Sessions: 2, Held: true, Shards: one(), Tokens: 1, Calls: 1, TTL: 2,
		Faults: bound(jumps, 1),
	}, {
		Name: "lineage, two workers", Workers: 2, Sessions: 2, Shards: shards, Passive: passive, Records: 1, Tokens: 4, Calls: 1, Lean: true,
	}, {
		Name: "lineage and a crash", Workers: 1, Sessions: 2, Shards: shards, Passive: passive, Records: 1, Tokens: 5, Calls: 1, Lean: true,
		Faults: bound(crashes, 1),
	}, {
		Name: "lineage and failover", Workers: 1, Sessions: 1, Shards: shards, Passive: passive, Records: 1, Tokens: 5, Calls: 1, Lean: true,
		Faults: bound(snapshots, 1, failovers, 1),
	}, {
		Name: "reconcile, two workers", Workers: 2, Sessions: 2, Shards: one(), Records: 1, Tokens: 1, Calls: 1, Beats: 4, Views: true,
	}, {
		Name: "beats and failover, longer", Workers: 2, Sessions: 2, Shards: one(), Records: 1, Tokens: 1, Calls: 1, Beats: 5, Views: true, Lean: true,
		Faults: bound(snapshots, 1, failovers, 1),
	}, {
		Name: "hand-over and a drain", Workers: 2, Sessions: 2, Shards: one(), Tokens: 1, Calls: 1, Beats: 4, Views: true, Wants: true, Drains: true,
		Faults: bound(operations, 1, crashes, 1),
	}, {
		Name: "state loss and a new worker", Workers: 2, Sessions: 3, Shards: split(), Passive: 1 << 2, Records: 1, Tokens: 1, Calls: 1, Lean: true, Memory: true,
		Faults: bound(losses, 1, crashes, 1),
	}, {
		Name: "state loss, longer", Workers: 2, Sessions: 2, Shards: split(), Records: 1, Tokens: 2, Calls: 1, Lean: true, Memory: true,
		Faults: bound(losses, 1),
	}, {
		Name: "gc and retire, two workers", Workers: 2, Sessions: 2, Shards: diamond(), Records: 1, Tokens: 2, Calls: 1, Lean: true, Audit: true,
		Faults: bound(operations, 2),
	}, {
		Name: "adopt and failover", Workers: 1, Sessions: 1, Shards: diamond(), Records: 1, Tokens: 4, Calls: 1, Lean: true, Audit: true, Damage: true,
		Faults: bound(operations, 1, snapshots, 1, failovers, 1),
	}}
	for i := range out {
		out[i].Most, out[i].Sample = most, 400
	}
	return out
}
