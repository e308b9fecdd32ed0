// Package state is the metadata of a local stream server: streams, their
// shards and lineage, retention and status. It is plain values and pure
// functions: a planner looks at a [Stream] and gives the [Event] that would
// change it, [State.Apply] makes the change. The caller writes the event to a
// journal in between, so a state can always be replayed.
//
// It also holds what follows from that metadata alone: sequence numbers, shard
// ids, and which shards a filter selects.
package state
