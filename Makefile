# make help lists the targets.
SHELL := bash
.DEFAULT_GOAL := help
GO ?= go
TOOL = $(GO) tool -modfile=tools/go.mod
FUZZTIME ?= 10s

# What `make reliability` runs; give larger ones to run longer.
SEEDS ?= 1000
CRASHES ?= 20000
KILLS ?= 1000
PROGRAMS ?= 1000
FOR ?= 5m
STORM ?= 2m
ABUSE ?= 1m
ROUNDS ?= 1000
LEDGER ?= $(CURDIR)/reliability/totals.json
# README.md shows the ledger of the project, not another that was given.
WRITE_TABLE = $(if $(filter $(CURDIR)/reliability/totals.json,$(LEDGER)),$(GO) run ./reliability/ledger/cmd table -write)

.PHONY: help build test unit race sim model lint fuzz check cover tidy redis
.PHONY: bench bench-full interop
.PHONY: reliability reliability-crashes reliability-tails reliability-faults reliability-kills reliability-programs reliability-models reliability-sim reliability-processes reliability-abuses reliability-stops reliability-fuzz reliability-table mutants mutants-sim

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-22s %s\n", $$1, $$2}'

build: ## build bin/shardrun
	$(GO) build -trimpath -o bin/shardrun ./cmd/shardrun

test: redis check lint sim model race ## all that a change must pass; installs what it needs

unit: redis ## the tests without the race detector, the quickest answer
	$(GO) test ./...

race: redis ## the tests under the race detector; in the simulation 5 runs
	$(GO) test -race ./...

sim: ## 50 simulated runs, and the tests of the benchmarks, without the race detector
	$(GO) test ./sim
	cd bench && $(GO) test ./...

check: ## format, vet, module files, the number of modules that users get
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "run gofmt -w on: $$unformatted"; exit 1; }
	$(GO) vet ./...
	cd bench && $(GO) vet ./...
	$(GO) mod verify
	tools/modules.sh 10 ./consumer ./producer ./lease ./checkpoint

model: ## every state of small models of the lease protocol, without the race detector
	$(GO) test ./lease/internal/protocol

lint: ## golangci-lint and the rules on who imports whom
	$(TOOL) golangci-lint run ./...
	cd bench && $(GO) tool -modfile=../tools/go.mod golangci-lint run ./...

fuzz: ## each fuzz target for FUZZTIME (10s)
	tools/fuzz.sh $(FUZZTIME)

reliability: reliability-crashes reliability-tails reliability-faults reliability-kills reliability-programs reliability-models reliability-sim reliability-processes reliability-abuses reliability-stops reliability-fuzz ## the long suites; each adds to reliability/totals.json and to the table in README.md

reliability-crashes: ## CRASHES (20000) power failures of the log in random moments
	tools/suite.sh "power failures" $(CRASHES) $(LEDGER) \
		$(GO) test ./localstream/internal/wal -run 'TestACrashLosesNothingThatWasAcknowledged$$' -crash.seeds=$(CRASHES) -timeout 3h
	$(WRITE_TABLE)

reliability-tails: ## each truncation of the last 64 KiB of a log and each flipped bit of its last 8 KiB, 262,146 in all
	tools/suite.sh "torn and flipped tails" 262146 $(LEDGER) \
		$(GO) test ./localstream/internal/wal -run 'TestEveryTail$$' -tail.all -timeout 1h
	$(WRITE_TABLE)

reliability-faults: ## each operation of a long workload of the log on its disk fails in each way, with power failures after it
	tools/suite.sh "failed disk operations" 4740 $(LEDGER) \
		$(GO) test ./localstream/internal/wal -run 'TestAnyOperationMayFail$$' -fault.appends=60 -fault.clones=5 -timeout 1h
	$(WRITE_TABLE)

reliability-programs: ## PROGRAMS (1000) random programs of puts and reshards beside a model, each in every configuration
	tools/suite.sh "programs of puts and reshards" $(PROGRAMS) $(LEDGER) \
		$(GO) test ./localstream -run 'TestPrograms$$' -programs=$(PROGRAMS) -timeout 3h
	$(WRITE_TABLE)

