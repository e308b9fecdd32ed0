package localstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdkstream "github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/internal/awscbor"
	"github.com/shardrun/shardrun/internal/cbor"
)

// A client that closes its stream ends the subscription, though nothing is to be
// sent, and so does one whose context ends.
func TestClientsEndSubscriptions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		f := h.subscribe(h.register("c"), "0", fromLatest)
		f.next()
		h.must(f.stream.Close())
		ctx, cancel := context.WithCancel(t.Context())
		arn := h.register("d")
		out, err := h.client.SubscribeToShard(ctx, &kinesis.SubscribeToShardInput{ConsumerARN: &arn, ShardId: new("0"), StartingPosition: &fromLatest})
		h.must(err)
		<-out.GetStream().Events()
		cancel()
		if _, ok := <-out.GetStream().Events(); ok || !errors.Is(out.GetStream().Err(), context.Canceled) {
			t.Errorf("after the end of the context: %v", out.GetStream().Err())
		}
		began := time.Now()
		synctest.Wait()
		h.must(h.server.Close())
		equal(t, "Close waited for", time.Since(began), time.Duration(0))
	})
}

// Close ends subscriptions at once, and one that is not read after two seconds.
func TestCloseEndsSubscriptions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		idle := h.subscribe(h.register("c"), "0", fromLatest)
		idle.next()
		began := time.Now()
		h.must(h.server.Close())
		equal(t, "with one that is read it took", time.Since(began), time.Duration(0))
		idle.wantEnd("", "")

		h = start(t, 1)
		for range 3 {
			h.put("k", strings.Repeat("x", 1<<20-1))
		}
		stuck := h.subscribe(h.register("c"), "0", fromHorizon)
		synctest.Wait()
		began = time.Now()
		h.must(h.server.Close())
		equal(t, "with one that is not read it took", time.Since(began), closingPatience)
		if _, err := stuck.ends(); err != nil {
			t.Error(err) // the SDK takes a stream that was cut for one that has ended
		}
	})
}

// overNetwork are the ways to a server that are not in process.
var overNetwork = map[string]func(o *kinesis.Options){
	"HTTP/1.1": func(o *kinesis.Options) { o.HTTPClient = httpClient((*http.Protocols).SetHTTP1) },
	"HTTP/2":   func(o *kinesis.Options) { o.HTTPClient = httpClient((*http.Protocols).SetUnencryptedHTTP2) },
	"HTTP/2, CBOR": func(o *kinesis.Options) {
		o.HTTPClient = httpClient((*http.Protocols).SetUnencryptedHTTP2)
		awscbor.Use(o)
	},
}

// oneProtocol is an HTTP client of one protocol. It hides the WriteTo of the SDK's
// request bodies, which net/http may call after the SDK has closed them, and
// then takes for a connection that has failed.
type oneProtocol struct{ http.Transport }

func httpClient(set func(p *http.Protocols, to bool)) *oneProtocol {
	c := &oneProtocol{}
	c.Protocols = new(http.Protocols)
	set(c.Protocols, true)
	return c
}

func (c *oneProtocol) Do(r *http.Request) (*http.Response, error) {
	r.Body = struct{ io.ReadCloser }{r.Body}
	return c.RoundTrip(r)
}

// A hundred subscriptions on one server, over sockets: each gets every record of
// its shard, in order and once.
func TestAHundredSubscriptionsOverSockets(t *testing.T) {
	for name, option := range overNetwork {
		t.Run(name, func(t *testing.T) {
			h := start(t, 5)
			arns := []string{}
			for i := range 20 {
				arns = append(arns, h.register(fmt.Sprint("c", i)))
			}
			puts := h.client
			_, h.client = socket(t, h.server, option)
			followers := map[int][]*follower{}
			for shard := range 5 {
				for _, arn := range arns {
					f := h.subscribe(arn, fmt.Sprint(shard), fromLatest)
					f.next()
					followers[shard] = append(followers[shard], f)
				}
			}
			h.client = puts
			want := map[int][]string{}
			for i := range 50 {
				shard := i % 5
				from := new(big.Int).Div(new(big.Int).Mul(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(int64(2*shard+1))), big.NewInt(10))
				h.putAt(from.String(), fmt.Sprint(i))
				want[shard] = append(want[shard], fmt.Sprint(i))
			}
			for shard, all := range followers {
				for _, f := range all {
					got := []string{}
					for len(got) < len(want[shard]) {
						got = append(got, dataOf(f.next().Records)...)
					}
					equal(t, fmt.Sprint("shard ", shard), got, want[shard])
				}
			}
			for _, all := range followers {
				for _, f := range all {
					f.stream.Close()
				}
			}
		})
	}
}

