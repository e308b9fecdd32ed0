package mutants

// serverMutants are bugs in localstream above its log.
func serverMutants() []Mutant {
	const (
		server = "./localstream"
		state  = "./localstream/internal/state"
	)
	return []Mutant{{
		Name:   "reuse-numbers-after-a-restart",
		File:   "localstream/metadata.go",
		Old:    "{ return m.state.Boot << bootShift }",
		New:    "{ return 0 }",
		Breaks: "a number that was given out is not given out again, not even when the log lost its end",
		// The simulated server syncs before it answers: only numbers of records
		// that nobody was told of are given out again.
		Test: Test{server, "TestPowerFailure"},
	}, {
		Name:   "date-children-by-the-clock-alone",
		File:   "localstream/internal/state/reshard.go",
		Old:    "max(now.Unix(), parents[0].CreateSecs) + 1",
		New:    "now.Unix()",
		Breaks: "a child's numbers are above its parents'",
		Test:   Test{state, "TestChildrenNumbersAreAboveTheirParents"}, Sim: true,
	}, {
		Name:   "date-a-merged-shard-by-one-parent",
		File:   "localstream/internal/state/reshard.go",
		Old:    "\t\t\tchild.CreateSecs = max(child.CreateSecs, parents[1].CreateSecs+1)\n",
		New:    "",
		Breaks: "a child's numbers are above both its parents'",
		Test:   Test{state, "TestNumbersOfAMergedShardAreAboveBothParents"}, Sim: true,
	}, {
		Name:   "split-into-ranges-that-overlap",
		File:   "localstream/internal/state/reshard.go",
		Old:    "End: step.Split.Prev()}",
		New:    "End: *step.Split}",
		Breaks: "the open shards cover each hash key once",
		Test:   Test{state, "TestSplitAndMerge"}, Sim: true,
	}, {
		Name:   "reshard-without-sealing",
		File:   "localstream/lifecycle.go",
		Old:    "\tfor _, c := range event.Closed {\n\t\tif err := st.log.Seal(c.Number); err != nil {\n",
		New:    "\tfor _, c := range event.Closed[:0] {\n\t\tif err := st.log.Seal(c.Number); err != nil {\n",
		Breaks: "nothing is put into a shard after its end",
		Test:   Test{server, "TestNoRecordComesAfterItsShardWasClosed"}, Sim: true,
	}, {
		Name:   "forget-seals-at-a-restart",
		File:   "localstream/metadata.go",
		Old:    "\t\tif !sh.IsClosed() {\n\t\t\tcontinue\n",
		New:    "\t\tif sh.Number >= 0 {\n\t\t\tcontinue\n",
		Breaks: "a closed shard has an end after a restart",
		Test:   Test{server, "TestRestart"}, Sim: true,
	}, {
		Name:   "read-after-as-at",
		File:   "localstream/op_get_shard_iterator.go",
		Old:    "\t\treturn n.Index + 1, nil\n",
		New:    "\t\treturn n.Index, nil\n",
		Breaks: "AFTER_SEQUENCE_NUMBER begins after the record",
		Test:   Test{server, "TestIteratorTypes"}, Sim: true,
	}, {
		Name:   "begin-latest-one-late",
		File:   "localstream/op_get_shard_iterator.go",
		Old:    "\t\treturn next, nil\n",
		New:    "\t\treturn next + 1, nil\n",
		Breaks: "LATEST misses nothing that is put after the call",
		Test:   Test{server, "TestIteratorTypes"}, Sim: true,
	}, {
		Name:   "end-a-closed-shard-after-a-page",
		File:   "localstream/op_get_records.go",
		Old:    "\tif p.End && sh.IsClosed() {\n",
		New:    "\tif sh.IsClosed() {\n",
		Breaks: "a shard ends after its last record",
		Test:   Test{server, "TestAClosedShardIsReadInPages"}, Sim: true,
	}, {
		Name:   "name-one-parent-of-a-merged-shard",
		File:   "localstream/op_get_records.go",
		Old:    "\t\t\tchild.Parents = append(child.Parents, state.ShardID(uint32(sh.AdjacentParent)))\n",
		New:    "\t\t\tchild.Parents = child.Parents[:1]\n",
		Breaks: "readers know of both parents",
		Test:   Test{server, "TestSplitAndMerge"}, Sim: true,
	}, {
		Name:   "claim-to-be-at-the-tip",
		File:   "localstream/op_get_records.go",
		Old:    "\t\treturn p.Behind\n",
		New:    "\t\treturn p.Behind\n\t}\n\tif p.Behind < 1000 {\n\t\treturn 0\n",
		Breaks: "MillisBehindLatest is 0 at the tip only",
		Test:   Test{server, "TestPages"}, Sim: true,
	}, {
		Name:   "continue-behind-the-next-record",
		File:   "localstream/subscription.go",
		Old:    "s.reached = sh.At(p.Records[n-1].Seq, p.Records[n-1].Arrival)",
		New:    "s.reached = sh.At(p.Records[n-1].Seq+1, p.Records[n-1].Arrival)",
		Breaks: "a subscriber that goes on after the continuation number misses nothing",
		Test:   Test{server, "TestContinuationNumbersLoseNothing"}, Sim: true,
	}, {
		Name:   "continue-where-the-subscription-began",
		File:   "localstream/subscription.go",
		Old:    "\t\ts.reached = sh.At(p.Records[n-1].Seq, p.Records[n-1].Arrival)\n",
		New:    "",
		Breaks: "a subscriber that goes on after the continuation number is given nothing again",
		Test:   Test{server, "TestContinuationNumbersLoseNothing"}, Sim: true,
	}, {
		Name:   "end-a-closed-shard-after-an-event",
		File:   "localstream/subscription.go",
		Old:    "ended := p.End && sh.IsClosed()",
		New:    "ended := sh.IsClosed()",
		Breaks: "a shard ends after its last record, for a subscriber too",
		Test:   Test{server, "TestAClosedShardIsSentInEvents"}, Sim: true,
	}, {
		Name:   "wait-for-the-next-beat-with-what-was-put",
		File:   "localstream/subscription.go",
		Old:    "v, changed := s.st.view.Load(), s.st.log.Changed(s.shard) // before reading: what comes later is heard of",
		New:    "v, changed := s.st.view.Load(), (<-chan struct{})(nil)",
		Breaks: "a subscriber is given a record when it is put",
		Test:   Test{server, "TestSubscriptionsArePushed"}, Sim: true,
	}, {
		Name:   "hang-a-subscription-now-and-then",
		File:   "localstream/subscription.go",
		Old:    "\t\tif ctx.Err() != nil || !time.Now().Before(end) {\n",
		New:    "\t\tif time.Now().UnixNano()%200 == 0 {\n\t\t\t<-ctx.Done()\n\t\t}\n\t\tif ctx.Err() != nil || !time.Now().Before(end) {\n",
		Breaks: "a subscription says something each five seconds",
		Test:   Test{server, "TestSubscriptionsArePushed"}, Sim: true,
	}, {
		Name:   "route-by-the-key-in-spite-of-a-hash-key",
		File:   "localstream/op_put_records.go",
		Old:    "\tif explicit == nil {\n",
		New:    "\tif explicit == nil || key != \"\" {\n",
		Breaks: "an explicit hash key chooses the shard",
		Test:   Test{server, "TestExplicitHashKeyPicksTheShard"}, Sim: true,
	}, {
		Name:   "put-sealed-records-to-their-old-shard",
		File:   "localstream/op_put_records.go",
		Old:    "\t\t\tp.shard = &v.open[v.route(p.hash)]\n",
		New:    "\t\t\tif first {\n\t\t\t\tp.shard = &v.open[v.route(p.hash)]\n\t\t\t}\n",
		Breaks: "a put that meets a reshard goes to the new shards",
		// In a simulation the caller stops to wait for the answer and puts again,
		// which goes to the new shards.
		Test: Test{server, "TestPutWaitsForNewShards"}, Hangs: true,
	}}
}
