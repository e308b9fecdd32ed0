// A session of the AWS SDK for JavaScript with localstream: node session.mjs ENDPOINT
// It speaks HTTP/2, without TLS or with it (NODE_EXTRA_CA_CERTS names the CA).
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import * as sdk from '@aws-sdk/client-kinesis'

const endpoint = process.argv[2]
const kinesis = new sdk.Kinesis({
  endpoint,
  region: 'eu-west-1',
  credentials: { accessKeyId: '123456789012', secretAccessKey: 'secret' },
  maxAttempts: 1
})
const StreamName = 'javascript'
const version = JSON.parse(readFileSync(new URL('node_modules/@aws-sdk/client-kinesis/package.json', import.meta.url))).version

function check (what, got, want) {
  assert.deepEqual(got, want, what)
  console.log(`  ${what}`)
}

async function fails (what, name, call) {
  await assert.rejects(call, { name }, what)
  console.log(`  ${what}: ${name}`)
}

const active = () => sdk.waitUntilStreamExists({ client: kinesis, maxWaitTime: 30, minDelay: 1 }, { StreamName })

// read gives all records of a shard, and its children if it has ended.
async function read (ShardId) {
  let { ShardIterator } = await kinesis.getShardIterator({ StreamName, ShardId, ShardIteratorType: 'TRIM_HORIZON' })
  const records = []
  for (;;) {
    const page = await kinesis.getRecords({ ShardIterator })
    records.push(...page.Records)
    ShardIterator = page.NextShardIterator
    if (!ShardIterator || (page.Records.length === 0 && page.MillisBehindLatest === 0)) {
      return { records, children: (page.ChildShards ?? []).map(c => c.ShardId) }
    }
  }
}

console.log(`AWS SDK for JavaScript ${version}`)
await kinesis.createStream({ StreamName, ShardCount: 2 })
await active()
const { StreamDescriptionSummary: summary } = await kinesis.describeStreamSummary({ StreamName })
check('account and region', summary.StreamARN, `arn:aws:kinesis:eu-west-1:123456789012:stream/${StreamName}`)
check('created now', Math.abs(summary.StreamCreationTimestamp - Date.now()) < 60000, true)
await fails('a stream twice', 'ResourceInUseException', kinesis.createStream({ StreamName, ShardCount: 1 }))
await fails('no such stream', 'ResourceNotFoundException', kinesis.describeStream({ StreamName: 'missing' }))

const data = Uint8Array.from({ length: 256 }, (_, i) => i)
await kinesis.putRecord({ StreamName, PartitionKey: 'key', ExplicitHashKey: '0', Data: data })
const put = await kinesis.putRecords({
  StreamName,
  Records: Array.from({ length: 100 }, (_, i) => ({ PartitionKey: `käy ${i}`, Data: Buffer.from(`${i}`) }))
})
check('records that failed', put.FailedRecordCount, 0)
const shards = (await kinesis.listShards({ StreamName })).Shards.map(s => s.ShardId)
const got = (await Promise.all(shards.map(read))).flatMap(r => r.records)
check('records read', got.length, 101)
check('data', Buffer.from(got.find(r => r.PartitionKey === 'key').Data), Buffer.from(data))

// A subscription, from before the records that it is to see.
const { Consumer } = await kinesis.registerStreamConsumer({ StreamARN: summary.StreamARN, ConsumerName: 'reader' })
while ((await kinesis.describeStreamConsumer({ ConsumerARN: Consumer.ConsumerARN })).ConsumerDescription.ConsumerStatus !== 'ACTIVE') {
  await new Promise(resolve => setTimeout(resolve, 100))
}
const { EventStream } = await kinesis.subscribeToShard({ ConsumerARN: Consumer.ConsumerARN, ShardId: shards[0], StartingPosition: { Type: 'LATEST' } })
const pushed = (async () => {
  const records = []
  for await (const { SubscribeToShardEvent: event } of EventStream) {
    records.push(...event.Records)
    if (event.ChildShards?.length) {
      return { records, children: event.ChildShards.map(c => c.ShardId), last: event.ContinuationSequenceNumber }
    }
  }
})()
for (let i = 0; i < 10; i++) {
  await kinesis.putRecord({ StreamName, PartitionKey: 'pushed', ExplicitHashKey: '0', Data: Buffer.from(`${i}`) })
}
await kinesis.splitShard({ StreamName, ShardToSplit: shards[0], NewStartingHashKey: (2n ** 126n).toString() })
await active()
const seen = await pushed
check('records pushed in order', seen.records.map(r => Buffer.from(r.Data).toString()), Array.from({ length: 10 }, (_, i) => `${i}`))
check('children pushed', seen.children, (await read(shards[0])).children)
check('no number to go on from', seen.last ?? null, null)
await fails('a subscription to no shard', 'ResourceNotFoundException', kinesis.subscribeToShard({ ConsumerARN: Consumer.ConsumerARN, ShardId: 'shardId-000000000099', StartingPosition: { Type: 'LATEST' } }))

await kinesis.mergeShards({ StreamName, ShardToMerge: seen.children[0], AdjacentShardToMerge: seen.children[1] })
await active()
check('child of the merge', (await read(seen.children[0])).children.length, 1)
await kinesis.updateShardCount({ StreamName, TargetShardCount: 4, ScalingType: 'UNIFORM_SCALING' })
await active()
await kinesis.tagResource({ ResourceARN: summary.StreamARN, Tags: { team: 'a' } })
check('tags', (await kinesis.listTagsForResource({ ResourceARN: summary.StreamARN })).Tags, [{ Key: 'team', Value: 'a' }])
check('account settings', typeof (await kinesis.describeAccountSettings({})).MinimumThroughputBillingCommitment, 'object')
await kinesis.updateMaxRecordSize({ StreamARN: summary.StreamARN, MaxRecordSizeInKiB: 2048 })
await active()
await kinesis.putRecord({ StreamName, PartitionKey: 'large', Data: new Uint8Array((2 << 20) - 16) })
await fails('a dry run', 'DryRunOperationException', kinesis.putRecord({ StreamName, PartitionKey: 'k', Data: Buffer.from('x'), DryRun: true }))
await kinesis.updateStreamMode({ StreamARN: summary.StreamARN, StreamModeDetails: { StreamMode: 'ON_DEMAND' } })
await active()
await fails('a reshard of an on-demand stream', 'ValidationException', kinesis.updateShardCount({ StreamName, TargetShardCount: 4, ScalingType: 'UNIFORM_SCALING' }))
await fails('a stream with a consumer', 'ResourceInUseException', kinesis.deleteStream({ StreamName }))
await kinesis.deleteStream({ StreamName, EnforceConsumerDeletion: true })
await sdk.waitUntilStreamNotExists({ client: kinesis, maxWaitTime: 30, minDelay: 1 }, { StreamName })
kinesis.destroy()
console.log('JavaScript: all well')