// A connection that breaks takes its subscription with it on the server too, and
// the last continuation number leads on.
func TestABrokenConnectionEndsItsSubscription(t *testing.T) {
	for name, option := range overNetwork {
		t.Run(name, func(t *testing.T) {
			h := start(t, 1)
			first, second := h.register("c"), h.register("d")
			puts := h.client
			var mu sync.Mutex // guards conns
			var conns []net.Conn
			_, h.client = socket(t, h.server, option, func(o *kinesis.Options) {
				o.HTTPClient.(*oneProtocol).DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
					conn, err := new(net.Dialer).DialContext(ctx, network, addr)
					mu.Lock()
					defer mu.Unlock()
					conns = append(conns, conn)
					return conn, err
				}
			})
			f := h.subscribe(first, "0", fromLatest)
			f.next()
			if _, err := puts.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: new("s"), PartitionKey: new("k"), Data: []byte("a")}); err != nil {
				t.Fatal(err)
			}
			e := f.want("a")
			mu.Lock()
			for _, conn := range conns {
				conn.Close()
			}
			mu.Unlock()
			if _, err := f.ends(); err == nil {
				t.Error("the client sees no error")
			}
			if _, err := puts.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: new("s"), PartitionKey: new("k"), Data: []byte("b")}); err != nil {
				t.Fatal(err)
			}
			h.subscribe(second, "0", fromAfter(*e.ContinuationSequenceNumber)).want("b")
			h.must(h.server.Close()) // which waits for all subscriptions
		})
	}
}

// Serve ends with its subscriptions, without waiting for them.
func TestServeEndsItsSubscriptions(t *testing.T) {
	for name, option := range overNetwork {
		t.Run(name, func(t *testing.T) {
			h := start(t, 1)
			arn := h.register("c")
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			h.must(err)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			served := make(chan error, 1)
			go func() { served <- h.server.Serve(ctx, ln) }()
			h.client = h.server.Client(noRetry, option, func(o *kinesis.Options) { o.BaseEndpoint = new("http://" + ln.Addr().String()) })
			f := h.subscribe(arn, "0", fromLatest)
			f.next()
			began := time.Now()
			cancel()
			h.must(<-served)
			if took := time.Since(began); took > shutdownTimeout/2 {
				t.Errorf("Serve took %v to end", took)
			}
			if data, err := f.ends(); len(data) > 0 || err != nil {
				t.Errorf("the stream ended with %v, %v", data, err)
			}
		})
	}
}

// rawSubscribe sends a request of SubscribeToShard without the SDK.
func (h *harness) rawSubscribe(contentType string, body []byte) *http.Response {
	h.Helper()
	req, err := http.NewRequestWithContext(h.Context(), http.MethodPost, "http://localhost/", bytes.NewReader(body))
	h.must(err)
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("X-Amz-Target", targetPrefix+"SubscribeToShard")
	req.Header.Set("X-Amz-Date", "20260101T000000Z")
	req.Header.Set("Authorization", auth)
	resp, err := h.server.HTTPClient().Do(req)
	h.must(err)
	return resp
}

// A request in CBOR is answered in frames of CBOR, errors in the stream
// included.
func TestASubscriptionInCBOR(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		arn := h.register("c")
		number := *h.put("k", "data").SequenceNumber
		body := cbor.AppendMap(nil, 3)
		body = cbor.AppendText(cbor.AppendText(body, "ConsumerARN"), arn)
		body = cbor.AppendText(cbor.AppendText(body, "ShardId"), "0")
		body = cbor.AppendMap(cbor.AppendText(body, "StartingPosition"), 1)
		body = cbor.AppendText(cbor.AppendText(body, "Type"), "TRIM_HORIZON")
		resp := h.rawSubscribe(contentCBOR, body)
		defer resp.Body.Close()
		equal(t, "status and type", fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Content-Type")), "200 application/vnd.amazon.eventstream")
		frame := func(kind string) string {
			t.Helper()
			m, err := sdkstream.NewDecoder().Decode(resp.Body, nil)
			h.must(err)
			equal(t, "kind", m.Headers[0].Value.String(), kind)
			equal(t, "content type", m.Headers.Get(":content-type").String(), contentCBOR)
			return string(m.Payload)
		}
		equal(t, "first", frame("initial-response"), "\xa0")
		event := frame("SubscribeToShardEvent")
		for _, part := range []string{"ContinuationSequenceNumber\x78\x38" + number, "Data\x44data", "MillisBehindLatest\x00"} {
			if !strings.Contains(event, part) {
				t.Errorf("%q is not in %q", part, event)
			}
		}
		h.deregister(arn)
		if e := frame("ResourceNotFoundException"); !strings.HasPrefix(e, "\xa1\x67message\x78") {
			t.Errorf("error %q", e)
		}
		if _, err := io.ReadAll(resp.Body); err != nil {
			t.Error(err)
		}
	})
}
