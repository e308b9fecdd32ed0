#!/usr/bin/env bash
# fuzz.sh TIME: runs each fuzz target of the module for TIME. With $LEDGER set to
# a file, it adds what was run to the totals there.
set -uo pipefail
if [ -n "${LEDGER:-}" ]; then
	go run ./reliability/ledger/cmd check -ledger "$LEDGER" || exit 1
fi
targets=0 failures=0 executions=0
output=$(mktemp)
trap 'rm -f "$output"' EXIT
while read -r file; do
	for target in $(grep -oE '^func Fuzz[A-Za-z0-9_]*' "$file" | cut -d' ' -f2); do
		echo "== $(dirname "$file") $target"
		go test -run '^$' -fuzzminimizetime 10x -fuzz "^$target\$" -fuzztime "$1" "$(dirname "$file")" </dev/null | tee "$output"
		[ "${PIPESTATUS[0]}" = 0 ] || failures=$((failures + 1))
		targets=$((targets + 1))
		last=$(grep -oE 'execs: [0-9]+' "$output" | tail -n 1 | cut -d' ' -f2)
		executions=$((executions + ${last:-0}))
	done
done < <(grep -rlE '^func Fuzz[A-Za-z0-9_]*\(' --include='*_test.go' .)
echo "$targets targets, $executions executions, $failures failed"
if [ -n "${LEDGER:-}" ]; then
	go run ./reliability/ledger/cmd add -ledger "$LEDGER" -suite fuzz -runs "$targets" -failures "$failures" -count "executions=$executions" || exit 1
fi
[ "$failures" = 0 ]
