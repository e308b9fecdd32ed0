package localstream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/internal/cbor"
	"github.com/shardrun/shardrun/localstream/internal/wire"
	"github.com/shardrun/shardrun/localstream/internal/wiretest"
)

// send sends a body in an encoding, without a client.
func (h *harness) send(e wire.Encoding, operation string, body []byte) (status int, answer []byte) {
	h.Helper()
	req, err := http.NewRequestWithContext(h.Context(), http.MethodPost, "http://localhost/", bytes.NewReader(body))
	h.must(err)
	req.Header.Set("Content-Type", e.ContentType())
	req.Header.Set("X-Amz-Target", targetPrefix+operation)
	req.Header.Set("X-Amz-Date", "20260101T000000Z")
	req.Header.Set("Authorization", auth)
	resp, err := h.server.HTTPClient().Do(req)
	h.must(err)
	equal(h, operation+": content type of the answer", resp.Header.Get("Content-Type"), e.ContentType())
	answer, err = io.ReadAll(resp.Body)
	h.must(err)
	return resp.StatusCode, answer
}

// pair are two servers that are asked the same at the same time, one in JSON,
// one in CBOR.
type pair struct {
	*testing.T
	sides [2]*side
}

type side struct {
	*harness
	encoding wire.Encoding
	seen     map[string]string // the strings of its answers by member, the newest each
}

// placeholder is a part of a body that each side has its own of, such as an
// iterator: what the newest answer had in the member of this name.
var placeholder = regexp.MustCompile(`\$\{\w+\}`)

// own are the members that differ from server to server: sealed, or random.
var own = map[string]bool{"ShardIterator": true, "NextShardIterator": true, "NextToken": true,
	"ChannelARN": true, "ChannelId": true, "LogGroupName": true, "ErrorOutputPrefix": true}

// ask sends a JSON body to both sides, as it is and in CBOR, and compares the
// answers, which it gives.
func (p *pair) ask(op *operation, body string) (status int, answer any) {
	p.Helper()
	var statuses [2]int
	var answers [2]any
	for i, s := range p.sides {
		raw := []byte(placeholder.ReplaceAllStringFunc(body, func(name string) string { return s.seen[name[2:len(name)-1]] }))
		if s.encoding == wire.AsCBOR {
			var err error
			raw, err = wiretest.CBOR(op.input, raw)
			s.must(err)
		}
		var out []byte
		statuses[i], out = s.send(s.encoding, op.name, raw)
		answers[i] = s.read(op, statuses[i], out)
	}
	if statuses[0] != statuses[1] || !reflect.DeepEqual(answers[0], answers[1]) {
		p.Errorf("%s %s\nJSON: %d %s\nCBOR: %d %s", op.name, body, statuses[0], show(answers[0]), statuses[1], show(answers[1]))
	}
	return statuses[0], answers[0]
}

func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%+v", v)
	}
	return string(b)
}

// read reads an answer: into the output struct of the operation, or, for an
// error, into a map. Nil is an empty answer.
func (s *side) read(op *operation, status int, answer []byte) any {
	s.Helper()
	switch {
	case len(answer) == 0:
		return nil
	case status != http.StatusOK:
		return s.readError(answer)
	}
	method, _ := reflect.TypeFor[*kinesis.Client]().MethodByName(op.name)
	out := reflect.New(method.Type.Out(0).Elem())
	var d wire.Decoder
	if err := d.Decode(s.encoding, &wire.Buffers{Body: answer}, out.Interface()); err != nil {
		s.Fatalf("%s: the answer cannot be read: %v: %q", op.name, err, answer)
	}
	s.look(out)
	return out.Interface()
}

