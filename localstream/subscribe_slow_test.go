package localstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// piped gives a harness whose client reaches the server of h by HTTP/2 over
// connections in memory, as if over a network: for a bubble.
func (h *harness) piped() *harness {
	h.Helper()
	listener := newPipes()
	served := make(chan error, 1)
	go func() { served <- h.server.Serve(context.WithoutCancel(h.Context()), listener) }()
	transport := &http.Transport{Protocols: new(http.Protocols),
		DialContext: func(context.Context, string, string) (net.Conn, error) { return listener.dial(), nil }}
	transport.Protocols.SetUnencryptedHTTP2(true)
	h.Cleanup(func() {
		transport.CloseIdleConnections()
		listener.Close()
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			h.Error(err)
		}
	})
	options := h.client.Options()
	options.HTTPClient = &http.Client{Transport: transport}
	return &harness{T: h.T, server: h.server, client: kinesis.New(options)}
}

// A client on the network that does not read holds up nobody, and is cut off
// after a minute, with the memory for one event.
func TestASlowReaderHoldsUpNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		slow := h.piped().subscribe(h.register("slow"), "0", fromHorizon)
		fast := h.subscribe(h.register("fast"), "0", fromHorizon)
		data := strings.Repeat("x", 1<<20-100)
		began := time.Now()
		for i := range 20 {
			h.put("k", fmt.Sprint(i, " ", data))
			if got := dataOf(fast.want1()); len(got) != 1 || !strings.HasPrefix(got[0], fmt.Sprint(i, " ")) {
				t.Fatalf("event %d is another", i)
			}
		}
		equal(t, "20 puts and events took", time.Since(began), time.Duration(0))
		synctest.Wait()
		h.server.inFlight.mu.Lock()
		held := maxInFlight - h.server.inFlight.left
		h.server.inFlight.mu.Unlock()
		if record := int64(len(data)); held < 2*record || held > 3*record { // an event has at least one
			t.Errorf("the slow one holds %d bytes", held)
		}
		time.Sleep(subscriberPatience - time.Second)
		h.server.inFlight.mu.Lock()
		equal(t, "held just before its time is up", maxInFlight-h.server.inFlight.left, held)
		h.server.inFlight.mu.Unlock()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		h.server.inFlight.mu.Lock()
		equal(t, "held once it is", maxInFlight-h.server.inFlight.left, 0)
		h.server.inFlight.mu.Unlock()
		got, _ := slow.ends()
		if len(got) >= 20 {
			t.Errorf("the slow one still got %d records", len(got))
		}
	})
}

// A client in the process may be busy with an event for as long as its
// subscription lives, and misses nothing.
func TestASlowReaderInTheProcessIsNotCutOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		slow := h.subscribe(h.register("slow"), "0", fromHorizon)
		var want []string
		for i := range 5 {
			want = append(want, fmt.Sprint(i))
			h.put("k", want[i])
			synctest.Wait() // so that each is an event
		}
		time.Sleep(subscriptionLife - time.Second)
		got, err := slow.ends()
		h.must(err)
		equal(t, "records", got, want)
	})
}

// want1 reads to the next event with records and gives those.
func (f *follower) want1() []types.Record {
	f.Helper()
	for {
		if e := f.next(); len(e.Records) > 0 {
			return e.Records
		}
	}
}
