"""A session of boto3 with localstream: python3 session.py ENDPOINT [CA.pem]"""

import json
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, ca = sys.argv[1], (sys.argv + [None])[2]
kinesis = boto3.client(
    "kinesis", endpoint_url=endpoint, verify=ca, region_name="eu-west-1",
    aws_access_key_id="123456789012", aws_secret_access_key="secret",
    config=Config(retries={"max_attempts": 1}),
)
known = set(kinesis.meta.service_model.operation_names)
stream = "boto3"


def check(what, got, want):
    if got != want:
        sys.exit(f"boto3: {what}: got {got!r}, want {want!r}")
    print(f"  {what}")


def fails(what, code, call, **arguments):
    try:
        answer = call(**arguments)
    except ClientError as error:
        check(f"{what}: {code}", error.response["Error"]["Code"], code)
        return
    sys.exit(f"boto3: {what}: got {answer!r}, want {code}")


def active():
    kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1})


def read(shard, kind="TRIM_HORIZON", **start):
    """All records of a shard from a place on, and its children if it has ended."""
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType=kind, **start)["ShardIterator"]
    records = []
    while True:
        page = kinesis.get_records(ShardIterator=iterator)
        records += page["Records"]
        iterator = page.get("NextShardIterator")
        if not iterator or not page["Records"] and page["MillisBehindLatest"] == 0:
            return records, [child["ShardId"] for child in page.get("ChildShards", [])]


print(f"boto3 {boto3.__version__}")
kinesis.create_stream(StreamName=stream, ShardCount=2)
active()
summary = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
check("account and region", summary["StreamARN"], f"arn:aws:kinesis:eu-west-1:123456789012:stream/{stream}")
check("streams", stream in kinesis.list_streams()["StreamNames"], True)
fails("a stream twice", "ResourceInUseException", kinesis.create_stream, StreamName=stream, ShardCount=1)
fails("no such stream", "ResourceNotFoundException", kinesis.describe_stream, StreamName="missing")

data = bytes(range(256))
kinesis.put_record(StreamName=stream, PartitionKey="key", ExplicitHashKey="0", Data=data)
put = kinesis.put_records(StreamName=stream, Records=[{"Data": b"%d" % i, "PartitionKey": f"k\u00e4y {i}"} for i in range(100)])
check("records that failed", put["FailedRecordCount"], 0)
shards = [shard["ShardId"] for shard in kinesis.list_shards(StreamName=stream)["Shards"]]
check("shards", len(shards), 2)
got = [record for shard in shards for record in read(shard)[0]]
check("records read", sorted(r["Data"] for r in got), sorted([data] + [b"%d" % i for i in range(100)]))
check("keys", sorted(r["PartitionKey"] for r in got), sorted(["key"] + [f"k\u00e4y {i}" for i in range(100)]))
check("arrival is now", abs(got[0]["ApproximateArrivalTimestamp"].timestamp() - time.time()) < 60, True)
first = read(shards[0])[0][0]
check("after a number", len(read(shards[0], "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=first["SequenceNumber"])[0]), len(read(shards[0])[0]) - 1)
check("from a time", len(read(shards[0], "AT_TIMESTAMP", Timestamp=first["ApproximateArrivalTimestamp"])[0]), len(read(shards[0])[0]))

kinesis.split_shard(StreamName=stream, ShardToSplit=shards[0], NewStartingHashKey=str(2**126))
active()
children = read(shards[0])[1]
check("children of the split", len(children), 2)
kinesis.put_record(StreamName=stream, PartitionKey="key", ExplicitHashKey=str(2**126), Data=b"child")
check("record of a child", [r["Data"] for r in read(children[1])[0]], [b"child"])
kinesis.merge_shards(StreamName=stream, ShardToMerge=children[0], AdjacentShardToMerge=children[1])
active()
check("child of the merge", len(read(children[0])[1]), 1)
kinesis.update_shard_count(StreamName=stream, TargetShardCount=4, ScalingType="UNIFORM_SCALING")
active()
check("shards after scaling", kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["OpenShardCount"], 4)

kinesis.increase_stream_retention_period(StreamName=stream, RetentionPeriodHours=48)
kinesis.add_tags_to_stream(StreamName=stream, Tags={"team": "a", "cost": ""})
check("tags", kinesis.list_tags_for_stream(StreamName=stream)["Tags"], [{"Key": "cost", "Value": ""}, {"Key": "team", "Value": "a"}])
kinesis.remove_tags_from_stream(StreamName=stream, TagKeys=["cost", "unknown"])
kinesis.start_stream_encryption(StreamName=stream, EncryptionType="KMS", KeyId="alias/aws/kinesis")
active()
check("encryption", kinesis.describe_stream(StreamName=stream)["StreamDescription"]["EncryptionType"], "KMS")
kinesis.stop_stream_encryption(StreamName=stream, EncryptionType="KMS", KeyId="alias/aws/kinesis")
active()
check("metrics", kinesis.enable_enhanced_monitoring(StreamName=stream, ShardLevelMetrics=["IncomingBytes"])["DesiredShardLevelMetrics"], ["IncomingBytes"])
check("limits", kinesis.describe_limits()["OpenShardCount"], 4)
arn = summary["StreamARN"]
if "PutResourcePolicy" in known:
    check("no policy", kinesis.get_resource_policy(ResourceARN=arn)["Policy"], "{}")
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "210987654321"}, "Action": "kinesis:GetRecords", "Resource": arn}]}
    kinesis.put_resource_policy(ResourceARN=arn, Policy=json.dumps(policy))
    check("policy", json.loads(kinesis.get_resource_policy(ResourceARN=arn)["Policy"]), policy)
    kinesis.delete_resource_policy(ResourceARN=arn)

consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="reader")["Consumer"]["ConsumerARN"]
for _ in range(50):
    if kinesis.describe_stream_consumer(ConsumerARN=consumer)["ConsumerDescription"]["ConsumerStatus"] == "ACTIVE":
        break
    time.sleep(0.1)
answer = kinesis.subscribe_to_shard(ConsumerARN=consumer, ShardId=children[1], StartingPosition={"Type": "TRIM_HORIZON"})
pushed, ended = [], []
for event in answer["EventStream"]:
    pushed += event["SubscribeToShardEvent"]["Records"]
    ended += event["SubscribeToShardEvent"].get("ChildShards", [])
check("records pushed", [r["Data"] for r in pushed], [b"child"])
check("the end of the shard is pushed", len(ended), 1)
fails("a stream with a consumer", "ResourceInUseException", kinesis.delete_stream, StreamName=stream)
kinesis.deregister_stream_consumer(ConsumerARN=consumer)
kinesis.delete_stream(StreamName=stream, EnforceConsumerDeletion=True)
kinesis.get_waiter("stream_not_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1})
print("boto3: all well")
