package mutants

// mendingMutants are bugs in what is done to the table beside handling shards: taking
// lost state back, rows that are missing or needed no more, and what is done by hand.
// The simulation does none of it.
func mendingMutants() []Mutant {
	const (
		lua    = "internal/rediskeys/lua/"
		memory = "lease/memory_mend.go"
	)
	mini := func(name string) Test { return Test{"./lease/redis", "TestOnMiniredis/" + name} }
	model := Test{"./lease", "TestTheStoresAreOneModel"}
	return []Mutant{{
		Name:   "grant-leases-before-the-seeds-are-in",
		File:   lua + "acquire.lua",
		Old:    "  if group.syncing then return { 'SYNCING' } end\n",
		New:    "",
		Breaks: "after a loss nothing is granted before the workers told what they remember",
		Test:   mini("after_a_loss_nothing_is_granted"),
	}, {
		Name:   "create-leases-before-the-seeds-are-in",
		File:   lua + "create.lua",
		Old:    "if group.syncing then return { 'SYNCING' } end\n",
		New:    "",
		Breaks: "after a loss nothing is created before the workers told what they remember",
		Test:   mini("after_a_loss_nothing_is_granted"),
	}, {
		Name:   "take-seeds-after-the-sync",
		File:   lua + "seed.lua",
		Old:    "if not group.syncing or ARGV[4] == ",
		New:    "if ARGV[4] == ",
		Breaks: "a seed that comes late changes nothing",
		Test:   mini("a_seed_that_comes_late"),
	}, {
		Name:   "take-seeds-of-a-mistaken-start",
		File:   lua + "seed.lua",
		Old:    "ARGV[4] == redis.call('HGET', M, 'void')",
		New:    "ARGV[4] == ''",
		Breaks: "a worker that knew of no loss does not skip the records of those that did",
		Test:   mini("a_group_that_was_new_to_one"),
	}, {
		Name:   "believe-that-a-lost-group-is-new",
		File:   lua + "beat.lua",
		Old:    "if refused and refused[1] == 'RESET' and group.now < group.ttl and lost() == '0' then\n",
		New:    "if false then\n",
		Breaks: "a group of which everything was lost is known to be so when its workers come back",
		Test:   mini("a_group_that_was_new_to_one"),
	}, {
		Name:   "lose-a-new-group-again-and-again",
		File:   lua + "beat.lua",
		Old:    " and group.now < group.ttl and lost() == '0' then",
		New:    " and group.now < group.ttl then",
		Breaks: "state is made anew once for one loss",
		Test:   mini("a_group_that_was_new_to_one"),
	}, {
		Name:   "let-the-last-seed-win",
		File:   lua + "seed.lua",
		Old:    "  if order ~= 0 then return order > 0 end\n",
		New:    "  if order ~= 0 then return true end\n",
		Breaks: "of what two workers remember the higher position counts",
		Test:   mini("of_seeds_that_differ_the_newest"),
	}, {
		Name:   "let-a-seed-reopen-a-shard",
		File:   lua + "seed.lua",
		Old:    "  if c[1] == '2' or r.c[1] == '2' then return c[1] ~= '2' end\n",
		New:    "  if r.c[1] == '2' then return true end\n",
		Breaks: "a shard that one worker remembers to have ended is not opened by another",
		Test:   model, // only a seed with a state can
	}, {
		Name:   "part-a-position-from-its-state",
		File:   lua + "seed.lua",
		Old:    "  if (not have) ~= (not has) then return has end\n",
		New:    "",
		Breaks: "state is taken back with the position that it was saved with",
		Test:   mini("of_seeds_that_differ_in_their_states"),
	}, {
		Name:   "let-a-seeded-child-wait-again",
		File:   lua + "seed.lua",
		Old:    "  if o[2] ~= '0' or c[1] == '2' then d.parents = nil end\n",
		New:    "",
		Breaks: "a shard that has started waits for no parents, whoever remembers it",
		Test:   mini("of_seeds_that_differ_the_newest"),
	}, {
		Name:   "give-seeds-up-with-a-set",
		File:   lua + "create.lua",
		Old:    " and not string.find(all[k + 1], '\"seeded\"', 1, true) then",
		New:    " then",
		Breaks: "a set that a dead worker left takes no seed with it",
		Test:   Test{"./internal/rediskeys", "TestASetThatIsGivenUp"},
	}, {
		Name:   "read-a-shard-again-after-its-child",
		File:   lua + "prelude.lua",
		Old:    "    if o and c and d and (c[1] == '2' or not d.parents) then return true end\n",
		New:    "    if o and c and d and c[1] == '2' then return true end\n",
		Breaks: "a shard with a child that has started is at its end",
		Test:   mini("a_shard_with_a_child_that_has_started"),
	}, {
		Name:   "adopt-parents-before-children",
		File:   "lease/internal/lineage/lineage.go",
		Old:    "\t\tfor _, child := range children[names[i]] {\n",
		New:    "\t\tfor _, child := range children[names[i]][:0] {\n",
		Breaks: "a shard is at its end when anything that descends from it has started",
		Test:   mini("a_large_listing_is_adopted"),
	}, {
		Name:   "retire-a-lease-of-the-living",
		File:   lua + "retire.lua",
		Old:    "if alive(session_of(o[1])) then return { 'HELD' } end\n",
		New:    "",
		Breaks: "nothing is taken by force from the living",
		Test:   mini("a_lease_is_not_retired_while"),
	}, {
		Name:   "let-who-lapsed-complete-a-retired-shard",
		File:   lua + "retire.lua",
		Old:    "o[1] = '' -- who lapsed is fenced\n",
		New:    "",
		Breaks: "who lapsed is fenced from a shard that was retired",
		Test:   mini("a_shard_that_is_gone_is_retired"),
	}, {
		Name:   "collect-a-parent-that-is-waited-for",
		File:   lua + "collect.lua",
		Old:    "or c[1] ~= '2' or needed[lease])",
		New:    "or c[1] ~= '2')",
		Breaks: "a child finds the end of its parent",
		Test:   mini("a_row_that_is_needed"),
	}, {
		Name:   "collect-a-shard-before-its-end",
		File:   lua + "collect.lua",
		Old:    "or c[1] ~= '2' or needed[lease])",
		New:    "or needed[lease])",
		Breaks: "only rows at their end are collected",
		Test:   mini("a_row_that_is_needed"),
	}, {
		Name:   "go-on-from-a-view-without-removals",
		File:   lua + "beat.lua",
		Old:    "  return { 'RESYNC' }\n",
		New:    "  base = 0\n",
		Breaks: "a view that missed removals begins anew",
		Test:   mini("what_was_removed_is_told"),
	}, {
		Name:   "begin-a-view-in-pages-for-ever",
		File:   lua + "beat.lua",
		Old:    "  base = group.floor -- a view that begins now has nothing that was removed\n",
		New:    "  base = 0\n",
		Breaks: "a large table is read though rows of it were removed",
		Test:   mini("a_view_in_pages_goes_on"),
	}, {
		Name:   "forget-a-row-that-came-again",
		File:   lua + "beat.lua",
		Old:    "  if not redis.call('HGET', O, subject) and",
		New:    "  if true or",
		Breaks: "a row that was removed and made again is told",
		Test:   mini("a_row_that_was_removed_may_come_again"),
	}, {
		Name:   "hand-state-over-twice",
		File:   lua + "checkpoint.lua",
		Old:    "      absorbed(lease)\n",
		New:    "",
		Breaks: "a child is given the state of its parent until it has its own, and not after",
		Test:   mini("state_is_left_to_the_children"),
	}, {
		Name:   "hand-state-to-a-child-that-runs",
		File:   lua + "prelude.lua",
		Old:    "  if not o or not cd or o[2] ~= '0' then return end\n",
		New:    "  if not o or not cd then return end\n",
		Breaks: "a child that has started has a state of its own",
		Test:   mini("a_child_that_runs_inherits_nothing"),
	}, {
		Name:   "leave-state-that-was-left-behind",
		File:   lua + "prelude.lua",
		Old:    "  for _, by in ipairs(d.inherits or {}) do from[by] =",
		New:    "  for _, by in ipairs({}) do from[by] =",
		Breaks: "state that a shard was left, and never saved, is left to its children",
		Test:   mini("state_that_was_left_and_never_saved"),
	}, {
		Name:   "grant-a-paused-lease",
		File:   lua + "acquire.lua",
		Old:    "  if flagged(o, 'paused') then return { 'PAUSED' } end\n",
		New:    "",
		Breaks: "a lease that is paused by hand is granted to nobody",
		Test:   mini("a_paused_lease_is_granted"),
	}, {
		Name:   "let-anyone-mark-a-lease",
		File:   lua + "mark.lua",
		Old:    "  return { 'FENCED' }\n",
		New:    "",
		Breaks: "only its owner, or an operator, marks a lease",
		Test:   mini("an_owner_marks_its_lease"),
	}, {
		Name:   "reset-a-lease-that-moved-on",
		File:   lua + "reset.lua",
		Old:    "if o[2] ~= epoch then return { 'CHANGED' } end\n",
		New:    "",
		Breaks: "an operator changes what he saw, nothing later",
		Test:   mini("a_lease_that_was_acquired_since"),
	}, {
		Name:   "reset-without-a-fence",
		File:   lua + "reset.lua",
		Old:    "o[1], o[3], o[4], o[5] = '', '', '0', mark\n",
		New:    "o[3], o[4], o[5] = '', '0', mark\n",
		Breaks: "who held a lease that is reset is fenced",
		Test:   mini("a_reset_fences_the_owner"),
	}, {
		Name:   "reset-twice",
		File:   lua + "reset.lua",
		Old:    "if o[5] == mark then return { 'OK' } end -- sent again\n",
		New:    "",
		Breaks: "a reset may be sent again",
		Test:   mini("a_reset_may_be_sent_again"),
	}, {
		Name:   "let-the-last-seed-win-in-memory",
		File:   memory,
		Old:    "\t\treturn order > 0\n",
		New:    "\t\treturn true\n",
		Breaks: "of what two workers remember the higher position counts",
		Test:   model,
	}, {
		Name:   "read-a-shard-again-after-its-child-in-memory",
		File:   memory,
		Old:    "(r.entry.Position.IsEnd() || len(r.shard.Parents) == 0)",
		New:    "r.entry.Position.IsEnd()",
		Breaks: "a shard with a child that has started is at its end",
		Test:   model,
	}, {
		Name:   "forget-removals-early-in-memory",
		File:   "lease/memory_sessions.go",
		Old:    "t.tombs[0].at <= t.now-2*t.ttl;",
		New:    "t.tombs[0].at <= t.now-t.ttl;",
		Breaks: "removals are told for two lease times",
		Test:   model,
	}}
}
