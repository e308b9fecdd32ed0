package wire

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
)

// frames decodes frames with the SDK's decoder, as headers and payload.
func frames(t *testing.T, b []byte) []string {
	t.Helper()
	var out []string
	for r := bytes.NewReader(b); r.Len() > 0; {
		m, err := eventstream.NewDecoder().Decode(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, h := range m.Headers {
			text += fmt.Sprintf("%s=%s ", h.Name, h.Value)
		}
		out = append(out, text+string(m.Payload))
	}
	return out
}

// Frames, one after the other in one buffer, are what the SDK decodes, and what
// it encodes.
func TestFrames(t *testing.T) {
	large := bytes.Repeat([]byte("x"), 14<<20)
	b := EndFrame(append(BeginEvent(nil, "initial-response", "application/json"), "{}"...), 0)
	second := len(b)
	b = EndFrame(append(BeginException(b, "ResourceInUseException", "application/x-amz-cbor-1.1"), `{"message":"m"}`...), second)
	third := len(b)
	b = EndFrame(BeginEvent(b, "empty", ""), third)
	fourth := len(b)
	b = EndFrame(append(BeginEvent(b, "large", "x"), large...), fourth)
	want := []string{
		":event-type=initial-response :content-type=application/json :message-type=event {}",
		`:exception-type=ResourceInUseException :content-type=application/x-amz-cbor-1.1 :message-type=exception {"message":"m"}`,
		":event-type=empty :content-type= :message-type=event ",
		":event-type=large :content-type=x :message-type=event " + string(large),
	}
	got := frames(t, b)
	if len(got) != len(want) {
		t.Fatalf("%d frames, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("frame %d: %.200s, want %.200s", i, got[i], want[i])
		}
	}
	var sdk bytes.Buffer
	err := eventstream.NewEncoder().Encode(&sdk, eventstream.Message{
		Headers: eventstream.Headers{
			{Name: ":event-type", Value: eventstream.StringValue("initial-response")},
			{Name: ":content-type", Value: eventstream.StringValue("application/json")},
			{Name: ":message-type", Value: eventstream.StringValue("event")},
		}, Payload: []byte("{}"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(sdk.Bytes(), b[:second]) {
		t.Errorf("got\n%x, the SDK encodes\n%x", b[:second], sdk.Bytes())
	}
}

// A buffer that is large enough already is all that an event needs.
func TestEventsAreEncodedInPlace(t *testing.T) {
	e := &ShardEvent{Continuation: []byte("49"), Behind: 7}
	for range 100 {
		e.Records = append(e.Records, Record{Sequence: []byte("48"), Arrival: 1, Key: "k", Data: make([]byte, 1000)})
	}
	buf := make([]byte, 0, 1<<20)
	allocs := testing.AllocsPerRun(100, func() {
		b := EndFrame(e.AppendJSON(BeginEvent(buf[:0], "SubscribeToShardEvent", "application/json")), 0)
		if &b[0] != &buf[:1][0] {
			t.Fatal("another buffer")
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations for an event", allocs)
	}
}