// readError reads the members of an error, all of which are strings.
func (s *side) readError(answer []byte) map[string]string {
	s.Helper()
	e := map[string]string{}
	if s.encoding == wire.AsJSON {
		s.must(json.Unmarshal(answer, &e))
		return e
	}
	r := cbor.NewReader(answer)
	n, err := r.Map()
	s.must(err)
	for {
		more, err := r.More(&n)
		s.must(err)
		if !more {
			s.must(r.End())
			return e
		}
		key, err := r.Text()
		s.must(err)
		value, err := r.Text()
		s.must(err)
		e[string(key)] = string(value)
	}
}

// look remembers the strings of an answer and blots out those of its own.
func (s *side) look(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			s.look(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			s.look(v.Index(i))
		}
	case reflect.Struct:
		for field, f := range v.Fields() {
			if !field.IsExported() {
				continue
			}
			text, _ := reflect.TypeAssert[*string](f)
			if text == nil {
				s.look(f)
				continue
			}
			s.seen[field.Name] = *text
			if own[field.Name] {
				*text = "of this server"
			}
		}
	default:
	}
}

// step is a request of a day in the life of a server.
type step struct {
	operation, body string
	works           bool // it does something, if the operation is emulated
}

// day asks every operation for something, most of which works.
var day = []step{
	{"CreateStream", `{"StreamName":"s","ShardCount":2,"Tags":{"a":"1","b":""}}`, true},
	{"CreateStream", `{"StreamName":"s","ShardCount":2}`, false},
	{"CreateStream", `{"StreamName":"o","StreamModeDetails":{"StreamMode":"ON_DEMAND"}}`, true},
	{"ListStreams", `{"Limit":1}`, true},
	{"ListStreams", `{"NextToken":"${NextToken}"}`, true},
	{"DescribeStream", `{"StreamName":"s","Limit":1}`, true},
	{"DescribeStream", `{"StreamName":"none"}`, false},
	{"DescribeStream", `{"StreamARN":"${StreamARN}","ExclusiveStartShardId":"${ShardId}"}`, true},
	{"DescribeStreamSummary", `{"StreamName":"s"}`, true},
	{"PutRecord", `{"StreamName":"s","PartitionKey":"ключ \u0000\"","Data":"AP8=","ExplicitHashKey":"0"}`, true},
	{"PutRecord", `{"StreamName":"s","PartitionKey":"b","Data":"","ExplicitHashKey":"1","SequenceNumberForOrdering":"${SequenceNumber}"}`, true},
	{"PutRecord", `{"StreamName":"s","PartitionKey":"b","Data":"YQ==","DryRun":true}`, false},
	{"PutRecord", `{"StreamName":"s","PartitionKey":"b","Data":"YQ==","ExplicitHashKey":"999999999999999999999999999999999999999"}`, false},
	{"PutRecords", `{"StreamName":"s","Records":[{"PartitionKey":"a","Data":"YWI=","ExplicitHashKey":"0"},{"PartitionKey":"b","Data":""},{"PartitionKey":"c","Data":"/////w=="}]}`, true},
	{"PutRecords", `{"StreamName":"s","Records":[{"PartitionKey":"a","Data":"YWI="},{"Data":"YWI=","ExplicitHashKey":"x"}]}`, false},
	{"GetShardIterator", `{"StreamName":"s","ShardId":"shardId-000000000000","ShardIteratorType":"TRIM_HORIZON"}`, true},
	{"GetRecords", `{"ShardIterator":"${ShardIterator}","Limit":2}`, true},
	{"GetRecords", `{"ShardIterator":"${NextShardIterator}"}`, true},
	{"GetRecords", `{"ShardIterator":"\"${NextShardIterator}\""}`, true},
	{"GetRecords", `{"ShardIterator":"x"}`, false},
	{"GetShardIterator", `{"StreamName":"s","ShardId":"0","ShardIteratorType":"AT_SEQUENCE_NUMBER","StartingSequenceNumber":"${SequenceNumber}"}`, true},
	{"GetShardIterator", `{"StreamName":"s","ShardId":"0","ShardIteratorType":"AT_TIMESTAMP","Timestamp":946684799.5}`, true},
	{"GetRecords", `{"ShardIterator":"${ShardIterator}"}`, true},
	{"GetShardIterator", `{"StreamName":"s","ShardId":"0","ShardIteratorType":"AT_TIMESTAMP","Timestamp":9466848000}`, false},
	{"GetShardIterator", `{"StreamName":"s","ShardId":"7","ShardIteratorType":"LATEST"}`, false},

	{"IncreaseStreamRetentionPeriod", `{"StreamName":"s","RetentionPeriodHours":48}`, true},
	{"IncreaseStreamRetentionPeriod", `{"StreamName":"s","RetentionPeriodHours":8761}`, false},
	{"DecreaseStreamRetentionPeriod", `{"StreamName":"s","RetentionPeriodHours":24}`, true},
	{"AddTagsToStream", `{"StreamName":"s","Tags":{"c":"3"}}`, true},
	{"RemoveTagsFromStream", `{"StreamName":"s","TagKeys":["a"]}`, true},
	{"ListTagsForStream", `{"StreamName":"s","Limit":1}`, true},
	{"TagResource", `{"ResourceARN":"${StreamARN}","Tags":{"d":"4"}}`, true},
	{"UntagResource", `{"ResourceARN":"${StreamARN}","TagKeys":["c"]}`, true},
	{"ListTagsForResource", `{"ResourceARN":"${StreamARN}"}`, true},
	{"RegisterStreamConsumer", `{"StreamARN":"${StreamARN}","ConsumerName":"c"}`, true},
	{"DescribeStreamConsumer", `{"StreamARN":"${StreamARN}","ConsumerName":"c"}`, true},
	{"ListStreamConsumers", `{"StreamARN":"${StreamARN}"}`, true},
	{"SubscribeToShard", `{"ConsumerARN":"${ConsumerARN}","ShardId":"shardId-000000000009","StartingPosition":{"Type":"LATEST"}}`, false}, // one that works never ends
	{"DeregisterStreamConsumer", `{"ConsumerARN":"${ConsumerARN}"}`, true},
	{"StartStreamEncryption", `{"StreamName":"s","EncryptionType":"KMS","KeyId":"alias/aws/kinesis"}`, true},
	{"PutRecord", `{"StreamName":"s","PartitionKey":"b","Data":"YQ==","ExplicitHashKey":"0"}`, true},
	{"PutRecords", `{"StreamName":"s","Records":[{"PartitionKey":"b","Data":"YQ==","ExplicitHashKey":"0"}]}`, true},
	{"GetRecords", `{"ShardIterator":"${ShardIterator}"}`, true},
	{"StopStreamEncryption", `{"StreamName":"s","EncryptionType":"KMS","KeyId":"alias/aws/kinesis"}`, true},
	{"EnableEnhancedMonitoring", `{"StreamName":"s","ShardLevelMetrics":["IncomingBytes","OutgoingBytes"]}`, true},
	{"DisableEnhancedMonitoring", `{"StreamName":"s","ShardLevelMetrics":["ALL"]}`, true},
	{"UpdateMaxRecordSize", `{"StreamARN":"${StreamARN}","MaxRecordSizeInKiB":2048}`, true},
	{"PutResourcePolicy", `{"ResourceARN":"${StreamARN}","Policy":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"000000000000\"},\"Action\":\"kinesis:PutRecord\",\"Resource\":\"${StreamARN}\"}]}"}`, true},
	{"GetResourcePolicy", `{"ResourceARN":"${StreamARN}"}`, true},
	{"DeleteResourcePolicy", `{"ResourceARN":"${StreamARN}"}`, true},
	{"DescribeLimits", `{}`, true},
	{"DescribeAccountSettings", `{}`, true},

	{"SplitShard", `{"StreamName":"s","ShardToSplit":"shardId-000000000000","NewStartingHashKey":"1000"}`, true},
	{"SplitShard", `{"StreamName":"s","ShardToSplit":"shardId-000000000000","NewStartingHashKey":"1000"}`, false},
	{"GetRecords", `{"ShardIterator":"${ShardIterator}"}`, true}, // the end of a shard, with children
	{"MergeShards", `{"StreamName":"s","ShardToMerge":"shardId-000000000002","AdjacentShardToMerge":"shardId-000000000003"}`, true},
	{"UpdateShardCount", `{"StreamName":"s","TargetShardCount":4,"ScalingType":"UNIFORM_SCALING"}`, true},
	{"ListShards", `{"StreamName":"s","MaxResults":3}`, true},
	{"ListShards", `{"NextToken":"${NextToken}"}`, true},
	{"ListShards", `{"StreamName":"s","ShardFilter":{"Type":"AT_TIMESTAMP","Timestamp":946684800}}`, true},
	{"ListShards", `{"StreamName":"s","StreamCreationTimestamp":1}`, false},

	{"UpdateStreamMode", `{"StreamARN":"${StreamARN}","StreamModeDetails":{"StreamMode":"ON_DEMAND"}}`, true},
	{"UpdateStreamRecordDistributionStrategy", `{"StreamARN":"${StreamARN}","RecordDistributionStrategy":"AUTO"}`, true},
	{"PutRecord", `{"StreamName":"s","Data":"YQ=="}`, true},
	{"GetShardIterator", `{"StreamName":"s","ShardId":"${ShardId}","ShardIteratorType":"TRIM_HORIZON"}`, true},
	{"GetRecords", `{"ShardIterator":"${ShardIterator}"}`, true},
	{"UpdateAccountSettings", `{"MinimumThroughputBillingCommitment":{"Status":"ENABLED"}}`, true},
	{"UpdateStreamWarmThroughput", `{"StreamName":"o","WarmThroughputMiBps":100}`, true},
	{"CreateChannel", `{"ChannelName":"c","ServiceExecutionRoleARN":"arn:aws:iam::000000000000:role/r","StreamConfigurationList":[{"StreamARN":"${StreamARN}"}]}`, false},
	{"CreateChannel", `{"ChannelName":"c","ServiceExecutionRoleARN":"arn:aws:iam::000000000000:role/r",` +
		`"StreamConfigurationList":[{"StreamARN":"${StreamARN}","RecordConfiguration":{"RecordFormatType":"JSON"}}],` +
		`"LoggingConfiguration":{"CloudWatchLogs":{"Enabled":true}},"S3DestinationConfiguration":{"DataFreshnessInSeconds":300,` +
		`"StorageConfiguration":{"BucketARN":"arn:aws:s3:::lake","ExpectedBucketOwner":"000000000000","CompressionType":"GZIP"}}}`, true},
	{"UpdateChannel", `{"ChannelARN":"${ChannelARN}","S3DestinationConfiguration":{"DataFreshnessInSeconds":900}}`, true},
	{"UpdateChannel", `{"ChannelARN":"${ChannelARN}"}`, false},
	{"DescribeChannel", `{"ChannelARN":"${ChannelARN}"}`, true},
	{"ListChannels", `{"MaxResults":1,"StreamFilter":[{"StreamARN":"${StreamARN}"}]}`, true},
	{"ListChannels", `{"StreamFilter":[{"StreamARN":"${StreamARN}","StreamCreationTimestamp":946684800}]}`, true},
	{"DeleteStream", `{"StreamName":"o"}`, false},
	{"DeleteChannel", `{"ChannelARN":"${ChannelARN}"}`, true},
	{"DescribeChannel", `{"ChannelARN":"arn:aws:kinesis:us-east-1:000000000000:channel/none"}`, false},
	{"DeleteStream", `{"StreamName":"o"}`, true},
	{"DeleteStream", `{"StreamName":"o"}`, false},
}

