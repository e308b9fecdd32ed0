package localstream

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/wire"
)

// A request whose bytes find no room waits for it, and after a while is told
// to come again. One that only needs little is not held up for ever by one that
// needs much.
func TestRequestsWaitForRoom(t *testing.T) {
	const room = 4 << 20
	for name, call := range map[string]func(h *harness, iterator string) error{
		"a large body": func(h *harness, _ string) error {
			_, err := h.client.PutRecord(h.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: make([]byte, 1<<20-1)})
			return err
		},
		"a large page": func(h *harness, iterator string) error {
			out, err := h.client.GetRecords(h.Context(), &kinesis.GetRecordsInput{ShardIterator: &iterator})
			if err == nil && len(out.Records) == 0 {
				h.Error("an empty page")
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := start(t, 1, Config{maxInFlight: room})
				h.put("k", strings.Repeat("x", 1<<20-1))
				it := h.iterator("0", types.ShardIteratorTypeTrimHorizon)
				others := &share{server: h.server}
				h.must(others.resize(t.Context(), room-64<<10))
				began := time.Now()
				h.wantError(call(h, it), typeUnavailable, "the server has its hands full with the bytes of other requests")
				equal(t, "waited for", time.Since(began), roomPatience)
				h.put("k", "there is room for this")

				var wg sync.WaitGroup
				wg.Go(func() {
					if err := call(h, it); err != nil {
						t.Error(err)
					}
				})
				time.Sleep(roomPatience / 2)
				others.free()
				wg.Wait()
				equal(t, "room in the end", h.server.inFlight.left, room)
			})
		})
	}
}

// The budget goes to who came first, in full; who gives up lets those behind
// it pass.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(10)
		if !b.try(claim{bytes: 8}) || b.try(claim{bytes: 3}) {
			t.Fatal("8 of 10 fit, and 3 more do not")
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		states := []string{"waits", "waits", "waits"}
		for i, w := range []struct {
			ctx   context.Context
			bytes int64
		}{{ctx, 9}, {t.Context(), 2}, {t.Context(), 5}} {
			go func() {
				states[i] = map[bool]string{true: "has it", false: "gave up"}[b.take(w.ctx, claim{bytes: w.bytes})]
			}()
			synctest.Wait()
		}
		if b.try(claim{bytes: 1}) {
			t.Error("who comes now overtakes those that wait")
		}
		cancel()
		synctest.Wait()
		equal(t, "once the first gave up", states, "[gave up has it waits]")
		b.give(netip.Prefix{}, 8)
		synctest.Wait()
		equal(t, "once there is room", states, "[gave up has it has it]")
		equal(t, "left", b.left, 3)
	})
}

// A peer gets no more than its part, and is in nobody's way when it wants more.
func TestBudgetOfAPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(20)
		one, two := netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("10.0.0.2/32")
		if !b.try(claim{peer: one, bytes: 12}) {
			t.Fatal("the only request of a peer has no bound but the whole")
		}
		b.give(one, 4)
		states := []string{"waits", "waits", "waits", "waits"}
		wait := func(i int, c claim) {
			go func() {
				if b.take(t.Context(), c) {
					states[i] = "has it"
				}
			}()
			synctest.Wait()
		}
		wait(0, claim{peer: one, bytes: 3})
		wait(1, claim{peer: one, bytes: 1})
		if b.try(claim{peer: one, bytes: 2}) {
			t.Error("a request overtakes another one of its peer")
		}
		if !b.try(claim{peer: two, bytes: 2}) {
			t.Error("a peer waits for the part of another one")
		}
		wait(2, claim{peer: two, bytes: 8})
		equal(t, "while one has its part", states, "[waits waits has it waits]")
		wait(3, claim{bytes: 3})
		if b.try(claim{bytes: 1}) {
			t.Error("who comes now overtakes one that waits for what all share")
		}
		b.give(one, 8)
		synctest.Wait()
		equal(t, "in the end", states, "[has it has it has it has it]")
		b.give(one, 4)
		b.give(two, 10)
		b.give(netip.Prefix{}, 3)
		equal(t, "left", b.left, 20)
		equal(t, "peers", len(b.held), 0)
	})
}

