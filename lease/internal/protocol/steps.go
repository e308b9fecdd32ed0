package protocol

import (
	"fmt"
	"strconv"
	"strings"
)

// step says what happened between two states, for traces.
type step struct {
	what event
	a, b uint8 // worker and lease, or what the event says
}

// event is a kind of step.
type event uint8

// The events. Those of workers come first, then what the network does, the store
// and those who look after it.
const (
	evCrash event = iota
	evStart
	evAcquire
	evHandle
	evSave
	evComplete
	evReturn
	evPause
	evBeat
	evBeatSent
	evBeatExecuted
	evBeatAnswered
	evBeatLost
	evBeatLate
	evBeatTwice
	evRequest
	evRefuse
	evDrain
	evBye
	evCreate
	evSeed
	evExecuted
	evTwice
	evReply
	evLost
	evGivenUp
	evLapse
	evWishEnds
	evTick
	evSnapshot
	evFailover
	evLoss
	evRemnant
	evGrownUp
	evSyncEnds
	evJumpAhead
	evJumpBack
	evOutage
	evBack
	evExpire
	evDamage
	evAdopt
	evRetire
	evCollect
	evReset
)

// text says what happened, with places for the numbers and the call.
func (e event) text() string {
	return [...]string{
		evCrash:        "worker $a dies",
		evStart:        "worker $a starts, session $b",
		evAcquire:      "worker $a sends acquire of lease $b",
		evHandle:       "worker $a handles a record of lease $b",
		evSave:         "worker $a sends save of lease $b",
		evComplete:     "worker $a sends complete of lease $b",
		evReturn:       "the runner of worker $a on lease $b returns, to release it",
		evPause:        "the runner of worker $a on lease $b is dropped unsaved",
		evBeat:         "worker $a beats",
		evBeatSent:     "worker $a sends a beat",
		evBeatExecuted: "the beat of worker $a is executed",
		evBeatAnswered: "worker $a applies the answer of its beat",
		evBeatLost:     "the beat of worker $a, or its answer, is lost",
		evBeatLate:     "worker $a gives its beat up, which is still on its way",
		evBeatTwice:    "the beat of worker $a is executed, and will arrive again",
		evRequest:      "worker $a sends request for lease $b",
		evRefuse:       "worker $a sends refuse for lease $b",
		evDrain:        "worker $a is asked to end",
		evBye:          "worker $a says bye",
		evCreate:       "worker $a creates the leases that there are not",
		evSeed:         "worker $a sends seed of lease $b",
		evExecuted:     "$call is executed",
		evTwice:        "$call is executed, and will arrive again",
		evReply:        "the answer of $call arrives",
		evLost:         "$call, or its answer, is lost",
		evGivenUp:      "the caller gives $call up, which is still on its way",
		evLapse:        "session $a lapses",
		evWishEnds:     "the wish for lease $a ends",
		evTick:         "a tick passes",
		evSnapshot:     "the replica copies the store",
		evFailover:     "the replica takes over: later writes are lost",
		evLoss:         "the store loses everything",
		evRemnant:      "the store loses a key",
		evGrownUp:      "the incarnation is a lease time old",
		evSyncEnds:     "the time for seeds ends",
		evJumpAhead:    "the store's clock jumps ahead",
		evJumpBack:     "the store's clock jumps back",
		evOutage:       "the store is away",
		evBack:         "the store is back",
		evExpire:       "the stream drops shard $a",
		evDamage:       "the row of lease $a is lost",
		evAdopt:        "the auditor adopts lease $a",
		evRetire:       "the auditor retires lease $a",
		evCollect:      "gc removes lease $a",
		evReset:        "the operator resets lease $a",
	}[e]
}

// describe is a step in words; calls are told from the state before it.
func (s step) describe(w *world) string {
	name := ""
	if s.what >= evExecuted && s.what <= evGivenUp {
		name = w.calls[s.a].describe()
	}
	return strings.NewReplacer("$call", name, "$a", strconv.Itoa(int(s.a)), "$b", strconv.Itoa(int(s.b))).Replace(s.what.text())
}

func (c *call) describe() string {
	op := [...]string{opAcquire: "acquire", opSave: "save", opComplete: "complete", opRequest: "request", opRefuse: "refuse", opSeed: "seed", opBeat: "beat"}[c.op]
	if c.op == opSave && c.state&release != 0 {
		op = "save and release"
	}
	text := fmt.Sprintf("%s(worker %d, lease %d, %d#%d, position %d)", op, c.worker, c.lease, sessionOf(c.token), numberOf(c.token), c.pos)
	if c.state&awaited == 0 {
		text = "the abandoned " + text
	}
	return text
}

// emit takes a next state. It may change it, and keeps nothing of it.
type emit func(step, *world)

// next lists all that may happen in a state.
func (m *Model) next(w *world, out emit) {
	for i := range m.Workers {
		m.workerSteps(w, i, out)
	}
	for k := range m.Calls {
		if w.calls[k].op != 0 {
			m.callSteps(w, k, out)
		}
	}
	m.storeSteps(w, out)
	if m.TTL > 0 {
		m.timeSteps(w, out)
	}
	m.auditSteps(w, out)
}

// left tells whether one more of a fault may happen.
func (m *Model) left(w *world, fault int) bool { return w.spent[fault] < m.Faults[fault] }
