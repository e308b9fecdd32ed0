# make help lists the targets.
SHELL := bash
.DEFAULT_GOAL := help
GO ?= go
TOOL = $(GO) tool -modfile=tools/go.mod
FUZZTIME ?= 10s

.PHONY: help build test unit race lint fuzz check cover tidy redis

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-8s %s\n", $$1, $$2}'

build: ## build bin/shardrun
	$(GO) build -trimpath -o bin/shardrun ./cmd/shardrun

test: redis check lint race ## all that a change must pass; installs what it needs

unit: redis ## the tests without the race detector, the quickest answer
	$(GO) test ./...

race: redis ## the tests under the race detector
	$(GO) test -race ./...

check: ## format, vet, module files, the number of modules that users get
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "run gofmt -w on: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) mod verify
	tools/modules.sh 10 ./consumer ./producer ./lease ./checkpoint

lint: ## golangci-lint and the rules on who imports whom
	$(TOOL) golangci-lint run ./...

fuzz: ## each fuzz target for FUZZTIME (10s)
	tools/fuzz.sh $(FUZZTIME)

cover: redis ## coverage by function, in coverage.out
	$(GO) test -coverprofile=coverage.out -coverpkg=./... ./...
	$(GO) tool cover -func=coverage.out | tail -n 1

tidy: ## tidy all module files
	$(GO) mod tidy
	cd tools && $(GO) mod tidy

redis: ## install redis-server when it is missing
	@tools/redis.sh
