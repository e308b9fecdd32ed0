package localstream

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/vfs"
)

func (h *harness) createOnDemand(name string) {
	h.Helper()
	_, err := h.client.CreateStream(h.Context(), &kinesis.CreateStreamInput{StreamName: &name})
	h.must(err)
}

func (h *harness) setMode(mode types.StreamMode, change ...func(*kinesis.UpdateStreamModeInput)) error {
	in := &kinesis.UpdateStreamModeInput{StreamARN: aws.String(testARN), StreamModeDetails: &types.StreamModeDetails{StreamMode: mode}}
	for _, f := range change {
		f(in)
	}
	_, err := h.client.UpdateStreamMode(h.Context(), in)
	return err
}

func (h *harness) commit(status types.MinimumThroughputBillingCommitmentInputStatus) *types.MinimumThroughputBillingCommitmentOutput {
	h.Helper()
	out, err := h.client.UpdateAccountSettings(h.Context(), &kinesis.UpdateAccountSettingsInput{
		MinimumThroughputBillingCommitment: &types.MinimumThroughputBillingCommitmentInput{Status: status}})
	h.must(err)
	return out.MinimumThroughputBillingCommitment
}

func (h *harness) warm(mibps int32) (*types.WarmThroughputObject, error) {
	out, err := h.client.UpdateStreamWarmThroughput(h.Context(), &kinesis.UpdateStreamWarmThroughputInput{StreamName: aws.String("s"), WarmThroughputMiBps: &mibps})
	if err != nil {
		return nil, err
	}
	return out.WarmThroughput, nil
}

func TestEnhancedMonitoring(t *testing.T) {
	disk := vfs.NewMemory()
	h := open(t, Config{fs: disk})
	h.create("s", 1)
	enable := func(metrics ...types.MetricsName) string {
		t.Helper()
		out, err := h.client.EnableEnhancedMonitoring(t.Context(), &kinesis.EnableEnhancedMonitoringInput{StreamName: aws.String("s"), ShardLevelMetrics: metrics})
		h.must(err)
		equal(t, "stream", *out.StreamName+" "+*out.StreamARN, "s "+testARN)
		return fmt.Sprint(out.CurrentShardLevelMetrics, out.DesiredShardLevelMetrics)
	}
	disable := func(metrics ...types.MetricsName) string {
		t.Helper()
		out, err := h.client.DisableEnhancedMonitoring(t.Context(), &kinesis.DisableEnhancedMonitoringInput{StreamARN: aws.String(testARN), ShardLevelMetrics: metrics})
		h.must(err)
		return fmt.Sprint(out.CurrentShardLevelMetrics, out.DesiredShardLevelMetrics)
	}
	const all = "[IncomingBytes IncomingRecords OutgoingBytes OutgoingRecords WriteProvisionedThroughputExceeded ReadProvisionedThroughputExceeded IteratorAgeMilliseconds]"
	equal(t, "two", enable("OutgoingBytes", "IncomingBytes", "IncomingBytes"), "[] [IncomingBytes OutgoingBytes]")
	equal(t, "one that is there", enable("OutgoingBytes"), "[IncomingBytes OutgoingBytes] [IncomingBytes OutgoingBytes]")
	equal(t, "all", enable("ALL"), "[IncomingBytes OutgoingBytes] "+all)
	h.must(h.server.Close())
	h = open(t, Config{fs: disk})
	equal(t, "described", fmt.Sprint(h.describe("s").EnhancedMonitoring[0].ShardLevelMetrics, h.summary("s").EnhancedMonitoring[0].ShardLevelMetrics), all+" "+all)
	equal(t, "without some", disable("IncomingBytes", "IncomingRecords", "OutgoingBytes", "OutgoingRecords", "IteratorAgeMilliseconds"),
		all+" [WriteProvisionedThroughputExceeded ReadProvisionedThroughputExceeded]")
	equal(t, "none", disable("ALL"), "[WriteProvisionedThroughputExceeded ReadProvisionedThroughputExceeded] []")
	h.must(h.server.Close())
	h = open(t, Config{fs: disk})
	equal(t, "described", len(h.describe("s").EnhancedMonitoring[0].ShardLevelMetrics), 0)
	const set = "[IncomingBytes, IncomingRecords, OutgoingBytes, OutgoingRecords, WriteProvisionedThroughputExceeded, ReadProvisionedThroughputExceeded, IteratorAgeMilliseconds, ALL]"
	for body, want := range map[string]string{
		`{"StreamName":"s"}`:                           "Value null at 'shardLevelMetrics' failed to satisfy constraint: Member must not be null",
		`{"StreamName":"s","ShardLevelMetrics":[]}`:    "Value '[]' at 'shardLevelMetrics' failed to satisfy constraint: Member must have length greater than or equal to 1",
		`{"StreamName":"s","ShardLevelMetrics":["x"]}`: "Value '[x]' at 'shardLevelMetrics' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: " + set + "]",
		`{"StreamName":"s","ShardLevelMetrics":["ALL","ALL","ALL","ALL","ALL","ALL","ALL","ALL"]}`: "Value '[ALL, ALL, ALL, ALL, ALL, ALL, ALL, ALL]' at 'shardLevelMetrics' " +
			"failed to satisfy constraint: Member must have length less than or equal to 7",
	} {
		kind, message := h.refused("EnableEnhancedMonitoring", body)
		equal(t, body, kind+": "+message, typeValidation+": 1 validation error detected: "+want)
	}
}