reliability-models: ## 31 models of the lease protocol, some 100 million states
	tools/suite.sh "models of the lease protocol" 31 $(LEDGER) \
		$(GO) test ./lease/internal/protocol -run 'TestTheProtocolKeepsItsPromises$$' -models.large -timeout 1h
	$(WRITE_TABLE)

reliability-kills: ## KILLS (1000) kills of a real server under load, in reshards and while it starts
	tools/suite.sh "kills of the server" $(KILLS) $(LEDGER) \
		$(GO) test ./reliability/kills -kills=$(KILLS) -timeout 6h
	$(WRITE_TABLE)

reliability-sim: ## SEEDS (1000) simulated runs
	$(GO) test -C sim -run 'TestSim$$' -seeds=$(SEEDS) -ledger=$(abspath $(LEDGER)) -timeout 6h
	$(WRITE_TABLE)

reliability-processes: redis ## real processes, killed and held at random FOR (5m), and a STORM (2m) of kills of the server
	$(GO) run ./reliability/processes -for $(FOR) -ledger $(LEDGER)
	$(GO) run ./reliability/processes -for $(STORM) -only "kill server" -pause 200ms -ledger $(LEDGER)
	$(WRITE_TABLE)

reliability-abuses: redis ## real processes for ABUSE (1m) each: what Redis can lose, cuts of the way there, long stops, failovers
	@failed=0; for abuse in "kill redis always" "kill redis everysec" "kill redis none" "flush redis" "delete redis key" "fail over redis" \
		"cut worker refused" "cut worker black hole" "cut worker half open" "hold worker long"; do \
		$(GO) run ./reliability/processes -for $(ABUSE) -only "$$abuse" -ledger $(LEDGER) || failed=1; \
	done; exit $$failed
	$(WRITE_TABLE)

reliability-stops: redis ## ROUNDS (1000) in which a worker that holds leases is stopped for three lease times, in ten groups
	tools/suite.sh "stops of workers" $(ROUNDS) $(LEDGER) \
		$(GO) test ./reliability/processes -run 'TestNoStaleCheckpointIsAccepted$$' -stops=$(ROUNDS) -timeout 3h
	$(WRITE_TABLE)

reliability-fuzz: FUZZTIME = 60s
reliability-fuzz: ## each fuzz target for 60 s, or FUZZTIME
	LEDGER=$(LEDGER) tools/fuzz.sh $(FUZZTIME)
	$(WRITE_TABLE)

reliability-table: ## put the totals into README.md
	$(WRITE_TABLE)

mutants: redis ## hunt the planted bugs of reliability/mutants with unit tests, writes reliability/mutants.md
	$(GO) run ./reliability/mutants/hunt -ledger $(LEDGER)
	$(WRITE_TABLE)

mutants-sim: ## hunt those that a simulation should find there, with up to 500 seeds each
	$(GO) run ./reliability/mutants/hunt -sim -o reliability/mutants-sim.md -ledger $(LEDGER)
	$(WRITE_TABLE)

interop: ## sessions of the AWS CLI, boto3 and the AWS SDKs for Go, JavaScript and Java with localstream; installs what it needs
	localstream/interop/run.sh

bench: redis ## ours and the peers side by side, in 15 minutes; writes bench/results
	cd bench && $(GO) run .

bench-full: redis ## the same with the rounds that percentiles need
	cd bench && $(GO) run . -full

cover: redis ## coverage by function, in coverage.out
	$(GO) test -coverprofile=coverage.out -coverpkg=./... ./...
	$(GO) tool cover -func=coverage.out | tail -n 1

tidy: ## tidy all module files
	$(GO) mod tidy
	cd tools && $(GO) mod tidy
	cd bench && $(GO) mod tidy

redis: ## install redis-server when it is missing
	@tools/redis.sh