// The same request in either encoding does the same and has the same answer,
// for every operation: when it works, and when it does not.
func TestBothEncodingsSayTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pair{T: t}
		for i, e := range []wire.Encoding{wire.AsJSON, wire.AsCBOR} {
			p.sides[i] = &side{start(t, 0), e, map[string]string{}}
		}
		ops := operationsByName()
		asked := map[string]bool{}
		for _, s := range day {
			op := ops[s.operation]
			asked[op.name] = true
			status, answer := p.ask(op, s.body)
			if works := status == http.StatusOK; works != s.works {
				t.Errorf("%s %s: %d %s", s.operation, s.body, status, show(answer))
			}
		}
		requests := wiretest.Requests(t)
		for _, name := range slices.Sorted(maps.Keys(ops)) {
			op := ops[name]
			if !asked[name] {
				t.Errorf("nothing in the day of the server asks for %s", name)
			}
			p.ask(op, "{}")
			if body, ok := requests[name]; ok {
				p.ask(op, string(body))
			}
			p.wrong(op, op.input, "%s")
		}
	})
}

// wrong puts values of every type in the place of every member. The body has a
// place for the struct t.
func (p *pair) wrong(op *operation, t reflect.Type, body string) {
	p.Helper()
	for f := range t.Fields() {
		if !f.IsExported() {
			continue
		}
		inside := strings.Replace(body, "%s", `{"`+f.Name+`":%s}`, 1)
		member := f.Type
		for member.Kind() == reflect.Pointer || member.Kind() == reflect.Slice && member.Elem().Kind() != reflect.Uint8 {
			if member.Kind() == reflect.Slice {
				inside = strings.Replace(inside, "%s", `[%s]`, 1)
			}
			member = member.Elem()
		}
		for _, value := range []string{"true", "-7.5", "1e300", `"%"`, "[]", "{}", "[{}]", `{"":1}`, "null"} {
			deep := strings.Count(inside, "{") + strings.Count(inside, "[") + 2
			if value[0] == '"' && member.Kind() == reflect.Slice || value == "[{}]" && deep > 8 {
				continue // base64 is of JSON alone, and so is such depth
			}
			p.ask(op, strings.Replace(body, "%s", `{"`+f.Name+`":`+value+`}`, 1))
			p.ask(op, strings.Replace(inside, "%s", value, 1))
		}
		if member.Kind() == reflect.Struct && strings.Contains(member.PkgPath(), "kinesis") {
			p.wrong(op, member, inside)
		}
	}
}

