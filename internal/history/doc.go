// Package history records what happened in a run (records put, acknowledged,
// delivered and handled, calls of the lease store, the stream itself) and judges
// it. It is one package for all who run the system against faults: the
// simulation, the tests with real processes, the demo.
//
// A [History] is a list of events; [History.Check] is a pure function of it.
// Events are in the order in which they were told. In a run of several processes
// each tells a recorder ([NewRecorder]) that writes to a file of its own, and
// [ReadHistories] merges the files by time.
//
// Records are known by their [ID]. A tenure is one ownership of one lease by one
// worker, known by worker, lease and epoch. The truth is the [Stream] as a clean
// client read it at the end. What must hold:
//
//   - H1: every acknowledged record is in the stream, in the shard that was
//     told, and some handler finished it. A tenure sends a position, or the end
//     of its shard, when it has handled every user record from where it began
//     up to there, acknowledged or not; records that it gave up count. A group
//     that begins at a time may skip what arrived before ([Verdict].Skipped); the
//     time is not later than its making, and nobody makes the group anew at a later
//     one who knew it, or could know from the store ([History.LossSeen]). Of all
//     puts one at least is acknowledged.
//   - H2: a record delivered was put, and has the bytes, key and (out of an
//     aggregate) explicit hash key that it was put with, and the time of arrival
//     that the stream has, where that was told. It is one of the
//     stream's user records, delivered with the shard that it is in; of an
//     aggregate those members are user records that belong to the range of the
//     shard.
//   - H3: by key, first deliveries are in the order of sequence and
//     sub-sequence numbers. Acknowledged records of an ordered producer have
//     ids, and first deliveries as whatever copy, in the order of the puts. What
//     arrived before a beginning of the group has no order: a group made anew at
//     the oldest record comes to it late. A
//     tenure begins with the successor of the position that it was granted; on
//     each record follows its successor, or one of its own earlier ones that it
//     has not handled. Records that it gave up may be missing.
//   - H4: the stored position of a lease, as answers show it, never goes back.
//   - H5: a save, or the end of a shard, is accepted only under a token that
//     somebody had asked for and that no later acquisition replaced. A release
//     may be accepted again. Epochs rise with each acquisition, and nothing is
//     delivered under one after a higher one of the lease was granted. A worker
//     that was held ([History.Held]) may deliver, of each lease, the batch that
//     was in progress, or that it begins at once; one that had the lease before the
//     store lost something has a lease time and two beats to see it; one whose name
//     another took ([History.Superseded]) has a lease time from the grant to the
//     other, and does not live on for long. Whoever gives a lease back has no call
//     of a handler open ([History.Returned]).
//   - H6: nothing is delivered of a shard before the completion of each of its
//     parents began, if they have leases. A completion of which nobody knows the
//     outcome counts when the child was granted after it began, or a table shows
//     that the parent has ended.
//   - H7: in each table of leases the unfinished ones cover all hash keys, each
//     once unless one of its two holders is the other's ancestor; after a loss from
//     when a worker made those that none gave back. The open shards cover them once.
//     A record that was acknowledged is in a shard that has its hash key.
//   - H8: sequence numbers rise in a shard; a child's are above its parents';
//     of two acknowledged puts of a shard of which one ended before the other
//     began, the later has the higher number.
//   - H9: an iterator reads the stream's records without a gap from where its
//     type says. LATEST begins behind what was acknowledged before it was asked
//     for, and not behind what was put after it was given. One who was told to
//     be at the tip had been given all that was acknowledged before.
//   - H10: a put ends once. What failed for good is not in the stream.
//   - H11: the first record of a tenure is behind the position that its lease
//     was granted with, and that position is not before one that an answer
//     showed before the acquisition was asked for. Nothing is delivered that
//     arrived before the group began. A lease is given back at the position of
//     all that its tenure handled, and its worker says goodbye when all of that is
//     saved; with [Options].SaveLag what was handled is saved within that time, by
//     a tenure that saves. So a crash repeats what was handled in that time, and a
//     hand-over nothing.
//   - H12: a lease time and two beats after the faults, or after it came free, or
//     after the table was made whole after a loss, if that was later, each unfinished
//     lease whose parents are finished is owned by a living worker; and each
//     acknowledged record is handled within a bound.
//
// H4, H5 and H11 compare calls only when one was answered before the other
// began, because replies get lost and arrive late, and only within one branch of
// the store's history: [History.StoreLost] begins another, in which what was
// answered before the instant that the store fell back to still holds, and so does
// the first that is seen of another incarnation ([History.Joined]), in which nothing
// does. A store that lost nothing has one.
package history
