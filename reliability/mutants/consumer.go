package mutants

// consumerMutants are bugs in the consumer.
func consumerMutants() []Mutant {
	const consumer = "./consumer"
	return []Mutant{{
		Name:   "checkpoint-before-the-handler-returned",
		File:   "consumer/deliver.go",
		Old:    "\t\tv := s.handle(s.batch, attempts+1)\n",
		New:    "\t\ts.held.Save(s.queue.records[s.batch-1].Position(), 0, nil)\n\t\tv := s.handle(s.batch, attempts+1)\n",
		Breaks: "what was not handled is delivered again",
		Test:   Test{consumer, "TestDestinationThatFailsHoldsThePosition"}, Sim: true,
	}, {
		Name:   "save-the-position-of-what-was-read",
		File:   "consumer/queue.go",
		Old:    "\tat = q.records[n-1].Position()\n\tclear",
		New:    "\tat = q.end\n\tclear",
		Breaks: "a position is saved when everything up to it was handled",
		Test:   Test{consumer, "TestQueuePositions"}, Sim: true,
	}, {
		Name:   "move-past-the-queue-on-an-empty-page",
		File:   "consumer/queue.go",
		Old:    "\tmoved = len(q.records) == 0 && len(p.records) == 0 &&",
		New:    "\tmoved = len(p.records) == 0 &&",
		Breaks: "a position is saved when everything up to it was handled",
		Test:   Test{consumer, "TestQueueMovesOverPagesWithNothingToHandle"},
	}, {
		Name:   "count-the-failed-record-as-done",
		File:   "consumer/verdict.go",
		Old:    "\t\tdone: first.index, failed: first.failed,",
		New:    "\t\tdone: min(first.index+1, n), failed: first.failed,",
		Breaks: "FailFrom delivers that record again",
		Test:   Test{consumer, "TestVerdictsInARun/FailFrom_goes_on_at_the_record"}, Sim: true,
	}, {
		Name:   "begin-a-batch-after-the-lease-ran-out",
		File:   "consumer/shard.go",
		Old:    "\tif !s.held.Valid() {\n",
		New:    "\tif s.held == nil {\n",
		Breaks: "a worker that stalled for longer than its lease begins nothing more",
		Test:   Test{consumer, "TestNoBatchBeginsAfterTheLeaseRanOut"}, Sim: true,
	}, {
		Name:   "count-failed-batches-as-done",
		File:   "consumer/verdict.go",
		Old:    "\tif err == nil {\n\t\treturn verdict{done: n}\n",
		New:    "\tif err == nil || n > 3 {\n\t\treturn verdict{done: n}\n",
		Breaks: "what a handler failed with is delivered again",
		Test:   Test{consumer, "TestJudge"}, Sim: true,
	}, {
		Name:   "end-a-shard-with-records-in-the-queue",
		File:   "consumer/shard.go",
		Old:    "\t\tcase n > 0:\n\t\t\tif err := s.deliver(ctx, n); err != nil {\n",
		New:    "\t\tcase n > 0 && !s.queue.last:\n\t\t\tif err := s.deliver(ctx, n); err != nil {\n",
		Breaks: "a shard is ended when all of it was handled",
		Test:   Test{consumer, "TestSplitAndMergeWhileReading"}, Sim: true,
	}, {
		Name:   "wait-for-one-parent-of-a-merged-shard",
		File:   "consumer/complete.go",
		Old:    "child.HashKeyRange, child.ParentShards)\n",
		New:    "child.HashKeyRange, child.ParentShards[:1])\n",
		Breaks: "a merged shard is handled after both its parents",
		Test:   Test{consumer, "TestAMergedShardWaitsForEitherParent"}, Sim: true,
	}, {
		Name:   "take-half-of-the-children",
		File:   "consumer/complete.go",
		Old:    "\tif err := covers(keys, mine); err != nil {\n",
		New:    "\tif err := covers(keys, mine); err != nil && len(keys) == 0 {\n",
		Breaks: "what follows a shard is read, all of it",
		Test:   Test{consumer, "TestShardEnd"},
	}, {
		Name:   "drop-the-rule-of-the-range",
		File:   "consumer/unpack.go",
		Old:    "\t\tif u.keys != hashkey.Full && !u.keys.Contains(m.Hash()) {\n",
		New:    "\t\tif u.keys == hashkey.Full && !u.keys.Contains(m.Hash()) {\n",
		Breaks: "a record is delivered by the shard that its key belongs to",
		Test:   Test{consumer, "TestAggregatesOverASplit"}, Sim: true,
	}, {
		Name:   "deliver-an-aggregate-again-from-its-start",
		File:   "consumer/unpack.go",
		Old:    "\tif at := r.Position(); at.Compare(seen) > 0 {\n",
		New:    "\tif at := r.Position(); r.Sequence.Compare(seen.Sequence) >= 0 {\n",
		Breaks: "a reader goes on inside of an aggregate",
		Test:   Test{consumer, "TestResumeInsideAnAggregate"}, Sim: true,
	}, {
		Name:   "go-on-after-a-half-handled-aggregate",
		File:   "consumer/source.go",
		Old:    "\t\t\tShardIteratorType:      types.ShardIteratorTypeAtSequenceNumber,\n",
		New:    "\t\t\tShardIteratorType:      types.ShardIteratorTypeAfterSequenceNumber,\n",
		Breaks: "the rest of an aggregate is handled after a hand-over",
		Test:   Test{consumer, "TestResumeInsideAnAggregate"}, Sim: true,
	}, {
		Name:   "go-on-at-latest-when-the-iterator-expired",
		File:   "consumer/source.go",
		Old:    "\t\treturn &kinesis.GetShardIteratorInput{\n\t\t\tShardIteratorType:      types.ShardIteratorTypeAfterSequenceNumber,\n\t\t\tStartingSequenceNumber: aws.String(string(last)),\n\t\t}\n",
		New:    "\t\treturn &kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeLatest}\n",
		Breaks: "an expired iterator skips nothing",
		Test:   Test{consumer, "TestExpiredIteratorGoesOnBehindWhatWasRead"}, Sim: true,
	}, {
		Name:   "forget-where-reading-stopped",
		File:   "consumer/queue.go",
		Old:    "\tq.end = q.records[n-1].Position()\n",
		New:    "",
		Breaks: "what is let go of for want of memory is read again",
		Test:   Test{consumer, "TestWhatWasLetGoOfIsReadAgain"},
	}, {
		Name:   "begin-a-lost-group-where-a-new-one-begins",
		File:   "consumer/consumer.go",
		Old:    "\t\tRediscover: c.discoverFrom(TrimHorizon(), st),\n",
		New:    "\t\tRediscover: c.discoverFrom(cfg.StartAt, st),\n",
		Breaks: "a store that lost everything costs repeats, not records",
		Test:   Test{consumer, "TestLostStateIsReadFromTheStart"}, Sim: true,
	}, {
		Name:   "let-retries-overtake",
		File:   "consumer/deliver.go",
		Old:    "\t\t\ts.progress.retrying(attempts, v.err)\n\t\t\tif err := s.rest(ctx, d.pause); err != nil {\n\t\t\t\treturn err\n\t\t\t}\n",
		New:    "\t\t\tif n := len(s.queue.records); n > s.batch {\n\t\t\t\ts.queue.records[0], s.queue.records[n-1] = s.queue.records[n-1], s.queue.records[0]\n\t\t\t}\n\t\t\ts.progress.retrying(attempts, v.err)\n\t\t\tif err := s.rest(ctx, d.pause); err != nil {\n\t\t\t\treturn err\n\t\t\t}\n",
		Breaks: "nothing behind a failing record overtakes it",
		Test:   Test{consumer, "TestVerdictsInARun/an_error_is_retried_with_the_same_records"}, Sim: true,
	}}
}