// What messages repeat of a request is UTF-8 in CBOR too, or clients fail to read
// the error, wherever a long value is cut, and whatever is in a header.
func TestErrorsOfCBORAreUTF8(t *testing.T) {
	h := start(t, 1)
	long := strings.Repeat("é", 1500)
	for name, body := range map[string][]byte{
		"a value that is too long":  cbor.AppendText(cbor.AppendText(cbor.AppendMap(nil, 1), "StreamName"), "a"+long),
		"a value of the wrong type": cbor.AppendText(cbor.AppendText(cbor.AppendMap(nil, 1), "EnforceConsumerDeletion"), "a"+long),
	} {
		status, answer := h.send(wire.AsCBOR, "DeleteStream", body)
		if status != http.StatusBadRequest || !wire.AsCBOR.Valid(answer) {
			t.Errorf("%s: status %d, %q", name, status, answer)
		}
	}
	for _, header := range []string{"Authorization", "X-Amz-Date"} {
		r := httptest.NewRequest(http.MethodPost, "http://localhost/", bytes.NewReader([]byte{0xa0}))
		r.Header.Set("Content-Type", contentCBOR)
		r.Header.Set("X-Amz-Target", targetPrefix+"ListStreams")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 \xff")
		r.Header.Set(header, "\xff")
		w := httptest.NewRecorder()
		h.server.serveHTTP(w, r)
		if answer := w.Body.Bytes(); w.Code != http.StatusBadRequest || !wire.AsCBOR.Valid(answer) {
			t.Errorf("%s: status %d, %q", header, w.Code, answer)
		}
	}
}
