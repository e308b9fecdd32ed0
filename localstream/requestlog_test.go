package localstream

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// watched gives a server that logs from a level on, and its log.
func watched(t *testing.T, level zapcore.Level) (*harness, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(level)
	return start(t, 1, Config{Logger: zap.New(core)}), logs
}

// says gives the fields of the only line with this message.
func says(t *testing.T, logs *observer.ObservedLogs, message string) map[string]any {
	t.Helper()
	lines := logs.FilterMessage(message).TakeAll()
	if len(lines) != 1 {
		t.Fatalf("%d lines %q, want 1: %v", len(lines), message, lines)
	}
	logs.TakeAll()
	return lines[0].ContextMap()
}

// At the level debug each request is a line: what it was about, what became of
// it, and the id that its client knows it by.
func TestRequestsAreLoggedAtDebug(t *testing.T) {
	h, logs := watched(t, zap.DebugLevel)
	url, _ := socket(t, h.server)
	h.client = h.server.plainClient(noRetry, func(o *kinesis.Options) { o.Region = "eu-west-1" })
	header := map[string]string{"Content-Type": contentJSON, "X-Amz-Target": targetPrefix + "ListShards", "Authorization": auth, "X-Amz-Date": "x"}
	changed := func(name, value string) map[string]string {
		other := map[string]string{name: value}
		for n, v := range header {
			if n != name {
				other[n] = v
			}
		}
		return other
	}
	stream := `{"StreamName":"s"}`
	for _, tt := range []struct {
		name    string
		request request
		inject  *Fault
		want    map[string]any
	}{
		{"a request that works", request{header: header, body: stream}, nil,
			map[string]any{"operation": "ListShards", "stream": "s", "account": "000000000000", "region": "us-east-1", "status": int64(200)}},
		{"an error", request{header: header, body: `{"StreamName":"other"}`}, nil,
			map[string]any{"operation": "ListShards", "stream": "other", "status": int64(400), "error": typeNotFound}},
		{"an error before the operation", request{header: changed("Authorization", ""), body: stream}, nil,
			map[string]any{"operation": "ListShards", "stream": "", "status": int64(400), "error": "MissingAuthenticationTokenException"}},
		{"an unknown operation", request{header: changed("X-Amz-Target", "x"), body: stream}, nil,
			map[string]any{"operation": "unknown", "status": int64(400), "error": typeUnknownOperation}},
		{"a wrong content type", request{header: changed("Content-Type", "text/plain"), body: stream}, nil,
			map[string]any{"operation": "ListShards", "status": int64(404), "error": typeUnknownOperation}},
		{"another protocol", request{header: changed("Content-Type", contentOld), body: stream}, nil,
			map[string]any{"status": int64(200), "error": typeUnknownOperation}},
		{"no protocol", request{header: changed("Content-Type", ""), body: stream}, nil,
			map[string]any{"status": int64(403), "error": typeAccessDenied}},
		{"nothing at all", request{header: changed("Content-Type", "")}, nil,
			map[string]any{"status": int64(400), "error": typeSerialization}},
		{"a fault", request{header: header, body: stream}, &Fault{},
			map[string]any{"stream": "s", "status": int64(400), "error": typeThroughput}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			logs.TakeAll()
			if tt.inject != nil {
				h.server.Inject(*tt.inject)
			}
			resp, _ := do(t, url, tt.request)
			line := says(t, logs, "request")
			for name, want := range tt.want {
				equal(t, name, line[name], want)
			}
			equal(t, "request id", line["request_id"], resp.Header.Get("x-amzn-RequestId"))
			if took, ok := line["took"].(time.Duration); !ok || took <= 0 {
				t.Errorf("took %v", line["took"])
			}
		})
	}
	h.server.Inject(Fault{Action: Drop})
	if _, err := h.client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("s")}); err == nil {
		t.Error("a request that is dropped was answered")
	}
	line := says(t, logs, "request")
	equal(t, "error of one that is dropped", line["error"], errDropped.Error())
	equal(t, "status of one that is dropped", line["status"], nil)
}

// A subscription is one line, at its end.
func TestASubscriptionIsLoggedAtItsEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, logs := watched(t, zap.DebugLevel)
		f := h.subscribe(h.register("c"), "0", fromLatest)
		f.next()
		logs.TakeAll()
		h.server.Inject(Fault{Operation: eventOperation, Action: Fail, Type: typeLimitExceeded})
		time.Sleep(subscriptionBeat)
		f.wantEnd("LimitExceededException", "")
		pass(0)
		line := says(t, logs, "request")
		equal(t, "operation", line["operation"], "SubscribeToShard")
		equal(t, "error", line["error"], typeLimitExceeded)
		equal(t, "took", line["took"], subscriptionBeat)
	})
}

// What a fault does is in the log, and so is which request failed.
func TestFaultsAndFailuresAreLogged(t *testing.T) {
	h, logs := watched(t, zap.InfoLevel)
	h.server.Inject(Fault{Operation: "PutRecord", Action: Fail, Message: "disk", Count: 2})
	logs.TakeAll()
	_, err := h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: []byte("x")})
	h.wantError(err, typeInternal, "disk")
	lines := logs.All()
	failed := says(t, logs, "request failed")
	equal(t, "operation", failed["operation"], "PutRecord")
	equal(t, "stream", failed["stream"], "s")
	if id, _ := failed["request_id"].(string); len(id) != 36 || !strings.Contains(err.Error(), id) {
		t.Errorf("request id %q, and the client has %v", id, err)
	}
	if len(lines) != 2 || lines[0].Message != "an injected fault happens" {
		t.Fatalf("lines: %v", lines)
	}
	equal(t, "fault", lines[0].ContextMap(), "map[kind:error left:1 operation:PutRecord shard: stream:s]")
}

// Nobody pays for lines that nobody wants.
func TestWithoutDebugARequestIsNotTimed(t *testing.T) {
	h, logs := watched(t, zap.InfoLevel)
	logs.TakeAll()
	h.put("k", "x")
	equal(t, "lines", logs.Len(), 0)
	c, header := &call{server: h.server}, http.Header{}
	if n := testing.AllocsPerRun(100, func() { c.log(header, h.server.began()) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
