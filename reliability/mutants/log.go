package mutants

// logMutants are bugs in the log of localstream.
func logMutants() []Mutant {
	const wal = "./localstream/internal/wal"
	return []Mutant{{
		Name:   "skip-an-fsync",
		File:   "localstream/internal/wal/commit.go",
		Old:    "\tif l.cfg.Durability == Sync {\n",
		New:    "\tif l.cfg.Durability == Sync && w.number%2 == 0 {\n",
		Breaks: "an answered put survives a power loss",
		Test:   Test{wal, "TestACrashLosesNothingThatWasAcknowledged"}, Sim: true,
	}, {
		Name:   "acknowledge-what-is-still-buffered",
		File:   "localstream/internal/wal/commit.go",
		Old:    "\tout.flush()\n\terr := out.err\n",
		New:    "\terr := out.err\n",
		Breaks: "an answered put is in the file",
		Test:   Test{wal, "TestRecordsAreSeenAndAcknowledgedWhenTheyAreSynced"}, Sim: true,
	}, {
		Name:   "forget-the-fsync-of-the-directory",
		File:   "localstream/internal/wal/segment.go",
		Old:    "\t\terr = syncDir(n.fs, n.dir, n.durability)\n",
		New:    "\t\terr = nil\n",
		Breaks: "a segment does not vanish in a power loss",
		Test:   Test{wal, "TestACrashLosesNothingThatWasAcknowledged"}, Sim: true,
	}, {
		Name:   "name-a-file-before-it-is-synced",
		File:   "localstream/internal/wal/segment.go",
		Old:    "\t} else if err = syncFile(n.file, d); err != nil {\n",
		New:    "\t} else if err != nil {\n",
		Breaks: "what has its name has its content",
		Test:   Test{wal, "TestTheSnapshotOfAJournalIsNeverTorn"},
	}, {
		Name:   "seal-what-is-not-synced",
		File:   "localstream/internal/wal/commit.go",
		Old:    "\tif l.cfg.Durability == Async { // with Sync each batch was\n",
		New:    "\tif l.cfg.Durability == Memory {\n",
		Breaks: "a whole footer proves that the batches before it are",
		Test:   Test{wal, "TestACrashLosesNothingThatWasAcknowledged"},
	}, {
		Name:   "trust-a-torn-tail",
		File:   "localstream/internal/wal/scan.go",
		Old:    "\tcase checksum(s.seed, payload) != h.payloadCRC:\n",
		New:    "\tcase h.count == 0 && checksum(s.seed, payload) != h.payloadCRC:\n",
		Breaks: "what is read is what was written",
		Test:   Test{wal, "TestACrashLosesNothingThatWasAcknowledged"}, Sim: true,
	}, {
		Name:   "leave-a-torn-tail-in-place",
		File:   "localstream/internal/wal/recover.go",
		Old:    "\tif t.size > t.end {\n",
		New:    "\tif t.size < t.end {\n",
		Breaks: "records written after a crash are found after the next",
		Test:   Test{wal, "TestATruncatedTailIsCutAtABatch"}, Sim: true,
	}, {
		Name:   "cut-damage-silently",
		File:   "localstream/internal/wal/scan.go",
		Old:    "\tif s.last == 0 && s.proof <= pos {\n",
		New:    "\tif s.last == 0 {\n",
		Breaks: "damage to synced records is reported, never cut",
		Test:   Test{wal, "TestAFlippedBitIsNeverServed"},
	}, {
		Name:   "go-on-after-a-failed-fsync",
		File:   "localstream/internal/wal/commit.go",
		Old:    "\t\t\t_ = w.file.Truncate(w.offset)\n\t\t\treturn fmt.Errorf(\"sync %s: %w\", w.seg.name, err)\n",
		New:    "\t\t\treturn l.takeBack(fmt.Errorf(\"sync %s: %w\", w.seg.name, err))\n",
		Breaks: "a failed fsync is final",
		Test:   Test{wal, "TestABatchWhoseSyncFailedIsNotFoundLater"},
	}, {
		Name:   "sync-what-was-found-without-writing-it-anew",
		File:   "localstream/internal/wal/segment.go",
		Old:    "\t\tif err := fsys.Rewrite(name, b, at); err != nil {\n\t\t\treturn fmt.Errorf(\"write the end of %s anew: %w\", name, err)\n\t\t}\n",
		New:    "",
		Breaks: "what was read at an opening survives the next power loss",
		Test:   Test{wal, "TestAnEntryWhoseSyncFailedAndThatStaysIsWrittenAnew"},
	}, {
		Name:   "answer-a-change-before-its-journal-is-synced",
		File:   "localstream/internal/wal/journal.go",
		Old:    "\tif err == nil {\n\t\terr = j.file.Sync()\n\t}\n",
		New:    "",
		Breaks: "an answered reshard survives a power loss",
		Test:   Test{wal, "TestAJournalSurvivesAPowerFailureAfterAKilledProcess"}, Sim: true,
	}, {
		Name:   "give-numbers-of-a-failed-write-again",
		File:   "localstream/internal/wal/commit.go",
		Old:    "\t\ts.tip = s.batch[len(s.batch)-1].Seq + 1\n",
		New:    "\t\ts.next = s.batch[0].Seq\n\t\ts.tip = s.next\n",
		Breaks: "numbers of a shard strictly rise",
		Test:   Test{wal, "TestNumbersRiseOverAWriteThatFailed"},
	}, {
		Name:   "remove-the-newest-old-segment-first",
		File:   "localstream/internal/wal/trim.go",
		Old:    "\t\tl.doomed = append(l.doomed, seg)\n",
		New:    "\t\tl.doomed = append([]*segment{seg}, l.doomed...)\n",
		Breaks: "a crash while trimming leaves no hole",
		Test:   Test{wal, "TestACrashLosesNothingThatWasAcknowledged"},
	}, {
		Name:   "end-a-page-a-record-too-late",
		File:   "localstream/internal/wal/read.go",
		Old:    "\t\t\tr.page.Next, r.full = rec.Seq, true\n",
		New:    "\t\t\tr.page.Next, r.full = rec.Seq+1, true\n",
		Breaks: "pages follow one another without a gap",
		Test:   Test{wal, "TestAPageKeepsItsLimits"}, Sim: true,
	}}
}