func TestUpdateMaxRecordSize(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := Config{fs: vfs.NewMemory(), UpdateDelay: time.Second}
		h := open(t, cfg)
		h.create("s", 1)
		set := func(kib int32) error {
			_, err := h.client.UpdateMaxRecordSize(t.Context(), &kinesis.UpdateMaxRecordSizeInput{StreamARN: aws.String(testARN), MaxRecordSizeInKiB: &kib})
			return err
		}
		put := func(size int) error {
			_, err := h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: make([]byte, size)})
			return err
		}
		h.must(set(1024)) // as it is
		equal(t, "status", h.describe("s").StreamStatus, "ACTIVE")
		h.must(set(10240))
		equal(t, "status", h.describe("s").StreamStatus, "UPDATING")
		h.wantError(put(1<<20), typeValidation, "") // still
		h.wantError(set(2048), typeInUse, "")
		h.must(h.server.Close())
		h = open(t, cfg)
		pass(time.Second)
		equal(t, "size", *h.summary("s").MaxRecordSizeInKiB, 10240)
		h.must(put(10<<20 - 1)) // with the key, the limit
		h.wantError(put(10<<20), typeValidation, "")
		h.must(set(1024))
		pass(time.Second)
		h.wantError(put(1<<20), typeValidation, "")
		equal(t, "a larger record that is there", len(h.get(h.iterator("0", types.ShardIteratorTypeTrimHorizon)).Records), 1)
		for body, want := range map[string]string{
			`{"MaxRecordSizeInKiB":1023}`: "2 validation errors detected: Value null at 'streamARN' failed to satisfy constraint: Member must not be null; " +
				"Value '1023' at 'maxRecordSizeInKiB' failed to satisfy constraint: Member must have value greater than or equal to 1024",
			`{"StreamARN":"` + testARN + `","MaxRecordSizeInKiB":10241}`: "1 validation error detected: " +
				"Value '10241' at 'maxRecordSizeInKiB' failed to satisfy constraint: Member must have value less than or equal to 10240",
			`{"StreamARN":"` + testARN + `"}`: "1 validation error detected: Value null at 'maxRecordSizeInKiB' failed to satisfy constraint: Member must not be null",
		} {
			kind, message := h.refused("UpdateMaxRecordSize", body)
			equal(t, body, kind+": "+message, typeValidation+": "+want)
		}
		h.must(h.server.Close())
	})
}

