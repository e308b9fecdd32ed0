import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.awscore.client.builder.AwsClientBuilder;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.SdkSystemSetting;
import software.amazon.awssdk.core.interceptor.Context;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import software.amazon.awssdk.core.util.VersionInfo;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.retries.DefaultRetryStrategy;
import software.amazon.awssdk.retries.api.BackoffStrategy;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import software.amazon.awssdk.services.kinesis.model.*;
import software.amazon.awssdk.services.kinesis.model.Record; // not java.lang.Record

/**
 * A session of the AWS SDK for Java 2 with localstream: java Session ENDPOINT
 *
 * <p>It is the SDK as it comes: KinesisClient speaks CBOR over HTTP/1.1, KinesisAsyncClient CBOR over
 * HTTP/2, which it begins without asking, with TLS as well (no ALPN). A third client speaks JSON. The
 * key store that javax.net.ssl.trustStore names has the CA.
 */
public class Session {
    static final String STREAM = "java";
    static final String FIRST = "shardId-000000000000";

    final String endpoint;
    final KinesisClient kinesis;
    final KinesisAsyncClient async;
    volatile String encoding; // Content-Type of the last request

    public static void main(String[] args) throws Exception {
        System.out.println("AWS SDK for Java " + VersionInfo.SDK_VERSION);
        Session s = new Session(args[0]);
        s.records();
        s.json();
        s.push();
        s.reshard();
        s.settings();
        s.end();
        System.out.println("Java: all well");
    }

    Session(String endpoint) {
        this.endpoint = endpoint;
        kinesis = configure(KinesisClient.builder()).build();
        async = configure(KinesisAsyncClient.builder()).build();
    }

