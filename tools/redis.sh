#!/usr/bin/env bash
# Makes sure that redis-server is there, which the tests start on free ports.
set -euo pipefail
command -v redis-server >/dev/null && exit 0
if command -v apt-get >/dev/null; then
	sudo=
	[ "$(id -u)" = 0 ] || sudo=sudo
	echo "installing redis-server with apt-get"
	if $sudo apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq redis-server >/dev/null; then
		# Debian's package starts a server of its own; the tests need only the program.
		if command -v service >/dev/null; then $sudo service redis-server stop >/dev/null 2>&1 || true; fi
		exit 0
	fi
fi
echo "redis-server is missing and could not be installed: install Redis 6.2 or later" >&2
echo "(Debian and Ubuntu: apt-get install redis-server; macOS: brew install redis; Fedora: dnf install redis)" >&2
exit 1
