package mutants

// seedMutants are bugs in what is taken back after a loss, when those who remember
// disagree, and in what is made anew then.
func seedMutants() []Mutant {
	const (
		lua    = "internal/rediskeys/lua/"
		memory = "lease/memory_mend.go"
	)
	mini := func(name string) Test { return Test{"./lease/redis", "TestOnMiniredis/" + name} }
	return []Mutant{{
		Name:   "let-an-early-epoch-be-given-back",
		File:   lua + "seed.lua",
		Old:    "  if epoch ~= 0 then return epoch > 0 end\n",
		New:    "",
		Breaks: "a lease that was reset by hand stays so, whoever was away then",
		Test:   mini("of_seeds_of_two_epochs"),
	}, {
		Name:   "let-an-early-epoch-be-given-back-in-memory",
		File:   memory,
		Old:    "\tcase was.Epoch != n.Epoch:\n",
		New:    "\tcase false:\n",
		Breaks: "a lease that was reset by hand stays so, whoever was away then",
		Test:   Test{"./lease", "TestAResetIsNotUndoneByAWorkerThatWasAway"},
	}, {
		Name:   "pause-again-what-was-resumed",
		File:   lua + "seed.lua",
		Old:    "later > 0 or later == 0 and ARGV[5] == '1'",
		New:    "ARGV[5] == '1'",
		Breaks: "a group that was resumed stays so, whoever was away then",
		Test:   mini("whether_there_is_a_pause"),
	}, {
		Name:   "pause-a-lease-again-that-was-resumed",
		File:   lua + "seed.lua",
		Old:    "(later >= 0 or flag ~= 'paused')",
		New:    "true",
		Breaks: "a lease that was resumed stays so, whoever was away then",
		Test:   mini("whether_there_is_a_pause"),
	}, {
		Name:   "pause-again-what-was-resumed-in-memory",
		File:   memory,
		Old:    "(s.AsOf > t.asOf || s.AsOf == t.asOf && s.Paused)",
		New:    "s.Paused",
		Breaks: "a group that was resumed stays so, whoever was away then",
		Test:   Test{"./lease", "TestMemory/whether_there_is_a_pause"},
	}, {
		Name:   "make-lost-leases-where-new-ones-start",
		File:   "lease/discover.go",
		Old:    "\tgoOn(rows, was)\n",
		New:    "",
		Breaks: "leases that were lost as they had been made are made anew where they were",
		Test:   Test{"./lease", "TestLeasesThatAFailOverLostAreMadeAgainWhereTheyWere"},
	}, {
		Name:   "greet-late",
		File:   "internal/rediskeys/refused.go",
		Old:    "replied && !redis.HasErrorPrefix(err, \"NOAUTH\")",
		New:    "!replied",
		Breaks: "each call has its own answer, however late a server greets",
		Test:   Test{"./internal/rediskeys", "TestALateGreetingMixesUpNoAnswers"},
	}}
}