// A stream changes its mode both ways and keeps its shards.
func TestUpdateStreamMode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := Config{fs: vfs.NewMemory(), UpdateDelay: time.Second}
		h := open(t, cfg)
		h.create("s", 2)
		mode := func() string {
			t.Helper()
			s := h.summary("s")
			return fmt.Sprint(s.StreamStatus, s.StreamModeDetails.StreamMode, *s.OpenShardCount, s.RecordDistributionStrategy)
		}
		h.must(h.setMode(types.StreamModeProvisioned)) // as it is
		equal(t, "the same mode", mode(), "ACTIVEPROVISIONED2")
		h.must(h.setMode(types.StreamModeOnDemand))
		equal(t, "on the way", mode(), "UPDATINGPROVISIONED2")
		h.wantError(h.setMode(types.StreamModeProvisioned), typeInUse, "")
		h.must(h.server.Close())
		h = open(t, cfg)
		pass(time.Second)
		equal(t, "on-demand", mode(), "ACTIVEON_DEMAND2USER_PARTITION_KEY")
		kind, message := h.refused("SplitShard", `{"StreamName":"s","ShardToSplit":"0","NewStartingHashKey":"10"}`)
		equal(t, "split", kind+": "+message, "ValidationException: Request is invalid. Stream s under account 000000000000 is in On-Demand mode.")
		h.must(h.setMode(types.StreamModeProvisioned))
		equal(t, "on the way back", mode(), "UPDATINGON_DEMAND2USER_PARTITION_KEY")
		pass(time.Second)
		equal(t, "provisioned", mode(), "ACTIVEPROVISIONED2")
		h.split("0", "10")
		h.must(h.server.Close())
	})
}

func TestUpdateStreamModeErrors(t *testing.T) {
	h := start(t, 1)
	for body, want := range map[string]string{
		`{}`: "ValidationException: 2 validation errors detected: Value null at 'streamARN' failed to satisfy constraint: Member must not be null; " +
			"Value null at 'streamModeDetails' failed to satisfy constraint: Member must not be null",
		`{"StreamARN":"` + testARN + `","StreamModeDetails":{"StreamMode":"X"},"WarmThroughputMiBps":-1}`: "ValidationException: 2 validation errors detected: " +
			"Value 'X' at 'streamModeDetails.streamMode' failed to satisfy constraint: Member must satisfy enum value set: [PROVISIONED, ON_DEMAND]; " +
			"Value '-1' at 'warmThroughputMiBps' failed to satisfy constraint: Member must have value greater than or equal to 0",
		`{"StreamARN":"` + testARN + `","StreamModeDetails":{"StreamMode":"PROVISIONED"},"WarmThroughputMiBps":1}`: "ValidationException: " +
			"WarmThroughputMiBps can only be specified for a stream in ON_DEMAND mode.",
		`{"StreamARN":"` + testARN + `","StreamModeDetails":{"StreamMode":"ON_DEMAND"},"WarmThroughputMiBps":1}`: "ValidationException: " +
			"WarmThroughputMiBps can only be specified for an account whose MinimumThroughputBillingCommitment is ENABLED.",
		`{"StreamARN":"` + testARN + `x","StreamModeDetails":{"StreamMode":"ON_DEMAND"}}`: "ResourceNotFoundException: Stream sx under account 000000000000 not found.",
	} {
		kind, message := h.refused("UpdateStreamMode", body)
		equal(t, body, kind+": "+message, want)
	}
}

