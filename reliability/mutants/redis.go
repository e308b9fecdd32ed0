package mutants

// redisMutants are bugs in how Redis is reached: one server, Sentinel sets and
// clusters.
func redisMutants() []Mutant {
	const (
		store = "./lease/redis"
		keys  = "./internal/rediskeys"
		dir   = "internal/rediskeys/"
	)
	return []Mutant{{
		Name:   "use-grants-that-no-replica-has",
		File:   dir + "run.go",
		Old:    "\tif have < acks {\n",
		New:    "\tif have < 0 {\n",
		Breaks: "with ReplicaAcks, what a failover could forget is not used",
		Test:   Test{store, "TestWhatTooFewReplicasHaveDoesNotCount"},
	}, {
		Name:   "wait-for-no-replica-after-a-forgotten-script",
		File:   dir + "run.go",
		Old:    "\t\targs[0], args[1] = \"eval\", s.text\n\t\tv, err = c.send(ctx, args, keys[0], acks, timeout)\n",
		New:    "\t\targs[0], args[1] = \"eval\", s.text\n\t\tv, err = c.send(ctx, args, keys[0], 0, timeout)\n",
		Breaks: "with ReplicaAcks, replicas are waited for each time",
		Test:   Test{store, "TestReplicasAreWaitedForAfterTheScriptsAreForgotten"},
	}, {
		Name:   "keep-calling-a-dead-primary-of-a-cluster",
		File:   dir + "run.go",
		Old:    "\t\tcluster.ReloadState(ctx)\n",
		New:    "\t\t_ = cluster\n",
		Breaks: "workers go on over a failover of a cluster",
		Test:   Test{store, "TestManagersGoOnOverAFailoverOfACluster"},
	}, {
		Name:   "send-a-call-of-a-cluster-again",
		File:   dir + "run.go",
		Old:    "func (once) NoRetry() bool { return true }\n",
		New:    "func (once) NoRetry() bool { return false }\n",
		Breaks: "a call is sent once",
		Test:   Test{keys, "TestACallOfAClusterIsSentOnce"},
	}, {
		Name:   "listen-where-a-slot-was",
		File:   dir + "watch.go",
		Old:    "\t\t\tif m.Count == 0 {\n",
		New:    "\t\t\tif m.Count < 0 {\n",
		Breaks: "changes are heard after a slot has moved",
		Test:   Test{store, "TestAWatchOfASlotThatMovesEnds"},
	}, {
		Name:   "announce-where-nobody-listens",
		File:   dir + "channels.go",
		Old:    "\t\treturn \"SPUBLISH\"\n",
		New:    "\t\treturn \"PUBLISH\"\n",
		Breaks: "changes are heard on a cluster",
		Test:   Test{store, "TestOnACluster/conformance/changes_are_announced"},
	}, {
		Name:   "wait-for-dials-that-hang",
		File:   dir + "dial.go",
		Old:    "\t\tconn, err := await(ctx, dial, network, addr)\n",
		New:    "\t\tconn, err := dial(ctx, network, addr)\n",
		Breaks: "a call ends in time, whatever a dialer does",
		Test:   Test{keys, "TestDialsThatHangKeepNobodyWaiting"},
	}, {
		Name:   "dial-once-a-second",
		File:   dir + "dial.go",
		Old:    "\t\t\treturn failed{fmt.Errorf(\"%w\", err)}, nil // go-redis takes one error off\n",
		New:    "\t\t\treturn nil, fmt.Errorf(\"%w\", err)\n",
		Breaks: "workers are back as soon as the store is",
		Test:   Test{keys, "TestAServerIsFoundAtOnceWhenItIsBack"},
	}, {
		Name:   "talk-to-two-primaries",
		File:   dir + "dial.go",
		Old:    "\t\tformer = p.conns\n",
		New:    "",
		Breaks: "a worker talks to one primary of a Sentinel set",
		Test:   Test{keys, "TestAWorkerTalksToOnePrimary"},
	}, {
		Name:   "take-a-late-dial-for-the-newest",
		File:   dir + "dial.go",
		Old:    "\tif p.addr != addr && no < p.latest {\n",
		New:    "\tif false {\n",
		Breaks: "a dial that hung over a failover closes no connection to the new primary",
		Test:   Test{keys, "TestALateDialToAFormerPrimaryIsNotUsed"},
	}, {
		Name:   "use-closed-connections",
		File:   dir + "dial.go",
		Old:    "if raw, ok := conn.(syscall.Conn); ok {",
		New:    "if raw, ok := conn.(syscall.Conn); ok && raw == nil {",
		Breaks: "after a failover no call fails for a connection to the former primary",
		Test:   Test{keys, "TestAWorkerTalksToOnePrimary"},
	}, {
		Name:   "say-nothing-of-eviction",
		File:   "lease/redis/advice.go",
		Old:    "p != \"\" && p != \"noeviction\" &&",
		New:    "p == \"\" &&",
		Breaks: "settings of Redis that lose state are logged",
		Test:   Test{store, "TestSettingsThatLoseStateAreLoggedOnce"},
	}}
}