    <B extends AwsClientBuilder<B, ?>> B configure(B builder) {
        ExecutionInterceptor watch = new ExecutionInterceptor() {
            @Override
            public void beforeTransmission(Context.BeforeTransmission context, ExecutionAttributes attributes) {
                encoding = context.httpRequest().firstMatchingHeader("Content-Type").orElse("none");
            }
        };
        return builder.endpointOverride(URI.create(endpoint)).region(Region.EU_WEST_1)
            .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create("123456789012", "secret")))
            .overrideConfiguration(o -> o.retryStrategy(DefaultRetryStrategy.doNotRetry()).addExecutionInterceptor(watch));
    }

    static void check(String what, Object got, Object want) {
        if (!Objects.equals(got, want)) {
            throw new AssertionError(what + ": got " + got + ", want " + want);
        }
        System.out.println("  " + what);
    }

    static void fails(String what, String code, Runnable call) {
        try {
            call.run();
        } catch (KinesisException e) {
            check(what + ": " + code, e.awsErrorDetails().errorCode(), code);
            return;
        } catch (CompletionException e) { // of the asynchronous client
            if (!(e.getCause() instanceof KinesisException cause)) {
                throw e;
            }
            check(what + ": " + code, cause.awsErrorDetails().errorCode(), code);
            return;
        }
        throw new AssertionError(what + ": no error, want " + code);
    }

    void active() {
        kinesis.waiter().waitUntilStreamExists(r -> r.streamName(STREAM), o -> o
            .backoffStrategyV2(BackoffStrategy.fixedDelay(Duration.ofMillis(50)))
            .maxAttempts(200));
    }

    StreamDescriptionSummary summary() {
        return kinesis.describeStreamSummary(r -> r.streamName(STREAM)).streamDescriptionSummary();
    }

    record Read(List<Record> records, List<String> children) {}

    /** All records of a shard from a place on, and its children if it has ended. */
    Read read(KinesisClient client, GetShardIteratorRequest from) {
        List<Record> records = new ArrayList<>();
        String iterator = client.getShardIterator(from).shardIterator();
        for (;;) {
            String next = iterator;
            GetRecordsResponse page = client.getRecords(r -> r.shardIterator(next));
            records.addAll(page.records());
            iterator = page.nextShardIterator();
            if (iterator == null || page.records().isEmpty() && page.millisBehindLatest() == 0) {
                return new Read(records, page.childShards().stream().map(ChildShard::shardId).toList());
            }
        }
    }

    Read read(String shard) {
        return read(kinesis, from(shard).shardIteratorType(ShardIteratorType.TRIM_HORIZON).build());
    }

    static GetShardIteratorRequest.Builder from(String shard) {
        return GetShardIteratorRequest.builder().streamName(STREAM).shardId(shard);
    }

    void records() {
        kinesis.createStream(r -> r.streamName(STREAM).shardCount(2));
        active();
        check("the encoding", encoding, "application/x-amz-cbor-1.1");
        check("account and region", summary().streamARN(), "arn:aws:kinesis:eu-west-1:123456789012:stream/" + STREAM);
        check("created now", Duration.between(summary().streamCreationTimestamp(), Instant.now()).abs().toMinutes(), 0L);
        check("streams", kinesis.listStreamsPaginator().streamNames().stream().toList().contains(STREAM), true);
        fails("a stream twice", "ResourceInUseException", () -> kinesis.createStream(r -> r.streamName(STREAM).shardCount(1)));
        fails("no such stream", "ResourceNotFoundException", () -> kinesis.describeStream(r -> r.streamName("missing")));

        byte[] data = new byte[256];
        IntStream.range(0, 256).forEach(i -> data[i] = (byte) i);
        PutRecordResponse one = kinesis.putRecord(r -> r.streamName(STREAM).partitionKey("key").explicitHashKey("0")
            .data(SdkBytes.fromByteArray(data)));
        check("shard of the record", one.shardId(), FIRST);
        List<PutRecordsRequestEntry> entries = IntStream.range(0, 100)
            .mapToObj(i -> PutRecordsRequestEntry.builder().partitionKey("käy " + i).data(SdkBytes.fromUtf8String("" + i)).build())
            .toList();
        PutRecordsResponse many = kinesis.putRecords(r -> r.streamName(STREAM).records(entries));
        check("records that failed", many.failedRecordCount(), 0);
        List<Record> got = new ArrayList<>();
        kinesis.listShards(r -> r.streamName(STREAM)).shards().forEach(s -> got.addAll(read(s.shardId()).records()));
        check("records read", got.stream().map(Record::partitionKey).sorted().toList(),
            Stream.concat(entries.stream().map(PutRecordsRequestEntry::partitionKey), Stream.of("key")).sorted().toList());
        Record first = read(FIRST).records().get(0);
        check("data", first.data(), SdkBytes.fromByteArray(data));
        check("number", first.sequenceNumber(), one.sequenceNumber());
        check("arrival is now", Duration.between(first.approximateArrivalTimestamp(), Instant.now()).abs().toMinutes(), 0L);
        int all = read(FIRST).records().size();
        check("after a number", read(kinesis, from(FIRST).shardIteratorType(ShardIteratorType.AFTER_SEQUENCE_NUMBER)
            .startingSequenceNumber(first.sequenceNumber()).build()).records().size(), all - 1);
        check("from a time", read(kinesis, from(FIRST).shardIteratorType(ShardIteratorType.AT_TIMESTAMP)
            .timestamp(first.approximateArrivalTimestamp()).build()).records().size(), all);
    }

    /** A client that was told not to speak CBOR. */
    void json() {
        System.setProperty(SdkSystemSetting.CBOR_ENABLED.property(), "false");
        try (KinesisClient client = configure(KinesisClient.builder()).build()) {
            Record first = read(client, from(FIRST).shardIteratorType(ShardIteratorType.TRIM_HORIZON).build()).records().get(0);
            check("the other encoding", encoding, "application/x-amz-json-1.1");
            check("the same record", first, read(FIRST).records().get(0));
            fails("no such stream in JSON", "ResourceNotFoundException", () -> client.describeStream(r -> r.streamName("missing")));
        } finally {
            System.clearProperty(SdkSystemSetting.CBOR_ENABLED.property());
        }
    }

    /** A subscription, from before the records that it is to see. */
    void push() throws Exception {
        String stream = summary().streamARN();
        String arn = async.registerStreamConsumer(r -> r.streamARN(stream).consumerName("reader")).join().consumer().consumerARN();
        check("the encoding over HTTP/2", encoding, "application/x-amz-cbor-1.1");
        while (async.describeStreamConsumer(r -> r.consumerARN(arn)).join().consumerDescription().consumerStatus()
            != ConsumerStatus.ACTIVE) {
            Thread.sleep(50);
        }
        List<SubscribeToShardEvent> events = new ArrayList<>();
        CompletableFuture<Void> subscribed = new CompletableFuture<>();
        CompletableFuture<Void> end = async.subscribeToShard(
            r -> r.consumerARN(arn).shardId(FIRST).startingPosition(p -> p.type(ShardIteratorType.LATEST)),
            SubscribeToShardResponseHandler.builder()
                .onResponse(r -> subscribed.complete(null))
                .onError(subscribed::completeExceptionally)
                .subscriber(SubscribeToShardResponseHandler.Visitor.builder().onSubscribeToShardEvent(events::add).build())
                .build());
        subscribed.get(10, TimeUnit.SECONDS);
        for (int i = 0; i < 10; i++) {
            int n = i;
            async.putRecord(r -> r.streamName(STREAM).partitionKey("pushed").explicitHashKey("0")
                .data(SdkBytes.fromUtf8String("" + n))).join();
        }
        async.splitShard(r -> r.streamName(STREAM).shardToSplit(FIRST).newStartingHashKey("1000")).join();
        end.get(30, TimeUnit.SECONDS);
        check("records pushed in order",
            events.stream().flatMap(e -> e.records().stream()).map(r -> r.data().asUtf8String()).toList(),
            IntStream.range(0, 10).mapToObj(i -> "" + i).toList());
        SubscribeToShardEvent last = events.get(events.size() - 1);
        check("children pushed", last.childShards().stream().map(ChildShard::shardId).toList(),
            List.of("shardId-000000000002", "shardId-000000000003"));
        check("no number to go on from", last.continuationSequenceNumber(), null);
        fails("a subscription to no shard", "ResourceNotFoundException", () -> async.subscribeToShard(
            r -> r.consumerARN(arn).shardId("shardId-000000000099").startingPosition(p -> p.type(ShardIteratorType.LATEST)),
            SubscribeToShardResponseHandler.builder().subscriber(e -> {}).build()).join());
    }

    void reshard() {
        active();
        check("children of the split", read(FIRST).children(), List.of("shardId-000000000002", "shardId-000000000003"));
        kinesis.mergeShards(r -> r.streamName(STREAM).shardToMerge("shardId-000000000002").adjacentShardToMerge("shardId-000000000003"));
        active();
        check("child of the merge", read("shardId-000000000003").children(), List.of("shardId-000000000004"));
        kinesis.updateShardCount(r -> r.streamName(STREAM).targetShardCount(4).scalingType(ScalingType.UNIFORM_SCALING));
        active();
        check("open shards",
            kinesis.listShards(r -> r.streamName(STREAM).shardFilter(f -> f.type(ShardFilterType.AT_LATEST))).shards().size(), 4);
    }

    void settings() {
        String arn = summary().streamARN();
        kinesis.tagResource(r -> r.resourceARN(arn).tags(Map.of("team", "a")));
        check("tags", kinesis.listTagsForResource(r -> r.resourceARN(arn)).tags().toString(), "[Tag(Key=team, Value=a)]");
        kinesis.startStreamEncryption(r -> r.streamName(STREAM).encryptionType(EncryptionType.KMS).keyId("alias/aws/kinesis"));
        active();
        check("encryption", kinesis.describeStream(r -> r.streamName(STREAM)).streamDescription().encryptionType(), EncryptionType.KMS);
        kinesis.updateMaxRecordSize(r -> r.streamARN(arn).maxRecordSizeInKiB(2048));
        active();
        SdkBytes large = SdkBytes.fromByteArray(new byte[(2 << 20) - 16]);
        kinesis.putRecord(r -> r.streamName(STREAM).partitionKey("large").data(large));
        async.putRecord(r -> r.streamName(STREAM).partitionKey("large").data(large)).join();
        check("limits", kinesis.describeLimits(r -> {}).openShardCount(), 4);
        kinesis.updateStreamMode(r -> r.streamARN(arn).streamModeDetails(m -> m.streamMode(StreamMode.ON_DEMAND)));
        active();
        fails("a reshard of an on-demand stream", "ValidationException", () -> kinesis.updateShardCount(
            r -> r.streamName(STREAM).targetShardCount(4).scalingType(ScalingType.UNIFORM_SCALING)));
    }

    void end() {
        fails("a stream with a consumer", "ResourceInUseException", () -> async.deleteStream(r -> r.streamName(STREAM)).join());
        kinesis.deleteStream(r -> r.streamName(STREAM).enforceConsumerDeletion(true));
        kinesis.waiter().waitUntilStreamNotExists(r -> r.streamName(STREAM));
        kinesis.close();
        async.close();
    }
}
