#!/usr/bin/env bash
# A session of the AWS CLI with localstream: session.sh ENDPOINT [CA.pem]
set -euo pipefail
endpoint=$1
export AWS_ACCESS_KEY_ID=123456789012 AWS_SECRET_ACCESS_KEY=secret AWS_DEFAULT_REGION=eu-west-1 AWS_MAX_ATTEMPTS=1 AWS_PAGER=
[ -z "${2:-}" ] || export AWS_CA_BUNDLE=$2
stream=cli

k() { ${AWS:-aws} --endpoint-url "$endpoint" --output text kinesis "$@"; }

check() { # what, got, want
	[ "$2" = "$3" ] || { echo "aws: $1: got '$2', want '$3'" >&2; exit 1; }
	echo "  $1"
}

fails() { # what, code, arguments
	local what=$1 code=$2 text
	shift 2
	if text=$(k "$@" 2>&1); then
		echo "aws: $what: no error, want $code" >&2
		exit 1
	fi
	case $text in *"($code)"*) echo "  $what: $code" ;; *) echo "aws: $what: $text, want $code" >&2; exit 1 ;; esac
}

read_shard() { # shard: the data of its records, decoded, one a line
	local it
	it=$(k get-shard-iterator --stream-name $stream --shard-id "$1" --shard-iterator-type TRIM_HORIZON --query ShardIterator)
	k get-records --shard-iterator "$it" --query 'Records[].[Data]' | while read -r data; do base64 -d <<<"$data"; echo; done
}

blob() { printf %s "$1" | base64; } # version 2 takes base64 for blobs, version 1 takes them as they are
case $(${AWS:-aws} --version) in aws-cli/1.*) blob() { printf %s "$1"; } ;; esac

${AWS:-aws} --version
k create-stream --stream-name $stream --shard-count 2
k wait stream-exists --stream-name $stream
check "account and region" "$(k describe-stream-summary --stream-name $stream --query StreamDescriptionSummary.StreamARN)" "arn:aws:kinesis:eu-west-1:123456789012:stream/$stream"
check streams "$(k list-streams --query "contains(StreamNames, '$stream')")" True
fails "a stream twice" ResourceInUseException create-stream --stream-name $stream --shard-count 1
fails "no such stream" ResourceNotFoundException describe-stream --stream-name missing
shard=$(k put-record --stream-name $stream --partition-key key --explicit-hash-key 0 --data "$(blob one)" --query ShardId)
check "shard of the record" "$shard" shardId-000000000000
k put-records --stream-name $stream --records "Data=$(blob two),PartitionKey=key,ExplicitHashKey=0" "Data=$(blob three),PartitionKey=key,ExplicitHashKey=1" >/dev/null
check "records read" "$(read_shard "$shard" | paste -sd ' ')" "one two three"

k split-shard --stream-name $stream --shard-to-split "$shard" --new-starting-hash-key 4294967296
k wait stream-exists --stream-name $stream
check "shards after the split" "$(k list-shards --stream-name $stream --query 'length(Shards)')" 4
k merge-shards --stream-name $stream --shard-to-merge shardId-000000000002 --adjacent-shard-to-merge shardId-000000000003
k wait stream-exists --stream-name $stream
check "parents of the merged" "$(k list-shards --stream-name $stream --query 'Shards[4].[ParentShardId,AdjacentParentShardId]' | tr '\t' ' ')" "shardId-000000000002 shardId-000000000003"
check "scaled to" "$(k update-shard-count --stream-name $stream --target-shard-count 4 --scaling-type UNIFORM_SCALING --query TargetShardCount)" 4
k wait stream-exists --stream-name $stream

k add-tags-to-stream --stream-name $stream --tags team=a,cost=b
check tags "$(k list-tags-for-stream --stream-name $stream --query 'Tags[].Key' | tr '\t' ' ')" "cost team"
k increase-stream-retention-period --stream-name $stream --retention-period-hours 48
k start-stream-encryption --stream-name $stream --encryption-type KMS --key-id alias/aws/kinesis
k wait stream-exists --stream-name $stream
check encryption "$(k describe-stream-summary --stream-name $stream --query StreamDescriptionSummary.EncryptionType)" KMS
k enable-enhanced-monitoring --stream-name $stream --shard-level-metrics ALL >/dev/null
check "limits" "$(k describe-limits --query OpenShardCount)" 4
arn=$(k describe-stream-summary --stream-name $stream --query StreamDescriptionSummary.StreamARN)
k register-stream-consumer --stream-arn "$arn" --consumer-name reader >/dev/null
check consumers "$(k list-stream-consumers --stream-arn "$arn" --query 'Consumers[].ConsumerName')" reader
fails "a stream with a consumer" ResourceInUseException delete-stream --stream-name $stream
k delete-stream --stream-name $stream --enforce-consumer-deletion
k wait stream-not-exists --stream-name $stream
echo "aws: all well"
