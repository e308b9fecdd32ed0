package localstream

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// tryRegister registers a consumer of "s".
func (h *harness) tryRegister(name string) (*types.Consumer, error) {
	h.Helper()
	out, err := h.client.RegisterStreamConsumer(h.Context(), &kinesis.RegisterStreamConsumerInput{StreamARN: aws.String(testARN), ConsumerName: &name})
	if err != nil {
		return nil, err
	}
	return out.Consumer, nil
}

// register registers a consumer of "s" and gives its ARN.
func (h *harness) register(name string) string {
	h.Helper()
	consumer, err := h.tryRegister(name)
	h.must(err)
	return *consumer.ConsumerARN
}

func (h *harness) deregister(arn string) {
	h.Helper()
	_, err := h.client.DeregisterStreamConsumer(h.Context(), &kinesis.DeregisterStreamConsumerInput{ConsumerARN: &arn})
	h.must(err)
}

// consumers lists the consumers of "s" as name and status.
func (h *harness) consumers() string {
	h.Helper()
	out, err := h.client.ListStreamConsumers(h.Context(), &kinesis.ListStreamConsumersInput{StreamARN: aws.String(testARN)})
	h.must(err)
	list := []string{}
	for _, c := range out.Consumers {
		list = append(list, fmt.Sprint(*c.ConsumerName, " ", c.ConsumerStatus))
	}
	return strings.Join(list, ", ")
}

func TestConsumers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		consumer, err := h.tryRegister("b")
		h.must(err)
		arn := fmt.Sprintf("%s/consumer/b:%d", testARN, time.Now().Unix())
		equal(t, "ARN", *consumer.ConsumerARN, arn)
		equal(t, "name", *consumer.ConsumerName, "b")
		equal(t, "status", consumer.ConsumerStatus, "ACTIVE")
		equal(t, "created", consumer.ConsumerCreationTimestamp.UnixMilli(), time.Now().UnixMilli())
		h.register("a")
		equal(t, "listed", h.consumers(), "a ACTIVE, b ACTIVE")
		sum, err := h.client.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("s")})
		h.must(err)
		equal(t, "count", *sum.StreamDescriptionSummary.ConsumerCount, 2)
		_, err = h.tryRegister("b")
		h.wantError(err, typeInUse, "Consumer b under stream s already exists for account 000000000000.")

		for name, in := range map[string]*kinesis.DescribeStreamConsumerInput{
			"by ARN":                 {ConsumerARN: &arn},
			"by stream and name":     {StreamARN: aws.String(testARN), ConsumerName: aws.String("b")},
			"by all of them":         {StreamARN: aws.String(testARN), ConsumerName: aws.String("b"), ConsumerARN: &arn},
			"by ARN and its name":    {ConsumerName: aws.String("b"), ConsumerARN: &arn},
			"by stream and full ARN": {StreamARN: aws.String(testARN), ConsumerARN: &arn},
		} {
			out, err := h.client.DescribeStreamConsumer(t.Context(), in)
			h.must(err)
			d := out.ConsumerDescription
			equal(t, name, fmt.Sprint(*d.ConsumerARN, *d.ConsumerName, d.ConsumerStatus, *d.StreamARN), arn+"bACTIVE"+testARN)
		}
		h.deregister(arn)
		equal(t, "listed", h.consumers(), "a ACTIVE")
		if again := h.register("b"); again == arn {
			t.Errorf("a consumer registered anew has the ARN %s of the one before", again)
		}
		_, err = h.client.DescribeStreamConsumer(t.Context(), &kinesis.DescribeStreamConsumerInput{ConsumerARN: &arn})
		h.wantError(err, typeNotFound, "Consumer b under stream s under account 000000000000 not found.")
		_, err = h.client.DeregisterStreamConsumer(t.Context(), &kinesis.DeregisterStreamConsumerInput{StreamARN: aws.String(testARN), ConsumerName: aws.String("a")})
		h.must(err)
		equal(t, "listed", h.consumers(), "b ACTIVE")
	})
}

