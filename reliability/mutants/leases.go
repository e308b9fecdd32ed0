package mutants

// leaseMutants are bugs in the leases: the scripts, and what workers do with
// them.
func leaseMutants() []Mutant {
	const (
		manager = "./lease"
		redis   = "./lease/redis"
		lua     = "internal/rediskeys/lua/"
	)
	return []Mutant{{
		Name:   "drop-the-token-check",
		File:   lua + "checkpoint.lua",
		Old:    "  if o[1] ~= token then\n",
		New:    "  if o[1] == '' then\n",
		Breaks: "a worker that lost its lease cannot move a checkpoint",
		Test:   Test{redis, "TestOnMiniredis/checkpoints/only_the_token"}, Sim: true,
	}, {
		Name:   "let-checkpoints-go-back",
		File:   lua + "checkpoint.lua",
		Old:    "  if order < 0 or older and not free then return { 'REGRESS', table.concat(c, '|') } end\n  if not older then\n    if order > 0 then",
		New:    "  if older and not free then return { 'REGRESS', table.concat(c, '|') } end\n  if not older then\n    if order ~= 0 then",
		Breaks: "checkpoints never go back",
		Test:   Test{redis, "TestOnMiniredis/checkpoints/positions_never_go_back"}, Sim: true,
	}, {
		Name:   "compare-numbers-as-texts",
		File:   lua + "prelude.lua",
		Old:    "  if #a ~= #b then return #a < #b and -1 or 1 end\n",
		New:    "",
		Breaks: "a longer sequence number is the greater one",
		// All numbers of a simulated server are of one length.
		Test: Test{redis, "TestOnMiniredis/checkpoints/sequence_numbers_compare"},
	}, {
		Name:   "start-a-child-before-its-parents",
		File:   lua + "acquire.lua",
		Old:    "  if waits(d) then return { 'PARENT' } end\n",
		New:    "",
		Breaks: "a child is handled after its parents",
		Test:   Test{redis, "TestOnMiniredis/a_child_waits"}, // the plan of the workers asks the same: no simulation sees a difference
	}, {
		Name:   "forget-the-adjacent-parent",
		File:   lua + "acquire.lua",
		Old:    "  for _, parent in ipairs(d.parents or {}) do\n",
		New:    "  for _, parent in ipairs({ (d.parents or {})[1] }) do\n",
		Breaks: "a merged shard is handled after both its parents",
		Test:   Test{redis, "TestOnMiniredis/a_merged_shard_waits"}, // the plan of the workers asks the same: no simulation sees a difference
	}, {
		Name:   "take-an-unknown-parent-for-finished",
		File:   lua + "acquire.lua",
		Old:    "    if not c or c[1] ~= '2' then return true end\n",
		New:    "    if c and c[1] ~= '2' then return true end\n",
		Breaks: "a parent without a lease has not ended",
		Test:   Test{redis, "TestOnMiniredis/a_parent_that_nobody_knows"},
	}, {
		Name:   "take-leases-of-the-living",
		File:   lua + "acquire.lua",
		Old:    "  return holder == session or not alive(holder)\n",
		New:    "  return true\n",
		Breaks: "a lease has one owner",
		Test:   Test{redis, "TestOnMiniredis/a_lease_has_one_owner"}, Sim: true,
	}, {
		Name:   "answer-a-late-acquire",
		File:   lua + "acquire.lua",
		Old:    "  if n <= used then return { 'STALE' } end\n",
		New:    "",
		Breaks: "a call that arrives late or twice takes nothing",
		// In a simulation it costs a tenure, which begins anew: nothing is lost or
		// given to two owners.
		Test: Test{redis, "TestOnMiniredis/an_acquire_may_be_sent_again"},
	}, {
		Name:   "complete-in-two-steps",
		File:   lua + "prelude.lua",
		Old:    "  c[1], c[2], c[3] = '2', '', '0'\n  put(C, lease, c)\n",
		New:    "",
		Breaks: "the end of a shard, its children and its release are one step",
		Test:   Test{redis, "TestOnMiniredis/parents_before_children"}, Sim: true,
	}, {
		Name:   "end-a-shard-without-its-children",
		File:   lua + "prelude.lua",
		Old:    "    insert(ARGV[k], ARGV[k + 1], ARGV[k + 2])\n",
		New:    "",
		Breaks: "what follows a shard is read",
		Test:   Test{redis, "TestOnMiniredis/parents_before_children"}, Sim: true,
	}, {
		Name:   "let-an-outage-lapse-sessions",
		File:   lua + "prelude.lua",
		Old:    "  local passed = math.min(math.max(millis - tonumber(m[4]), 0), math.floor(group.ttl / 2))\n",
		New:    "  local passed = millis - tonumber(m[4])\n",
		Breaks: "neither an outage nor a jump of the clock takes leases from the living",
		Test:   Test{redis, "TestOnMiniredis/an_outage_lapses_nobody"}, Sim: true,
	}, {
		Name:   "let-a-release-go-unannounced",
		File:   lua + "checkpoint.lua",
		Old:    "if news then announce() end\n",
		New:    "",
		Breaks: "a planned hand-over takes milliseconds",
		Test:   Test{redis, "TestOnMiniredis/changes_are_announced"},
	}, {
		Name:   "run-past-the-local-deadline",
		File:   "lease/term.go",
		Old:    "const validFor = 9\n",
		New:    "const validFor = 20\n",
		Breaks: "handlers are cancelled before anyone else may start",
		Test:   Test{manager, "TestWorkersComeAndGo"}, Sim: true,
	}, {
		Name:   "trust-a-lease-three-times-as-long",
		File:   "lease/term.go",
		Old:    "const validFor = 9\n",
		New:    "const validFor = 30\n",
		Breaks: "handlers are cancelled before anyone else may start",
		Test:   Test{manager, "TestWorkersComeAndGo"}, Sim: true,
	}, {
		Name:   "count-the-lease-from-the-answer",
		File:   "lease/beat.go",
		Old:    "\tr.term.renew(r.beatStart, r.ttl)\n",
		New:    "\tr.term.renew(now, r.ttl)\n",
		Breaks: "a beat that was answered late does not prolong the lease",
		// In the simulation it takes a late answer, and then a link that is cut.
		Test: Test{manager, "TestALateAnswerDoesNotProlongTheLease"},
	}, {
		Name:   "forget-that-the-state-was-lost",
		File:   "lease/discover.go",
		Old:    "\t\tif r.stateLost || r.lost {\n",
		New:    "\t\tif r.stateLost {\n",
		Breaks: "a store that lost everything costs repeats, not records, whoever makes the leases anew",
		Test:   Test{manager, "TestTheLossOfStateIsRememberedForNewWorkers"},
	}, {
		Name:   "save-positions-only-on-release",
		File:   "lease/saver.go",
		Old:    "\treturn max(s.pace.interval(s.cfg)-now.Sub(s.since), 0), true\n",
		New:    "\treturn time.Hour, true\n",
		Breaks: "a crash costs the repeats of a save interval, no more",
		Test:   Test{manager, "TestPositionsAreSavedTogether"}, Sim: true,
	}, {
		Name:   "take-newer-positions-for-saved",
		File:   "lease/saver.go",
		Old:    "\t\th.saved = version\n",
		New:    "\t\th.saved = h.version\n",
		Breaks: "Flush returns when the store has it",
		Test:   Test{manager, "TestFlushWaitsForWhatWasRecordedDuringASave"},
	}, {
		Name:   "give-back-a-lease-that-was-lost",
		File:   "lease/tenure.go",
		Old:    "\trelease := !t.keep && !r.paused && !errors.Is(cause, ErrLost) || r.draining\n",
		New:    "\trelease := !t.keep\n",
		Breaks: "a lease that may still be ours is not given away unsaved",
		Test:   Test{manager, "TestAnOutageByWhichCallsHangMovesNothing"},
	}, {
		Name:   "forget-the-adjacent-parent-in-memory",
		File:   "lease/memory_table.go",
		Old:    "\treturn slices.ContainsFunc(r.shard.Parents, func(parent string) bool {\n",
		New:    "\treturn slices.ContainsFunc(r.shard.Parents[:min(1, len(r.shard.Parents))], func(parent string) bool {\n",
		Breaks: "a merged shard is handled after both its parents",
		Test:   Test{manager, "TestMemory/a_merged_shard_waits"},
	}, {
		Name:   "let-equal-starts-replace-each-other",
		File:   "checkpoint/entry.go",
		Old:    "\tif order > 0 {\n",
		New:    "\tif order >= 0 {\n",
		Breaks: "the time that a group begins at stays what it was",
		Test:   Test{"./checkpoint", "TestMemory/a_start_keeps_its_time"},
	}, {
		Name:   "drain-without-a-save",
		File:   "lease/tenure.go",
		Old:    "\tt.finish(release, func(err error) {\n",
		New:    "\tif r.draining && t.over() == nil {\n\t\tr.settled(t, true, nil, time.Now())\n\t\treturn\n\t}\n\tt.finish(release, func(err error) {\n",
		Breaks: "a planned hand-over repeats nothing",
		Test:   Test{manager, "TestDrainSavesTheLastPositionAndReleases"}, Sim: true,
	}, {
		Name:   "save-positions-eight-seconds-late",
		File:   "lease/saver.go",
		Old:    "\treturn max(s.pace.interval(s.cfg)-now.Sub(s.since), 0), true\n",
		New:    "\treturn max(8*time.Second-now.Sub(s.since), 0), true\n",
		Breaks: "a crash costs the repeats of a save interval, no more",
		Test:   Test{manager, "TestPositionsAreSavedTogether"}, Sim: true,
	}, {
		Name:   "work-on-under-a-name-that-was-taken",
		File:   "lease/beat.go",
		Old:    "\t\tr.paused = true\n\t\tr.cancelAll()\n\t}\n\tif now.Sub(r.superseded)",
		New:    "\t\tr.paused = true\n\t}\n\tif now.Sub(r.superseded)",
		Breaks: "of two workers with one name, the one that came first stops its handlers at its next beat",
		Test:   Test{manager, "TestAWorkerGoesOnWhenTheOneThatTookItsNameDies"},
	}, {
		Name:   "plan-for-more-leases-than-a-worker-takes",
		File:   "lease/plan.go",
		Old:    "\treturn (st.session.MaxLeases == 0 || st.count < st.session.MaxLeases) &&\n",
		New:    "\treturn (st.session.MaxLeases >= 0 || st.count < st.session.MaxLeases) &&\n",
		Breaks: "no worker is given more leases than its MaxLeases",
		Test:   Test{manager, "TestPlanKeepsToLimits"},
	}, {
		Name:   "take-more-leases-than-max-leases",
		File:   "lease/assign.go",
		Old:    "\tif r.cfg.MaxLeases > 0 {\n",
		New:    "\tif r.cfg.MaxLeases < 0 {\n",
		Breaks: "no worker holds more leases than its MaxLeases",
		Test:   Test{manager, "TestLeasesThatNobodyTakesGoToThoseWithRoom"},
	}, {
		Name:   "ask-nobody-to-share",
		File:   "lease/assign.go",
		Old:    "\tfor _, s := range a.Move {\n",
		New:    "\tfor _, s := range a.Move[:0] {\n",
		Breaks: "a worker that joins gets its share of the leases",
		Test:   Test{manager, "TestAWorkerAsksOnlyForItsShare"},
	}, {
		Name:   "count-leases-when-they-are-granted",
		File:   "lease/assign.go",
		Old:    "\t\t} else if r.acquiring[name] {\n",
		New:    "\t\t} else if r.acquiring[name] && r.draining {\n",
		Breaks: "no worker holds more leases than its MaxLeases, those on their way among them",
		Test:   Test{manager, "TestLeasesOnTheirWayCount"},
	}, {
		Name:   "ask-before-children-are-known",
		File:   "lease/assign.go",
		Old:    "\tf.Rebalance = whole && r.quiet(now, f.Sessions) && !now.Before(r.askDue)\n",
		New:    "\tf.Rebalance = (whole || true) && r.quiet(now, f.Sessions) && !now.Before(r.askDue)\n",
		Breaks: "no lease moves without gain",
		Test:   Test{manager, "TestNothingIsAskedForBeforeChildrenAreKnown"},
	}, {
		Name:   "give-up-positions-of-paused-leases",
		File:   "lease/run.go",
		Old:    "\t} else if r.fatal != nil || !now.Before(r.saveBy) {\n",
		New:    "\t} else if r.fatal != nil || r.paused || !now.Before(r.saveBy) {\n",
		Breaks: "a worker that is asked to end tries for a lease time to save what was handled",
		Test:   Test{manager, "TestADrainAfterAnOutageSavesPositions"}, Sim: true,
	}, {
		Name:   "wait-for-ever-for-the-last-position",
		File:   "lease/tenure.go",
		Old:    "\treturn !t.running && !r.draining && t.over() == nil && !now.Before(t.saveBy)\n",
		New:    "\treturn !t.running && r.draining && t.over() == nil && !now.Before(t.saveBy)\n",
		Breaks: "a lease whose last position cannot be saved has a runner again after a lease time",
		Test:   Test{manager, "TestALeaseWhosePositionCannotBeSavedGetsARunnerAgain"},
	}, {
		Name:   "take-a-lost-name-back-with-the-state",
		File:   "lease/beat.go",
		Old:    "\tif !r.superseded.IsZero() {\n\t\tr.count = 1",
		New:    "\tif !r.superseded.IsZero() {\n\t\tr.count = 0",
		Breaks: "of two workers with one name, the one that came first does not come back when the state is lost",
		Test:   Test{manager, "TestASupersededWorkerStaysSoWhenTheStateIsLost"},
	}, {
		Name:   "believe-a-grant-from-an-earlier-term",
		File:   "lease/tenure.go",
		Old:    "\tr.breaks++\n",
		New:    "",
		Breaks: "no runner starts on a lease that another worker may have taken since it was asked for",
		Test:   Test{manager, "TestAGrantFromBeforeTheEndOfTheTermStartsNoRunner"},
	}, {
		Name:   "sleep-over-the-end-of-the-term",
		File:   "lease/beat.go",
		Old:    "\tr.checkDeadline(now) // what the loop",
		New:    "\t_ = now // what the loop",
		Breaks: "handlers are cancelled before anyone else may start, also by a worker that stalled",
		Test:   Test{manager, "TestAGoodBeatAfterTheEndOfTheTermCancelsRunners"},
	}}
}