// The fifty-first on-demand stream is refused, made or changed.
func TestAtMostFiftyOnDemandStreams(t *testing.T) {
	h := start(t, 1, Config{ShardLimit: -1})
	for i := range maxOnDemand {
		h.createOnDemand(fmt.Sprint("d", i))
	}
	const want = "LimitExceededException: This request would exceed the limit on the number of On-Demand streams for the account 000000000000 in us-east-1. " +
		"Current On-Demand streams count: 50. Limit: 50."
	kind, message := h.refused("CreateStream", `{"StreamName":"x"}`)
	equal(t, "a new one", kind+": "+message, want)
	kind, message = h.refused("UpdateStreamMode", `{"StreamARN":"`+testARN+`","StreamModeDetails":{"StreamMode":"ON_DEMAND"}}`)
	equal(t, "one more", kind+": "+message, want)
	out, err := h.client.DescribeLimits(t.Context(), &kinesis.DescribeLimitsInput{})
	h.must(err)
	equal(t, "limits", fmt.Sprint(*out.OnDemandStreamCount, *out.OnDemandStreamCountLimit, *out.OpenShardCount, *out.ShardLimit, *out.ChannelCount, *out.ChannelCountLimit), "50 50 201 1000000 0 100")
	_, err = h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("d7")})
	h.must(err)
	h.must(h.setMode(types.StreamModeOnDemand))
}

func TestDescribeLimitsIsOfTheCallersAccount(t *testing.T) {
	h := start(t, 3, Config{ShardLimit: 40})
	other := h.server.Client(noRetry, func(o *kinesis.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider("111111111111", "x", "")
	})
	for client, want := range map[*kinesis.Client]string{h.client: "3 40", other: "0 40"} {
		out, err := client.DescribeLimits(t.Context(), &kinesis.DescribeLimitsInput{})
		h.must(err)
		equal(t, "limits", fmt.Sprint(*out.OpenShardCount, *out.ShardLimit), want)
	}
}

// A commitment lasts a day at least, also over a restart; a request to end it
// before can be taken back.
func TestAccountSettings(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := Config{fs: vfs.NewMemory()}
		h := open(t, cfg)
		settings := func(client *kinesis.Client) *types.MinimumThroughputBillingCommitmentOutput {
			t.Helper()
			out, err := client.DescribeAccountSettings(t.Context(), &kinesis.DescribeAccountSettingsInput{})
			h.must(err)
			return out.MinimumThroughputBillingCommitment
		}
		first := settings(h.client)
		equal(t, "never made", fmt.Sprint(first.Status, first.StartedAt, first.EndedAt, first.EarliestAllowedEndAt), "DISABLED<nil> <nil> <nil>")
		equal(t, "ended before it was made", h.commit("DISABLED").Status, "DISABLED")
		began := time.Now()
		made := h.commit("ENABLED")
		equal(t, "made", fmt.Sprint(made.Status, made.StartedAt.Equal(began), made.EarliestAllowedEndAt.Sub(began), made.EndedAt), "ENABLEDtrue 24h0m0s <nil>")
		other := h.server.Client(noRetry, func(o *kinesis.Options) { o.Region = "eu-west-1" })
		equal(t, "of another region", settings(other).Status, "DISABLED")
		pass(time.Hour)
		equal(t, "ended too early", h.commit("DISABLED").Status, "ENABLED_UNTIL_EARLIEST_ALLOWED_END")
		h.must(h.server.Close())
		h = open(t, cfg)
		equal(t, "after a restart", settings(h.client).Status, "ENABLED_UNTIL_EARLIEST_ALLOWED_END")
		equal(t, "taken back", h.commit("ENABLED").Status, "ENABLED")
		equal(t, "ended too early again", h.commit("DISABLED").Status, "ENABLED_UNTIL_EARLIEST_ALLOWED_END")
		pass(23 * time.Hour)
		ended := settings(h.client)
		equal(t, "ended by itself", fmt.Sprint(ended.Status, ended.EndedAt.Sub(began), ended.StartedAt.Equal(began), ended.EarliestAllowedEndAt), "DISABLED24h0m0s true <nil>")
		h.commit("ENABLED")
		pass(25 * time.Hour)
		equal(t, "ended after its term", h.commit("DISABLED").Status, "DISABLED")
		kind, message := h.refused("UpdateAccountSettings", `{}`)
		equal(t, "nothing", kind+": "+message, "ValidationException: 1 validation error detected: Value null at 'minimumThroughputBillingCommitment' failed to satisfy constraint: Member must not be null")
		kind, message = h.refused("UpdateAccountSettings", `{"MinimumThroughputBillingCommitment":{"Status":"X"}}`)
		equal(t, "an unknown status", kind+": "+message, "ValidationException: 1 validation error detected: Value 'X' at 'minimumThroughputBillingCommitment.status' "+
			"failed to satisfy constraint: Member must satisfy enum value set: [ENABLED, DISABLED]")
		h.must(h.server.Close())
	})
}