func TestConsumerRequestsThatNameNoConsumer(t *testing.T) {
	h := start(t, 1)
	arn := h.register("c")
	h.create("other", 1)
	for _, operation := range []string{"DescribeStreamConsumer", "DeregisterStreamConsumer"} {
		for body, want := range map[string]string{
			`{}`:                              typeInvalidArgument,
			`{"ConsumerName":"c"}`:            typeInvalidArgument,
			`{"StreamARN":"` + testARN + `"}`: typeInvalidArgument,
			`{"ConsumerARN":"` + arn + `","ConsumerName":"d"}`:                                                       typeInvalidArgument,
			`{"ConsumerARN":"` + arn + `","StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/other"}`:        typeInvalidArgument,
			`{"StreamARN":"` + testARN + `","ConsumerName":"d"}`:                                                     typeNotFound,
			`{"ConsumerARN":"` + arn + `9"}`:                                                                         typeNotFound,
			`{"StreamARN":"` + testARN + `x","ConsumerName":"c"}`:                                                    typeNotFound,
			`{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/other","ConsumerName":"c"}`:                 typeNotFound,
			`{"ConsumerARN":"arn:aws:kinesis:us-east-1:000000000001:stream/s/consumer/c:` + arn[len(arn)-10:] + `"}`: typeNotFound,
		} {
			kind, message := h.refused(operation, body)
			if kind != want || message == "" {
				t.Errorf("%s %s: %s: %s, want %s", operation, body, kind, message, want)
			}
		}
	}
	equal(t, "listed", h.consumers(), "c ACTIVE")
}

// What the service model refuses of consumers.
func TestConsumerModelViolations(t *testing.T) {
	h := start(t, 1)
	const (
		nullARN  = "Value null at 'streamARN' failed to satisfy constraint: Member must not be null"
		badARN   = `Value 'x' at 'streamARN' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:aws.*:kinesis:.*:\d{12}:stream/\S+`
		badName  = "Value 'a/b' at 'consumerName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
		consumer = `' at 'consumerARN' failed to satisfy constraint: Member must satisfy regular expression pattern: ` +
			`^(arn):aws.*:kinesis:.*:\d{12}:.*stream\/[a-zA-Z0-9_.-]+\/consumer\/[a-zA-Z0-9_.-]+:[0-9]+`
	)
	for _, tt := range []struct {
		operation, body string
		want            []string
	}{
		{"RegisterStreamConsumer", `{}`, []string{nullARN, "Value null at 'consumerName' failed to satisfy constraint: Member must not be null"}},
		{"RegisterStreamConsumer", `{"StreamARN":"x","ConsumerName":"a/b"}`, []string{badARN, badName}},
		{"RegisterStreamConsumer", `{"StreamARN":"` + testARN + `","ConsumerName":"c","Tags":{"":""}}`, []string{
			"Value '{=}' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1]"}},
		{"DeregisterStreamConsumer", `{"StreamARN":"x","ConsumerName":"a/b","ConsumerARN":"y"}`, []string{badARN, badName, "Value 'y" + consumer}},
		{"DescribeStreamConsumer", `{"ConsumerARN":"` + testARN + `"}`, []string{"Value '" + testARN + consumer}},
		{"DescribeStreamConsumer", `{"ConsumerARN":"` + testARN + `*/consumer/c:1"}`, []string{"Value '" + testARN + "*/consumer/c:1" + consumer}},
		{"ListStreamConsumers", `{"MaxResults":0,"NextToken":""}`, []string{nullARN,
			"Value '' at 'nextToken' failed to satisfy constraint: Member must have length greater than or equal to 1",
			"Value '0' at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 1"}},
	} {
		kind, message := h.refused(tt.operation, tt.body)
		want := "1 validation error detected: " + tt.want[0]
		if n := len(tt.want); n > 1 {
			want = fmt.Sprintf("%d validation errors detected: %s", n, strings.Join(tt.want, "; "))
		}
		equal(t, tt.operation+tt.body, kind+message, typeValidation+want)
	}
	tags := map[string]string{}
	for i := range 51 {
		tags[fmt.Sprint(i)] = ""
	}
	_, err := h.client.RegisterStreamConsumer(t.Context(), &kinesis.RegisterStreamConsumerInput{
		StreamARN: aws.String(testARN), ConsumerName: aws.String("c"), Tags: tags})
	h.wantError(err, typeInvalidArgument, "")
}

