package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go/middleware"

	"github.com/shardrun/shardrun/internal/awscbor"
)

// deadPeer is after what time a client's kernel gives up a connection on which
// nothing comes back.
const deadPeer = 20 * time.Second

// What package net says of a connection that was broken, and of a server that
// is not there.
var (
	errReset   error = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	errRefused error = &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
)

// link carries the requests of one node to the Kinesis server. It is the HTTP
// client of an SDK client.
type link struct {
	world *world
	node  *node
	name  string // of the link, as the weather knows it
}

// client is an SDK client of a node. It talks what the node talks.
func (w *world) client(n *node) *kinesis.Client {
	var options []func(*kinesis.Options)
	if w.plan.speaksCBOR(n.name) {
		options = append(options, awscbor.Use)
		w.reach("client talks CBOR")
	} else {
		w.reach("client talks JSON")
	}
	return kinesis.New(kinesis.Options{
		Region:                     "us-east-1",
		EndpointResolverV2:         atHome{},
		Credentials:                credentials.NewStaticCredentialsProvider("000000000000", "local", ""),
		HTTPSignerV4:               signsInForm{},
		APIOptions:                 []func(*middleware.Stack) error{v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware},
		HTTPClient:                 &link{world: w, node: n, name: n.name + ">kinesis"},
		DisableClockSkewCorrection: true,
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			// As the SDK's, but of this run's randomness.
			o.Backoff = retry.BackoffDelayerFunc(func(attempt int, err error) (time.Duration, error) {
				if !n.alive() {
					return 0, nil // nobody sees it
				}
				dice := w.source.dice(key(n.name, "backoff", err.Error()))
				pause := w.source.until(dice, 0, min(time.Second<<attempt, 20*time.Second))
				w.source.tell("%s pauses %v after attempt %d: %v", n.name, pause, attempt, err)
				return pause, nil
			})
		}),
	}, options...)
}

// Do sends a request. What was sent arrives also when the caller has given up.
func (l *link) Do(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		req.Body.Close()
	}
	w := l.world
	op := strings.TrimPrefix(req.Header.Get("X-Amz-Target"), "Kinesis_20131202.")
	what := key(l.name, op, string(body))
	if !l.node.wakes(ctx, w.source, what) {
		return nil, l.gone(ctx)
	}
	w.source.acts(l.node.name)
	m := &message{link: l, op: op, key: what, header: req.Header.Clone(), body: body, answer: make(chan answer, 1)}
	defer m.giveUp()
	m.dice = w.source.dice(what)
	m.rates = w.weather.on(l.name)
	w.source.tell("%s sends %s %x", l.name, op, key(string(body)))
	m.fate, m.twice = m.rates.draw(m.dice)
	w.happened(m.rates.causes(m.fate)...)
	m.there = l.delay(m.rates, m.dice)
	w.work.Go(func() { m.travel(w.life) })
	// Two requests that left at one instant are not given up at one.
	patience := time.NewTimer(w.source.until(m.dice, deadPeer, deadPeer+time.Second))
	defer patience.Stop()
	var a answer
	select {
	case a = <-m.answer:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-patience.C:
		return nil, errReset
	case <-l.node.died:
		return nil, l.gone(ctx)
	}
	if !l.node.wakes(ctx, w.source, what) {
		a.leave(true)
		return nil, l.gone(ctx)
	}
	if a.response != nil {
		a.response.Request = req
		a.lasts(ctx)
	}
	return a.response, a.err
}

func (l *link) delay(r rates, dice *rand.Rand) time.Duration {
	least, most := r.bounds(dice)
	return l.world.source.until(dice, l.node.stretch(least), l.node.stretch(most))
}

// gone is what a node that has crashed is told. It lets its goroutines end;
// nobody sees what they do.
func (l *link) gone(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return errDead
}

// message is a request on its way.
type message struct {
	link   *link
	op     string
	key    uint64 // of what is sent, and by whom
	header http.Header
	body   []byte
	dice   *rand.Rand
	rates  rates
	fate   fate
	twice  bool
	there  time.Duration
	answer chan answer // holds one

	mu   sync.Mutex // guards gone
	gone bool       // the caller has given up, or has its answer
}

type answer struct {
	response *http.Response
	err      error
}

// deliver gives the answer to the caller, unless nobody waits for it any more.
func (m *message) deliver(a answer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone {
		a.leave(true)
		return
	}
	m.answer <- a
}

// giveUp stops waiting for the answer, if there was none.
func (m *message) giveUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gone = true
	select {
	case a := <-m.answer:
		a.leave(true)
	default:
	}
}

// travel takes the message to the server and its answer back.
func (m *message) travel(life context.Context) {
	w := m.link.world
	if !sleep(life, m.there) {
		m.deliver(answer{err: life.Err()})
		return
	}
	switch m.fate {
	case isLost:
		return // the caller's patience ends
	case breaksBefore:
		m.deliver(answer{err: errReset})
		return
	}
	a := m.arrive(life)
	if m.twice && !errors.Is(a.err, errRefused) { // of what nobody took nothing was sent that can come again
		again := w.source.until(m.dice, mostDelay, time.Second)
		w.work.Go(func() {
			if sleep(life, again) {
				w.happened(LinkDuplicate)
				m.arrive(life).leave(true) // nobody waits for this answer
			}
		})
	}
	if !sleep(life, m.link.delay(m.rates, m.dice)) {
		a.leave(true)
		a = answer{err: life.Err()}
	}
	if w.weather.on(m.link.name).cut {
		w.happened(LinkCut)
		a.leave(false)
		return
	}
	switch m.fate {
	case losesReply:
		a.leave(false)
		return
	case breaksAfter:
		a.leave(true)
		a = answer{err: errReset}
	}
	m.deliver(a)
}

// arrive has the server handle the request. An answer of a server that has
// crashed meanwhile is not sent.
func (m *message) arrive(life context.Context) answer {
	w := m.link.world
	w.source.acts("kinesis")
	server, crashed := w.kinesis.current()
	if server == nil {
		return answer{err: errRefused}
	}
	req, err := http.NewRequestWithContext(life, http.MethodPost, "http://localhost/", bytes.NewReader(m.body))
	if err != nil {
		return answer{err: err}
	}
	req.Header = m.header.Clone()
	put := span{from: time.Now()}
	resp, err := server.HTTPClient().Do(req)
	switch {
	case err != nil:
	case resp.Header.Get("Content-Type") == contentEvents:
		resp.Body = m.events(resp.Body, crashed)
	default:
		var body []byte
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		put.to = time.Now()
		w.arrivals.answered(m.op, string(body), put)
		resp.Body = io.NopCloser(bytes.NewReader(body))
	}
	if err != nil {
		return answer{err: fmt.Errorf("%w: %w", errReset, err)}
	}
	resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat)) // as net/http does for a server
	select {
	case <-crashed:
		answer{response: resp}.leave(true)
		return answer{err: errReset}
	default:
	}
	if resp.StatusCode != http.StatusOK && w.injected.Load() > 0 {
		w.happened(ServerErrors)
	}
	return answer{response: resp}
}

// sleep waits, and reports whether ctx still goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