// Bodies ask for room for all of them before they are read: those that have
// arrived in part do not wait for one another.
func TestLargeBodiesComeOneAfterTheOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const room = 10 << 20
		h := start(t, 1, Config{maxInFlight: room})
		listener := newPipes()
		served := make(chan error, 1)
		ctx, stop := context.WithCancel(t.Context())
		go func() { served <- h.server.Serve(ctx, listener) }()
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return listener.dial(), nil }}
		client := h.server.Client(func(o *kinesis.Options) {
			o.HTTPClient, o.Retryer = &http.Client{Transport: transport}, aws.NopRetryer{}
		})
		in := &kinesis.PutRecordsInput{StreamName: aws.String("s")}
		for range 3 {
			in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String("k"), Data: make([]byte, 1<<20-1)})
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := client.PutRecords(t.Context(), in); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		equal(t, "room in the end", h.server.inFlight.left, room)
		transport.CloseIdleConnections()
		stop()
		h.must(<-served)
	})
}

// What is counted of a page is what it takes, however small its records are.
func TestPagesOfSmallRecordsAreCounted(t *testing.T) {
	h := start(t, 1)
	entries := make([]types.PutRecordsRequestEntry, maxRecordsPerPut)
	for i := range entries {
		entries[i] = types.PutRecordsRequestEntry{PartitionKey: aws.String("k"), Data: []byte("x")}
	}
	for range 4 {
		_, err := h.client.PutRecords(h.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("s"), Records: entries})
		h.must(err)
	}
	for _, st := range *h.server.catalog.Load() {
		sh, _ := st.view.Load().Shard(0)
		c := &call{server: h.server, share: &share{server: h.server}}
		h.must(c.readPage(t.Context(), st, sh, 0, 0, maxRecordsPerGet))
		equal(t, "records", len(c.page.Records), 4*maxRecordsPerPut)
		if least := int64(4 * maxRecordsPerPut * recordMemory); c.share.bytes < least {
			t.Errorf("%d bytes are counted, at least %d are held", c.share.bytes, least)
		}
		c.page.Free()
		c.share.free()
	}
}

// A request does not hold the memory of a larger one before it, unless it is
// counted.
func TestASmallRequestHoldsNoLargeBuffers(t *testing.T) {
	h := start(t, 0)
	for range 100 { // the pools of the race detector forget at random
		h.server.putBuffers(&buffers{request: wire.Buffers{Body: make([]byte, 0, 4<<20)}})
	}
	sh := &share{server: h.server}
	for _, tt := range []struct{ announced, body, counted int64 }{
		{1000, 0, 0}, {-1, 0, 0}, {1<<20 - 1, 0, 0}, {4 << 20, 4 << 20, 4 << 20},
	} {
		b := h.server.takeBuffers(sh, tt.announced)
		equal(t, "room for the body", cap(b.request.Body), int(tt.body))
		h.must(sh.resize(t.Context(), 1))
		equal(t, "counted", sh.bytes, max(1, tt.counted))
		sh.free()
	}
	others := &share{server: h.server}
	h.must(others.resize(t.Context(), maxInFlight-1<<20))
	equal(t, "room where there is none", cap(h.server.takeBuffers(sh, 4<<20).request.Body), 0)
}

// A server that closes lets nobody wait for room.
func TestCloseEndsTheWaitForRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1, Config{maxInFlight: 1 << 10})
		others := &share{server: h.server}
		h.must(others.resize(t.Context(), 1<<10))
		var wg sync.WaitGroup
		wg.Go(func() {
			if status, answer := h.raw("ListStreams", "{}"); status != http.StatusServiceUnavailable {
				t.Errorf("got %d %s", status, answer)
			}
		})
		synctest.Wait()
		began := time.Now()
		h.must(h.server.Close())
		wg.Wait()
		equal(t, "waited for", time.Since(began), time.Duration(0))
	})
}