func TestConsumersOfAStreamAreLimited(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1, Config{ConsumerDelay: time.Second})
		for i := range 20 {
			_, err := h.tryRegister(fmt.Sprint("c", i))
			h.must(err)
			if i%5 == 4 && i < 19 {
				_, err = h.tryRegister("sixth")
				h.wantError(err, typeLimitExceeded, "Stream s under account 000000000000 has 5 consumers in CREATING state, and cannot have more than 5.")
				time.Sleep(2 * time.Second)
			}
		}
		_, err := h.tryRegister("c20")
		h.wantError(err, typeLimitExceeded, "Stream s under account 000000000000 has 20 registered consumers, and cannot have more than 20.")
	})
}

// CREATING and DELETING last as long as configured, over a restart too, and
// nothing that was under way for one consumer happens to the next of its name.
func TestConsumerDelay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := Config{fs: vfs.NewMemory(), ConsumerDelay: 10 * time.Second}
		h := open(t, cfg)
		h.create("s", 1)
		first := h.register("c")
		equal(t, "at once", h.consumers(), "c CREATING")
		h.deregister(first)
		equal(t, "deregistered", h.consumers(), "c DELETING")
		h.deregister(first) // again is no error
		_, err := h.tryRegister("c")
		h.wantError(err, typeInUse, "")
		time.Sleep(11 * time.Second)
		equal(t, "gone", h.consumers(), "")

		second := h.register("c")
		time.Sleep(5 * time.Second)
		h.must(h.server.Close())
		h = open(t, cfg)
		equal(t, "after a restart", h.consumers(), "c CREATING")
		time.Sleep(11 * time.Second)
		equal(t, "later", h.consumers(), "c ACTIVE")
		h.deregister(second)
		h.must(h.server.Close())
		h = open(t, cfg)
		equal(t, "after another restart", h.consumers(), "c DELETING")
		time.Sleep(11 * time.Second)
		equal(t, "later", h.consumers(), "")
		h.must(h.server.Close())
	})
}

func TestListStreamConsumersPages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		want := []string{}
		for i := range 7 {
			want = append(want, fmt.Sprint("c", i))
			h.register(fmt.Sprint("c", 6-i))
		}
		got := []string{}
		in := &kinesis.ListStreamConsumersInput{StreamARN: aws.String(testARN), MaxResults: aws.Int32(3)}
		var token *string
		for {
			out, err := h.client.ListStreamConsumers(t.Context(), in)
			h.must(err)
			for _, c := range out.Consumers {
				got = append(got, *c.ConsumerName)
			}
			if out.NextToken == nil {
				break
			}
			token, in.NextToken = out.NextToken, out.NextToken
		}
		equal(t, "names", got, want)

		list := func(change func(*kinesis.ListStreamConsumersInput)) error {
			in := &kinesis.ListStreamConsumersInput{StreamARN: aws.String(testARN)}
			change(in)
			_, err := h.client.ListStreamConsumers(t.Context(), in)
			return err
		}
		h.must(list(func(in *kinesis.ListStreamConsumersInput) { in.StreamCreationTimestamp = aws.Time(time.Now()) }))
		h.wantError(list(func(in *kinesis.ListStreamConsumersInput) {
			in.StreamCreationTimestamp = aws.Time(time.Now().Add(-time.Hour))
		}), typeNotFound, "")
		h.wantError(list(func(in *kinesis.ListStreamConsumersInput) {
			in.NextToken, in.StreamCreationTimestamp = token, aws.Time(time.Now())
		}), typeInvalidArgument, "NextToken and StreamCreationTimestamp cannot be provided together.")
		h.wantError(list(func(in *kinesis.ListStreamConsumersInput) { in.NextToken = aws.String("x") }), typeInvalidArgument, "NextToken is invalid.")
		h.create("other", 1)
		h.wantError(list(func(in *kinesis.ListStreamConsumersInput) {
			in.StreamARN, in.NextToken = aws.String(testARN[:len(testARN)-1]+"other"), token
		}), typeInvalidArgument, "NextToken is invalid.")
		time.Sleep(5 * time.Minute)
		h.wantError(list(func(in *kinesis.ListStreamConsumersInput) { in.NextToken = token }), typeExpiredToken, "")
	})
}

