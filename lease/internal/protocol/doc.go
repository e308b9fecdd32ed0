// Package protocol is a model of the lease protocol, and an explorer that visits
// every state of it within bounds. It proves nothing about the code by itself: it
// shows that the rules hold together, and that each of them is needed.
//
// A state is the store, the copy that a failover falls back to, the workers, the
// calls that are on their way, and what no failover undoes: which records somebody
// handled. A step is one script, one event in a worker, or one fault. Calls and
// answers are lost, late and executed twice; workers die, pause and come back under
// their name; the store loses a suffix, a key or everything, is away, and has a clock
// that jumps. Records are small numbers, and times are ticks, or nothing at all:
// where a model has no time, a session may lapse and a wish may end at any moment,
// which is more than time allows.
//
// What is checked in each state or step ([Model.broken], checkGrant, checkSave …):
//
//   - no loss: every record up to a stored position was handled by somebody
//   - one checkpointer: what is saved has the token of the row
//   - stored positions never go back, but by failover and reset
//   - no shard begins before the end of its parents
//   - cover: what follows an ended shard has a row
//   - no token is granted, or run with, twice
//   - nothing is taken from the living, and no two workers believe in one lease
//   - a lease is given back with all that its runner handled
//   - liveness: from states drawn at random, a schedule that is fair and has no
//     faults brings each lease a runner on exactly its token, and then each shard to
//     its end ([Model.unsettled])
//
// Where each rule stands in the code, with the function of the model:
//
//	prelude.lua    read, alive, wanted, release, insert, changes    passed, alive, wanted, free, insert, answer
//	beat.lua       LOST, RESET, GONE, STALE, REGRESSED, the time    executeBeat, wentBack, advance, renew
//	acquire.lua    PAUSED … HELD, the parents, the token            acquire, waits
//	checkpoint.lua FENCED, REGRESS, release                         save, mine
//	complete.lua   the end, the children and the release in one     complete, bear
//	request.lua    the wish for a lease of the living               request
//	refuse.lua     the wish withdrawn                               refuse
//	bye.lua        the end of a session                             goodbye
//	create.lua     the rows that there are not                      create
//	seed, adopt, retire, gc, reset                                  seed, adopt, retire, collect, rewind
//	lease/term.go      0.9 of the lease time from the start         valid
//	lease/beat.go      apply, restart, the local deadline           apply
//	lease/mirror.go    the view from beats                          applyView
//	lease/tenure.go    begin, reconcile, lacks, orphan              begin, reconcile, takes
//	lease/saver.go     what is saved, and what its answer means     sendSave, saved
//	lease/held.go      Complete                                     sendComplete
//	lease/assign.go    take, acquired, answerWishes, retake         sendAcquire, takes, tend
//	lease/run.go       drain, leave                                 drain, leave
//
// Workers send more here than they would: safety does not rest on plans. The plan
// itself, weights and capacities are not modelled, nor pages of a view, announcements,
// counters at one position, and the creation of leases in chunks.
package protocol