// Warm throughput opens its shards when UPDATING ends, and is shown on the way.
func TestWarmThroughput(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := Config{fs: vfs.NewMemory(), UpdateDelay: time.Second, ShardLimit: 20}
		h := open(t, cfg)
		h.createOnDemand("s")
		_, err := h.warm(8)
		h.wantError(err, typeValidation, "WarmThroughputMiBps can only be specified for an account whose MinimumThroughputBillingCommitment is ENABLED.")
		h.commit("ENABLED")
		shown := func() string {
			t.Helper()
			s := h.summary("s")
			if s.WarmThroughput == nil {
				return fmt.Sprint(s.StreamStatus, *s.OpenShardCount, " -")
			}
			return fmt.Sprint(s.StreamStatus, *s.OpenShardCount, " ", *s.WarmThroughput.CurrentMiBps, *s.WarmThroughput.TargetMiBps)
		}
		equal(t, "none", shown(), "ACTIVE4 -")
		w, err := h.warm(8)
		h.must(err)
		equal(t, "answer", fmt.Sprint(*w.CurrentMiBps, *w.TargetMiBps), "0 8")
		equal(t, "on the way", shown(), "UPDATING4 0 8")
		_, err = h.warm(9)
		h.wantError(err, typeInUse, "")
		h.must(h.server.Close())
		h = open(t, cfg)
		pass(time.Second)
		equal(t, "in the end", shown(), "ACTIVE8 8 8")
		w, err = h.warm(8)
		h.must(err)
		equal(t, "the same again", fmt.Sprint(shown(), *w.CurrentMiBps, *w.TargetMiBps), "ACTIVE8 8 88 8")
		_, err = h.warm(100)
		h.must(err)
		pass(time.Second)
		equal(t, "as far as there is room", shown(), "ACTIVE20 20 100")
		_, err = h.warm(100)
		h.must(err)
		equal(t, "the same again, without room", shown(), "ACTIVE20 20 100")
		h.must(h.server.Close())
		cfg.ShardLimit = 30
		h = open(t, cfg)
		_, err = h.warm(100)
		h.must(err)
		pass(time.Second)
		equal(t, "the same again, with room", shown(), "ACTIVE30 30 100")
		_, err = h.client.UpdateAccountSettings(t.Context(), &kinesis.UpdateAccountSettingsInput{
			MinimumThroughputBillingCommitment: &types.MinimumThroughputBillingCommitmentInput{Status: "DISABLED"}})
		h.wantError(err, typeInvalidArgument, "MinimumThroughputBillingCommitment cannot be DISABLED while streams have a warm throughput, such as stream s under account 000000000000.")
		_, err = h.warm(0)
		h.must(err)
		pass(time.Second)
		equal(t, "none again", shown(), "ACTIVE30 -")
		_, err = h.warm(10241)
		h.wantError(err, typeLimitExceeded, "WarmThroughputMiBps cannot be greater than 10240. Requested warm throughput: 10241")
		h.must(h.server.Close())
	})
}

// The answer says what the stream can handle now, and what it should.
func TestTheAnswerToAWarmThroughputThatIsCut(t *testing.T) {
	h := start(t, 0, Config{ShardLimit: 6})
	h.commit("ENABLED")
	h.createOnDemand("s")
	w, err := h.warm(3)
	h.must(err)
	equal(t, "less than the shards", fmt.Sprint(*w.CurrentMiBps, *w.TargetMiBps), "3 3")
	w, err = h.warm(100)
	h.must(err)
	equal(t, "cut", fmt.Sprint(*w.CurrentMiBps, *w.TargetMiBps), "6 100")
}

