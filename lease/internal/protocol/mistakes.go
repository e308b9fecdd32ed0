package protocol

import "slices"

// Mistake is a rule that a model leaves out.
type Mistake uint8

// The mistakes, by what is done wrong.
const (
	None Mistake = iota
	FenceByEpoch
	NoMonotoneCheck
	TokenReused
	CompleteInTwoSteps
	AbsenceIsAnEnd
	NoReconcile
	WallClock
	TakeFromTheLiving
	NoStaleCheck
	ForgetAParent
	ForgetAChild
	SaveAhead
	ReleaseUnsaved
	WantForEver
	ByeBeforeReturn
	ValidTooLong
	ValidFromTheAnswer
	BelieveALateGrant
	OutliveTheTerm
	ResetKeepsTheToken
	SeedAfterSync
	SeedReplaces
	AdoptAnAncestor
	LeaveAncestorsOut
	KeepOldSeeds
	CollectTooEarly
	RetireTheRunning
	NoRegressedCheck
	CountAnswers
	NoStamp
	ReconcileInFlight
)

// has tells whether the model makes a mistake.
func (m *Model) has(x Mistake) bool { return m.Mistake == x }

// Plant is a mistake with the model that finds it.
type Plant struct {
	Mistake Mistake
	// Name says what is done wrong.
	Name string
	// In is the name of the model, and Breaks what it must find.
	In     string
	Breaks violation
	// Repeats and Tokens, unless 0, replace what the model has.
	Repeats uint8
	Tokens  int
}

// Plants are all mistakes.
func Plants() []Plant {
	return []Plant{
		{Mistake: FenceByEpoch, Name: "fence by epoch only", In: "fence and failover", Breaks: savedUnfenced},
		{Mistake: NoMonotoneCheck, Name: "no monotone check", In: "fence", Breaks: wentBack},
		{Mistake: TokenReused, Name: "the store counts tokens, and counts again what it lost", In: "fence and failover", Breaks: tokenTwice, Tokens: 2},
		{Mistake: CompleteInTwoSteps, Name: "complete in two steps", In: "lineage", Breaks: rangeUncovered},
		{Mistake: AbsenceIsAnEnd, Name: "the absence of a parent's row is read as its end", In: "lineage", Breaks: childBeforeParent},
		{Mistake: NoReconcile, Name: "reconcile left out", In: "reconcile", Breaks: neverSettles},
		{Mistake: WallClock, Name: "wall clock instead of session time", In: "session time and an outage", Breaks: stolen},
		{Mistake: TakeFromTheLiving, Name: "acquire takes a lease of the living", In: "fence", Breaks: stolen},
		{Mistake: NoStaleCheck, Name: "an acquire that arrives again is granted again", In: "fence", Breaks: tokenTwice, Repeats: 1},
		{Mistake: ForgetAParent, Name: "only the first parent is asked for", In: "lineage", Breaks: childBeforeParent},
		{Mistake: ForgetAChild, Name: "complete makes only the first child", In: "lineage", Breaks: rangeUncovered},
		{Mistake: SaveAhead, Name: "a save says more than was handled", In: "fence", Breaks: recordLost},
		{Mistake: ReleaseUnsaved, Name: "release without the last save", In: "fence", Breaks: releasedUnsaved},
		{Mistake: WantForEver, Name: "a wish stands for ever", In: "hand-over and a drain", Breaks: neverSettles},
		{Mistake: ByeBeforeReturn, Name: "bye before the runners returned", In: "drain", Breaks: twoOwners},
		{Mistake: ValidTooLong, Name: "a worker trusts its leases for two lease times", In: "session time", Breaks: twoOwners},
		{Mistake: ValidFromTheAnswer, Name: "a worker trusts its leases from the answer of its beat on", In: "session time", Breaks: twoOwners},
		{Mistake: BelieveALateGrant, Name: "a grant counts though the term ran out since it was asked for", In: "session time, two calls", Breaks: twoOwners},
		{Mistake: OutliveTheTerm, Name: "a beat after the end of the term lets runners go on", In: "session time", Breaks: twoOwners},
		{Mistake: ResetKeepsTheToken, Name: "reset leaves the runner its token", In: "reset", Breaks: savedUnfenced},
		{Mistake: SeedAfterSync, Name: "seed after the time for it", In: "state loss", Breaks: childBeforeParent},
		{Mistake: SeedReplaces, Name: "a seed replaces what another seeded", In: "state loss", Breaks: wentBack},
		{Mistake: KeepOldSeeds, Name: "create believes a seed from before the end of its shard", In: "state loss", Breaks: childBeforeParent},
		{Mistake: AdoptAnAncestor, Name: "adopt begins a shard anew whose descendants run", In: "adopt", Breaks: childBeforeParent},
		{Mistake: LeaveAncestorsOut, Name: "adopt leaves out a shard whose descendants run", In: "adopt", Breaks: neverSettles},
		{Mistake: CollectTooEarly, Name: "gc of a parent whose children wait, which nobody retires", In: "gc and retire", Breaks: neverSettles},
		{Mistake: RetireTheRunning, Name: "retire of a lease that runs", In: "gc and retire", Breaks: stolen},
		{Mistake: NoRegressedCheck, Name: "no look whether the store lost beats", In: "beats lost, and failover", Breaks: neverSettles},
		{Mistake: CountAnswers, Name: "a repeated beat has the number of the one that was lost", In: "beats lost, and failover", Breaks: neverSettles},
		{Mistake: NoStamp, Name: "beats are known by their number alone", In: "beats and failover", Breaks: neverSettles},
		{Mistake: ReconcileInFlight, Name: "reconcile overlooks calls on their way", In: "reconcile", Breaks: goodRunnerStopped},
	}
}

// Model is the one that finds the mistake.
func (p Plant) Model() Model {
	all := slices.Concat(Models(), Larger())
	m := all[slices.IndexFunc(all, func(m Model) bool { return m.Name == p.In })]
	m.Mistake, m.Sample = p.Mistake, 0
	if p.Breaks == neverSettles {
		m.Sample = 1 // the shortest way needs every state to be tried
	}
	if p.Tokens > 0 {
		m.Tokens = p.Tokens
	}
	m.Faults[repeats] += p.Repeats
	return m
}
