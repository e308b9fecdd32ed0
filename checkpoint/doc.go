// Package checkpoint says how far a group of workers got on each shard, and
// keeps it where a worker that lost its shard can no longer move it.
//
// A [Position] is inclusive: it names the last user record that was handled.
// A [Store] saves positions under the token of the lease that was held when
// the records were handled; a save under any other token is refused with
// [ErrFenced], and one that would go backwards with [ErrRegress]. Both are
// decided in the same atomic step that writes.
//
// [Memory] serves one process and tests; checkpoint/redis serves fleets. Any
// other store proves itself with the suite in checkpoint/checkpointtest.
package checkpoint
