#!/usr/bin/env bash
# suite.sh SUITE RUNS LEDGER COMMAND...: runs the command and adds RUNS runs of
# SUITE to the ledger, one of them failed if the command fails.
set -uo pipefail
suite=$1 runs=$2 ledger=$3
shift 3
go run ./reliability/ledger/cmd check -ledger "$ledger" || exit 1
"$@"
status=$?
failures=0
[ "$status" = 0 ] || failures=1
go run ./reliability/ledger/cmd add -ledger "$ledger" -suite "$suite" -runs "$runs" -failures "$failures" || exit 1
exit "$status"
