#!/usr/bin/env bash
# modules.sh N PACKAGE...: fails when the packages reach more than N modules beside this one.
set -euo pipefail
most=$1
shift
main=$(go list -m)
modules=$(go list -deps -f '{{with .Module}}{{.Path}}{{end}}' "$@" | sort -u | grep -vx "$main" || true)
count=$(grep -c . <<<"$modules" || true)
if [ "$count" -gt "$most" ]; then
	echo "$* reach $count modules, at most $most are allowed:" >&2
	echo "$modules" >&2
	exit 1
fi
echo "$* reach $count modules"