func TestDeleteStreamWithConsumers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1, Config{DeleteDelay: time.Second, CreateDelay: time.Second})
		_, err := h.tryRegister("c")
		h.wantError(err, typeInUse, "Stream s under account 000000000000 not ACTIVE, instead in state CREATING")
		_, err = h.client.ListStreamConsumers(t.Context(), &kinesis.ListStreamConsumersInput{StreamARN: aws.String(testARN)})
		h.wantError(err, typeInUse, "")
		time.Sleep(2 * time.Second)
		arn := h.register("c")
		_, err = h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("s")})
		h.wantError(err, typeInUse, "DeleteStream can't delete 000000000000:s because there are consumers associated with this data stream. "+
			"To delete s anyway, set the EnforceConsumerDeletion parameter to true to force the deletion of all the consumers that are associated with it.")
		_, err = h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("s"), EnforceConsumerDeletion: aws.Bool(true)})
		h.must(err)
		equal(t, "while the stream is deleted", h.consumers(), "c DELETING")
		h.deregister(arn)
		_, err = h.tryRegister("d")
		h.wantError(err, typeInUse, "")
		time.Sleep(2 * time.Second)

		h.create("s", 1)
		time.Sleep(2 * time.Second)
		equal(t, "consumers of the next stream of that name", h.consumers(), "")
		_, err = h.client.DescribeStreamConsumer(t.Context(), &kinesis.DescribeStreamConsumerInput{ConsumerARN: &arn})
		h.wantError(err, typeNotFound, "")
	})
}

// A data directory from before there were consumers opens, and takes some.
func TestAJournalWithoutConsumersOpens(t *testing.T) {
	disk := vfs.NewMemory()
	journal, err := wal.OpenJournal(disk, journalDir, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range []string{
		`{"booted":{"boot":1,"secret":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}}`,
		`{"created":{"account":"000000000000","region":"us-east-1","name":"s","id":"11111111-2222-4333-8444-555555555555","created":1800000000123,` +
			`"status":"ACTIVE","retention_hours":24,"max_record_kib":1024,"next_shard":1,"shards":[{"number":0,"range":{"Start":{"Hi":0,"Lo":0},` +
			`"End":{"Hi":18446744073709551615,"Lo":18446744073709551615}},"create_secs":1799999998,"opened":1800000000123,"parent":-1,"adjacent_parent":-1}]}}`,
	} {
		if err := journal.Append([]byte(event)); err != nil {
			t.Fatal(err)
		}
	}
	if err := journal.Close(); err != nil {
		t.Fatal(err)
	}
	log, err := wal.Open(wal.Config{FS: disk, Dir: streamsDir + "/11111111-2222-4333-8444-555555555555"})
	if err == nil {
		err = log.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	h := open(t, Config{fs: disk})
	equal(t, "consumers", h.consumers(), "")
	h.register("c")
	h.put("k", "x")
	h.must(h.server.Close())
	h = open(t, Config{fs: disk})
	equal(t, "consumers", h.consumers(), "c ACTIVE")
	h.must(h.server.Close())
}

// Calls about consumers are limited for a stream, and registering for an account.
func TestCallsAboutConsumersAreLimitedAsInAWS(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1, Config{Limits: LimitsAWS})
		h.create("other", 1)
		of := func(stream string) *string { return aws.String(testARN[:len(testARN)-1] + stream) }
		calls := map[string]func(stream string) error{
			"RegisterStreamConsumer": func(stream string) error {
				_, err := h.client.RegisterStreamConsumer(t.Context(), &kinesis.RegisterStreamConsumerInput{StreamARN: of(stream), ConsumerName: aws.String("x")})
				return err
			},
			"DescribeStreamConsumer": func(stream string) error {
				_, err := h.client.DescribeStreamConsumer(t.Context(), &kinesis.DescribeStreamConsumerInput{StreamARN: of(stream), ConsumerName: aws.String("x")})
				return err
			},
			"DeregisterStreamConsumer": func(stream string) error {
				_, err := h.client.DeregisterStreamConsumer(t.Context(), &kinesis.DeregisterStreamConsumerInput{StreamARN: of(stream), ConsumerName: aws.String("x")})
				return err
			},
			"ListStreamConsumers": func(stream string) error {
				_, err := h.client.ListStreamConsumers(t.Context(), &kinesis.ListStreamConsumersInput{StreamARN: of(stream)})
				return err
			},
		}
		for name, most := range map[string]int{"RegisterStreamConsumer": 5, "DescribeStreamConsumer": 20, "DeregisterStreamConsumer": 5, "ListStreamConsumers": 5} {
			limited := func(stream string) bool {
				err := calls[name](stream)
				return err != nil && strings.Contains(err.Error(), "Rate exceeded")
			}
			for range most {
				if limited("s") {
					t.Errorf("%s is limited too early", name)
				}
			}
			if !limited("s") {
				t.Errorf("%s: call %d in a second is taken", name, most+1)
			}
			equal(t, name+" is limited for another stream", limited("other"), name == "RegisterStreamConsumer")
		}
	})
}

