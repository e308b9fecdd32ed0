// Package lease divides the shards of a group among its workers.
//
// A worker keeps one session alive with a beat every third of the lease time,
// whatever the number of its leases. A beat returns what changed since the
// worker's last one, so every worker mirrors the same table and runs the same
// pure assignment function over it ([Plan]); there is no leader. The store
// decides races: acquire gives a token, and a checkpoint, a release or an end
// of shard counts only under the token that the lease is held with. A lease is
// lost only when its session lapsed; nothing is taken by force from the living.
//
// [Manager] runs the protocol for one worker. [Store] is where the table is
// kept: [Memory] for one process and tests, lease/redis for fleets.
package lease
