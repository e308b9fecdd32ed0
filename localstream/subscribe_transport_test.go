package localstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdkstream "github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

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

// Faults hit the start of a subscription, or an event in the middle of it, and
// the events of others and other requests not at all.
func TestFaultsOfSubscriptions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 2)
		arn := h.register("c")
		const shard = "shardId-000000000000"
		h.server.Inject(Fault{Operation: "SubscribeToShard", Shard: shard, Action: Fail, Type: typeLimitExceeded, Message: "m"})
		_, err := h.trySubscribe(arn, "0", fromLatest)
		h.wantError(err, typeLimitExceeded, "m")
		h.server.Inject(Fault{Operation: "SubscribeToShard", Action: Drop})
		if _, err := h.trySubscribe(arn, "0", fromLatest); err == nil {
			t.Error("no error from a connection that was cut")
		}
		f, other := h.subscribe(arn, "0", fromLatest), h.subscribe(arn, "1", fromLatest)
		f.next()
		h.server.Inject(Fault{Operation: eventOperation, Shard: shard, Action: Delay, Delay: 2 * time.Second})
		began := time.Now()
		h.putAt("0", "a")
		e := f.want("a")
		equal(t, "came after", time.Since(began), 2*time.Second)
		h.server.Inject(Fault{Operation: eventOperation, Stream: "s", Shard: shard, Action: Drop})
		h.putAt("0", "lost")
		f.wantEnd("", "")

		time.Sleep(takeoverAfter)
		h.server.Inject(Fault{Operation: eventOperation, Shard: shard, Action: LoseReply})
		resp := h.rawSubscribe(contentJSON, fmt.Appendf(nil, `{"ConsumerARN":%q,"ShardId":"0","StartingPosition":{"Type":"LATEST"}}`, arn))
		if b, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) { // the SDK takes this for a good end
			t.Errorf("a stream that was cut ends with %q, %v", b, err)
		}

		time.Sleep(takeoverAfter)
		h.server.Inject(Fault{Operation: eventOperation, Shard: shard, Action: Fail, Type: typeInternal, Message: "disk"})
		f = h.subscribe(arn, "0", fromAfter(*e.ContinuationSequenceNumber))
		f.wantEnd("InternalFailureException", "disk")
		time.Sleep(takeoverAfter)
		h.subscribe(arn, "0", fromAfter(*e.ContinuationSequenceNumber)).want("lost")
		h.server.Inject(Fault{Action: Drop}) // of no operation: the next request, not the next beat
		time.Sleep(20 * time.Second)
		if _, err := h.client.ListStreams(t.Context(), &kinesis.ListStreamsInput{}); err == nil {
			t.Error("the fault hit something else")
		}
		h.putAt("340282366920938463463374607431768211455", "b")
		other.want("b")

		for _, line := range []string{"op=SubscribeToShardEvent,kind=drop", "op=SubscribeToShardEvent,shard=*,kind=error", "op=SubscribeToShard,shard=0"} {
			if _, err := ParseFault(line); err != nil {
				t.Error(err)
			}
		}
	})
}

// An event may be delayed for longer than a client may take to read one.
func TestAnEventIsDelayedForMinutes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 1)
		f := h.piped().subscribe(h.register("c"), "0", fromLatest)
		f.next()
		began := time.Now()
		h.server.Inject(Fault{Operation: eventOperation, Action: Delay, Delay: 2 * subscriberPatience})
		h.put("k", "a")
		f.want("a")
		equal(t, "came after", time.Since(began), 2*subscriberPatience)
	})
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

// Writers, reshards and subscribers at the same time: who follows the shards
// from the first to the last gets every record once, those of a key in the order
// of their puts.
func TestSubscribersUnderLoad(t *testing.T) {
	const keys, perKey = 8, 60
	h := start(t, 2)
	var reading, writing sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	readers := []*reader{}
	for i := range 3 {
		r := &reader{harness: h, ctx: ctx, arn: h.register(fmt.Sprint("c", i)), got: map[string][]int{}, begun: map[string]bool{}, ended: map[string]bool{}}
		readers = append(readers, r)
		for _, shard := range h.shards() {
			r.follow(&reading, *shard.ShardId)
		}
	}
	for key := range keys {
		writing.Go(func() {
			for n := range perKey {
				data, _ := json.Marshal(n)
				if _, err := h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: new("s"), PartitionKey: new(fmt.Sprint("key", key)), Data: data}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 6 {
		_, err := h.client.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{
			StreamName: new("s"), TargetShardCount: new(int32(2 + rng.IntN(2))), ScalingType: types.ScalingTypeUniformScaling})
		h.must(err)
	}
	writing.Wait()
	for _, r := range readers {
		r.wait(keys * perKey)
	}
	cancel()
	reading.Wait()
	for _, r := range readers {
		for key, got := range r.got {
			for i, n := range got {
				if n != i {
					t.Fatalf("%s: record %d in place %d of %v", key, n, i, got)
				}
			}
			equal(t, key, len(got), perKey)
		}
		equal(t, "keys", len(r.got), keys)
	}
}

// reader follows a stream from shard to shard.
type reader struct {
	*harness
	ctx context.Context
	arn string
	// mu guards those below.
	mu     sync.Mutex
	got    map[string][]int
	total  int
	enough chan struct{} // closed once total is at want
	want   int
	begun  map[string]bool
	ended  map[string]bool
}

// wait returns when there are so many records.
func (r *reader) wait(records int) {
	r.mu.Lock()
	r.want, r.enough = records, make(chan struct{})
	done := r.total >= records
	r.mu.Unlock()
	if !done {
		<-r.enough
	}
}

// follow reads a shard to its end, and then the children whose parents it has
// read.
func (r *reader) follow(all *sync.WaitGroup, shard string) {
	all.Go(func() {
		at := fromHorizon
		client := kinesis.New(r.client.Options())
		out, err := client.SubscribeToShard(r.ctx, &kinesis.SubscribeToShardInput{ConsumerARN: &r.arn, ShardId: &shard, StartingPosition: &at})
		if err != nil {
			r.Error(err)
			return
		}
		defer out.GetStream().Close()
		for event := range out.GetStream().Events() {
			e := event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value
			r.take(e.Records)
			if e.ContinuationSequenceNumber == nil {
				for _, child := range r.ready(shard, e.ChildShards) {
					r.follow(all, child)
				}
			}
		}
	})
}

func (r *reader) take(records []types.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rec := range records {
		var n int
		if err := json.Unmarshal(rec.Data, &n); err != nil {
			r.Error(err)
		}
		r.got[*rec.PartitionKey] = append(r.got[*rec.PartitionKey], n)
		r.total++
		if r.enough != nil && r.total == r.want {
			close(r.enough)
		}
	}
}

// ready gives the children that can begin now that a shard has ended.
func (r *reader) ready(shard string, children []types.ChildShard) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended[shard] = true
	var out []string
	for _, c := range children {
		all := !r.begun[*c.ShardId]
		for _, p := range c.ParentShards {
			all = all && r.ended[p]
		}
		if all {
			r.begun[*c.ShardId] = true
			out = append(out, *c.ShardId)
		}
	}
	return out
}
