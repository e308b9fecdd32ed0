#!/usr/bin/env bash
# fuzz.sh TIME: runs each fuzz target of the module for TIME.
set -euo pipefail
grep -rlE '^func Fuzz[A-Za-z0-9_]*\(' --include='*_test.go' . | while read -r file; do
	grep -oE '^func Fuzz[A-Za-z0-9_]*' "$file" | cut -d' ' -f2 | while read -r target; do
		echo "== $(dirname "$file") $target"
		go test -run '^$' -fuzzminimizetime 10x -fuzz "^$target\$" -fuzztime "$1" "$(dirname "$file")" </dev/null
	done
done
