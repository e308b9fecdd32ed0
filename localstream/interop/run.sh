#!/usr/bin/env bash
# Real sessions of clients that nobody here wrote, with a real server: the AWS
# CLI, boto3 and the AWS SDKs for Go, JavaScript and Java, over HTTP and HTTPS.
# Clients that are missing are installed where that is possible (Debian's packages,
# npm, Maven); one that cannot be had is an error, but Java is skipped where there
# is no JDK or no Maven. CLIENTS=boto3 runs just that one.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
clients=${CLIENTS:-"go cli boto3 javascript java"}
work=$(mktemp -d)
server=
finish() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	[ -z "$server" ] || wait "$server" 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT

package() { # command to try, Debian package
	eval "$1" >/dev/null 2>&1 && return
	echo "installing $2"
	apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$2" >/dev/null
	eval "$1" >/dev/null
}

serve() { # flags: sets $endpoint
	: >"$work/out" # of the server before
	"$work/shardrun" serve --listen 127.0.0.1:0 --region eu-west-1 "$@" >>"$work/out" &
	server=$!
	until endpoint=$(sed -n 's/^listening on //p' "$work/out") && [ -n "$endpoint" ]; do
		kill -0 "$server" || exit 1
		sleep 0.05
	done
}

stop() {
	kill "$server"
	wait "$server" || true
	server=
}

session() { # client, CA or nothing
	case $1 in
	go) "$work/gosdk" "$endpoint" ${2:+"$2"} ;;
	cli) ./session.sh "$endpoint" ${2:+"$2"} ;;
	boto3) ${PYTHON:-python3} session.py "$endpoint" ${2:+"$2"} ;;
	javascript) (cd "$work/js" && NODE_EXTRA_CA_CERTS=${2:-} node session.mjs "$endpoint") ;;
	java)
		local trust=()
		if [ -n "${2:-}" ]; then
			keytool -importcert -noprompt -file "$2" -alias localstream -keystore "$work/trust.jks" -storepass changeit 2>/dev/null
			trust=(-Djavax.net.ssl.trustStore="$work/trust.jks" -Djavax.net.ssl.trustStorePassword=changeit)
		fi
		java "${trust[@]}" -cp "$work/java/target/classes:$work/java/target/dependency/*" Session "$endpoint"
		;;
	*) echo "unknown client $1: go, cli, boto3, javascript or java" >&2; exit 2 ;;
	esac
}

ready=
for client in $clients; do
	case $client in
	go) (cd "$root" && go build -o "$work/gosdk" ./localstream/interop/gosdk) ;;
	cli) package "${AWS:-aws} --version" awscli ;;
	boto3) package "${PYTHON:-python3} -c 'import boto3'" python3-boto3 ;;
	javascript)
		package "npm --version" npm
		cp -r js "$work/js"
		npm install --silent --no-audit --no-fund --prefix "$work/js" >/dev/null
		;;
	java)
		if ! javac -version >/dev/null 2>&1 || ! mvn --version >/dev/null 2>&1; then
			echo "java: skipped, as it needs a JDK (17 or later) and Maven: apt-get install default-jdk-headless maven"
			continue
		fi
		cp -r java "$work/java"
		mvn -q -B -f "$work/java/pom.xml" compile dependency:copy-dependencies >"$work/mvn" 2>&1 || { cat "$work/mvn" >&2; exit 1; }
		;;
	esac
	ready="$ready $client"
done
(cd "$root" && go build -o "$work/shardrun" ./cmd/shardrun)

serve --data-dir "$work/plain"
echo "== $endpoint"
for client in $ready; do session "$client"; done
stop
serve --data-dir "$work/tls" --tls --ca-out "$work/ca.pem"
echo "== $endpoint"
for client in $ready; do session "$client" "$work/ca.pem"; done
stop