// Tags and policies of a consumer are its own, and go with it.
func TestConsumersHaveTagsAndPolicies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := Config{fs: vfs.NewMemory()}
		h := open(t, cfg)
		h.create("s", 1)
		out, err := h.client.RegisterStreamConsumer(t.Context(), &kinesis.RegisterStreamConsumerInput{
			StreamARN: aws.String(testARN), ConsumerName: aws.String("c"), Tags: map[string]string{"a": "1"}})
		h.must(err)
		arn := out.Consumer.ConsumerARN
		other := h.register("d")
		_, err = h.client.TagResource(t.Context(), &kinesis.TagResourceInput{ResourceARN: arn, Tags: map[string]string{"b": "2"}})
		h.must(err)
		tags := func(arn string) string {
			out, err := h.client.ListTagsForResource(t.Context(), &kinesis.ListTagsForResourceInput{ResourceARN: &arn})
			h.must(err)
			return fmt.Sprint(tagTexts(out.Tags))
		}
		const policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"kinesis:SubscribeToShard","Resource":"*"}]}`
		for range 2 {
			equal(t, "tags", tags(*arn)+tags(other)+tags(testARN), "[a=1 b=2][][]")
			h.must(h.server.Close())
			h = open(t, cfg)
		}
		text := strings.Replace(policy, `"*"}]`, fmt.Sprintf("%q}]", *arn), 1)
		_, err = h.client.PutResourcePolicy(t.Context(), &kinesis.PutResourcePolicyInput{ResourceARN: arn, Policy: &text})
		h.must(err)
		got, err := h.client.GetResourcePolicy(t.Context(), &kinesis.GetResourcePolicyInput{ResourceARN: arn})
		h.must(err)
		equal(t, "policy", *got.Policy, text)
		_, err = h.client.UntagResource(t.Context(), &kinesis.UntagResourceInput{ResourceARN: arn, TagKeys: []string{"a"}})
		h.must(err)
		equal(t, "tags", tags(*arn), "[b=2]")
		h.deregister(*arn)
		next := h.register("c")
		equal(t, "tags of the next consumer of that name", tags(next), "[]")
		_, err = h.client.ListTagsForResource(t.Context(), &kinesis.ListTagsForResourceInput{ResourceARN: arn})
		h.wantError(err, typeNotFound, "Resource "+*arn+" not found.")
		_, err = h.client.TagResource(t.Context(), &kinesis.TagResourceInput{ResourceARN: arn, Tags: map[string]string{"b": "2"}})
		h.wantError(err, typeNotFound, "")
		h.must(h.server.Close())
	})
}

// An on-demand stream of an account with a commitment has more consumers.
func TestACommitmentAllowsMoreConsumers(t *testing.T) {
	h := start(t, 0)
	_, err := h.client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("s")})
	h.must(err)
	for i := range 20 {
		h.register(fmt.Sprint("c", i))
	}
	_, err = h.tryRegister("c20")
	h.wantError(err, typeLimitExceeded, "")
	_, err = h.client.UpdateAccountSettings(t.Context(), &kinesis.UpdateAccountSettingsInput{
		MinimumThroughputBillingCommitment: &types.MinimumThroughputBillingCommitmentInput{Status: types.MinimumThroughputBillingCommitmentInputStatusEnabled}})
	h.must(err)
	for i := range 30 {
		h.register(fmt.Sprint("c", 20+i))
	}
	_, err = h.tryRegister("c50")
	h.wantError(err, typeLimitExceeded, "Stream s under account 000000000000 has 50 registered consumers, and cannot have more than 50.")
}
