package mutants

// producerMutants are bugs in the producer.
func producerMutants() []Mutant {
	const producer = "./producer"
	return []Mutant{{
		Name:   "drop-the-tail-of-an-aggregate",
		File:   "producer/lane.go",
		Old:    "\t\tfor i, rec := range e.contents() {\n",
		New:    "\t\tfor i, rec := range e.contents()[:max(1, len(e.records)-1)] {\n",
		Breaks: "each record's promise is called",
		Test:   Test{producer, "TestRecordsOfAShardShareAnAggregate"}, Sim: true,
	}, {
		Name:   "lose-the-promise-of-an-expired-record",
		File:   "producer/expire.go",
		Old:    "\t\t\tout = append(out, c.failed(l, e, c.expired(l, e)))\n",
		New:    "\t\t\t_ = c.failed(l, e, c.expired(l, e))\n",
		Breaks: "each record's promise is called",
		Test:   Test{producer, "TestRecordsOfMergedShardsExpireByTheirAge"}, Sim: true,
	}, {
		Name:   "call-a-promise-twice",
		File:   "producer/outcome.go",
		Old:    "\t\t\tcase ok:\n\t\t\t\tout = append(out, c.written(s.lane, e, at))\n",
		New:    "\t\t\tcase ok:\n\t\t\t\tout = append(out, c.written(s.lane, e, at))\n\t\t\t\tif e.attempts > 1 {\n\t\t\t\t\tout = append(out, out[len(out)-1])\n\t\t\t\t}\n",
		Breaks: "each record's promise is called once",
		Test:   Test{producer, "TestEachRecordEndsAsPromisedWhateverFails"}, Sim: true,
	}, {
		Name:   "send-two-at-once-in-order",
		File:   "producer/batch.go",
		Old:    "\tfor !full && (n == 0 || !c.cfg.Ordered) {\n",
		New:    "\tfor !full {\n",
		Breaks: "the records of a key keep their order when a call fails in part",
		Test:   Test{producer, "TestRefusedEntriesGoAgainFirst"}, Sim: true,
	}, {
		Name:   "send-what-failed-last",
		File:   "producer/lane.go",
		Old:    "\t\tclear(l.queue[:gone])\n\t\tcopy(l.queue[gone:], again)\n\t\tl.queue = l.queue[gone:]\n",
		New:    "\t\tl.queue = append(slices.Clone(l.queue[gone+len(again):]), again...)\n",
		Breaks: "the records of a key keep their order over retries",
		Test:   Test{producer, "TestRefusedEntriesGoAgainFirst"}, Sim: true,
	}, {
		Name:   "believe-a-misplaced-aggregate",
		File:   "producer/outcome.go",
		Old:    "\t\te.landed = at\n\t\treturn misplaced\n\t}\n}\n\n// doubtful",
		New:    "\t\treturn ok\n\t}\n}\n\n// doubtful",
		Breaks: "an acknowledged record is delivered: members outside of the shard's range are not",
		Test:   Test{producer, "TestAggregateThatStraddlesASplitIsSentAgainWhole"}, Sim: true,
	}, {
		Name:   "let-heirs-overtake",
		File:   "producer/lane.go",
		Old:    "\treturn !l.busy && !l.stale && !l.retired && len(l.before) == 0\n",
		New:    "\treturn !l.busy && !l.stale && !l.retired\n",
		Breaks: "the records of a key keep their order over a reshard",
		Test:   Test{producer, "TestChildWaitsForAParentInFlight"}, Sim: true,
	}, {
		Name:   "let-lanes-move-on-before-older-ones",
		File:   "producer/lane.go",
		Old:    "\treturn len(l.after) > 0 && !l.busy && len(l.before) == 0\n",
		New:    "\treturn len(l.after) > 0 && !l.busy\n",
		Breaks: "the records of a key keep their order over two reshards",
		Test:   Test{producer, "TestGrandchildWaitsForItsAncestors"},
	}, {
		Name:   "queue-heirlooms-last",
		File:   "producer/lane.go",
		Old:    "\t\t\their.queue = append(p.out, heir.queue...)\n",
		New:    "\t\t\their.queue = append(heir.queue, p.out...)\n",
		Breaks: "the records of a key keep their order over a reshard",
		Test:   Test{producer, "TestHeirloomsGoFirst"}, Sim: true,
	}, {
		Name:   "send-every-call-twice",
		File:   "producer/run.go",
		Old:    "\tout, err := p.cfg.Client.PutRecords(ctx, in, once)\n",
		New:    "\t_, _ = p.cfg.Client.PutRecords(ctx, in, once)\n\tout, err := p.cfg.Client.PutRecords(ctx, in, once)\n",
		Breaks: "a record that is answered well is not sent again",
		Test:   Test{producer, "TestCallsJoinShards"},
	}, {
		Name:   "number-members-from-one",
		File:   "producer/run.go",
		Old:    "\t\t\t\t\tres.Subsequence = uint64(i)\n",
		New:    "\t\t\t\t\tres.Subsequence = uint64(i + 1)\n",
		Breaks: "a result says where the record is",
		Test:   Test{producer, "TestPutSyncSaysWhereTheRecordIs"}, Sim: true,
	}, {
		Name:   "hide-that-a-record-may-be-written",
		File:   "producer/outcome.go",
		Old:    "\t\t\t\te.maybeSent = e.maybeSent || err == nil || unsure\n",
		New:    "\t\t\t\te.maybeSent = e.maybeSent || err == nil && unsure\n",
		Breaks: "an error does not hide an acknowledgement",
		Test:   Test{producer, "TestFailedEntryRemembersWhetherItMayBeWritten"}, Sim: true,
	}, {
		Name:   "send-a-lone-record-without-its-hash-key",
		File:   "producer/entry.go",
		Old:    "\t\te.key, e.hashKey, e.data = first.Key, first.HashKey, first.Data\n",
		New:    "\t\te.key, e.hashKey, e.data = first.Key, \"\", first.Data\n",
		Breaks: "an explicit hash key chooses the shard",
		Test:   Test{producer, "TestLoneRecordIsSentAsItIs"}, Sim: true,
	}, {
		Name:   "send-on-by-an-old-shard-map",
		File:   "producer/outcome.go",
		Old:    "\t\tl.stale, l.staleAt, l.stray = true, c.version, at.shard\n",
		New:    "\t\tl.staleAt, l.stray = c.version, at.shard\n",
		Breaks: "after a reshard aggregates are made for the new shards",
		// Nothing is lost or out of order by it: what was misplaced is sent again.
		Test: Test{producer, "TestListingOlderThanAnAnswerIsNotBelieved"},
	}, {
		Name:   "say-that-one-in-five-failed",
		File:   "producer/producer.go",
		Old:    "\tp.mu.Lock()\n\tif p.isClosed {\n\t\tp.mu.Unlock()\n\t\treturn errClosedPut\n\t}\n\tif !p.core.room.take(r.size()) {\n\t\tw :=",
		New:    "\tif len(r.Data)%5 == 3 && r.Done != nil {\n\t\tr.Done(Result{}, &RecordError{MaybeSent: true, Err: ErrExpired})\n\t\treturn nil\n\t}\n\tp.mu.Lock()\n\tif p.isClosed {\n\t\tp.mu.Unlock()\n\t\treturn errClosedPut\n\t}\n\tif !p.core.room.take(r.size()) {\n\t\tw :=",
		Breaks: "a record fails when it was tried",
		Test:   Test{producer, "TestDataThatLooksLikeAnAggregateArrivesAsItIs"}, Sim: true,
	}}
}