func TestWarmThroughputOfOtherOperations(t *testing.T) {
	h := start(t, 0)
	h.commit("ENABLED")
	_, err := h.client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("s"), WarmThroughputMiBps: aws.Int32(7)})
	h.must(err)
	equal(t, "new stream", fmt.Sprint(*h.summary("s").OpenShardCount, *h.summary("s").WarmThroughput.CurrentMiBps), "7 7")
	h.must(h.setMode(types.StreamModeProvisioned))
	equal(t, "provisioned", fmt.Sprint(*h.summary("s").OpenShardCount, h.summary("s").WarmThroughput), "7 <nil>")
	_, err = h.warm(3)
	h.wantError(err, typeValidation, "WarmThroughputMiBps can only be specified for a stream in ON_DEMAND mode.")
	h.must(h.setMode(types.StreamModeOnDemand, func(in *kinesis.UpdateStreamModeInput) { in.WarmThroughputMiBps = aws.Int32(9) }))
	equal(t, "on-demand again", fmt.Sprint(*h.summary("s").OpenShardCount, *h.summary("s").WarmThroughput.TargetMiBps), "9 9")
	for body, want := range map[string]string{
		`{"StreamName":"x","ShardCount":1,"WarmThroughputMiBps":1}`: "ValidationException: WarmThroughputMiBps can only be specified for a stream in ON_DEMAND mode.",
		`{"StreamName":"x","WarmThroughputMiBps":10241}`:            "LimitExceededException: WarmThroughputMiBps cannot be greater than 10240. Requested warm throughput: 10241",
	} {
		kind, message := h.refused("CreateStream", body)
		equal(t, body, kind+": "+message, want)
	}
	kind, message := h.refused("UpdateStreamWarmThroughput", `{"StreamName":"s"}`)
	equal(t, "none", kind+": "+message, "ValidationException: 1 validation error detected: Value null at 'warmThroughputMiBps' failed to satisfy constraint: Member must not be null")
}

// With the rates of AWS, a stream changes only so often in 24 hours; without
// them as often as anybody likes.
func TestDailyLimits(t *testing.T) {
	for _, limits := range []Limits{LimitsAWS, LimitsOff} {
		bubble(t, func(t *testing.T) {
			h := start(t, 1, Config{Limits: limits})
			scale := func() error {
				_, err := h.client.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{
					StreamName: aws.String("s"), TargetShardCount: aws.Int32(3 - *h.summary("s").OpenShardCount), ScalingType: types.ScalingTypeUniformScaling})
				return err
			}
			modes := []types.StreamMode{types.StreamModeOnDemand, types.StreamModeProvisioned}
			switches := 0
			change := func() error {
				switches++
				return h.setMode(modes[(switches+1)%2])
			}
			for _, tt := range []struct {
				name   string
				most   int
				change func() error
			}{
				{"UpdateShardCount", scalingsPerDay, scale},
				{"StartStreamEncryption", encryptionsPerDay, func() error { return h.encrypt(testKeyID) }},
				{"UpdateStreamMode", modeSwitchesPerDay, change},
			} {
				for range tt.most {
					h.must(tt.change())
					time.Sleep(time.Second)
				}
				err := tt.change()
				if limits == LimitsOff {
					h.must(err)
					continue
				}
				h.wantError(err, typeLimitExceeded, fmt.Sprintf("%s can be called at most %d times in 24 hours for stream s under account 000000000000.", tt.name, tt.most))
				if tt.name == "UpdateStreamMode" {
					switches--
				}
			}
			if limits == LimitsOff {
				return
			}
			h.must(h.decrypt()) // ends are counted apart
			pass(24 * time.Hour)
			h.must(scale())
			h.must(h.encrypt(testKeyID))
			h.must(change())
		})
	}
}
