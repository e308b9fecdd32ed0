package localstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// transport is the HTTP client in process, for a handler of the test's own.
func transport(t *testing.T, handler http.HandlerFunc) inProcess {
	t.Helper()
	return inProcess{server: NewT(t), handler: handler}
}

func get(ctx context.Context, t *testing.T, c inProcess) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	return c.Do(req)
}

func TestInProcessAnswer(t *testing.T) {
	c := transport(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X", "y")
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write(append(b, " of the answer"...))
	})
	resp, err := get(t.Context(), t, c)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil || string(b) != "body of the answer" || resp.Status != "418 I'm a teapot" || resp.StatusCode != http.StatusTeapot || resp.Header.Get("X") != "y" || resp.ContentLength != int64(len(b)) {
		t.Errorf("got %d %q, %v", resp.StatusCode, b, err)
	}
}

// An answer that is flushed is streamed: the client has the first part while
// the handler waits, and the handler hears when the client has enough.
func TestInProcessStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		c := transport(t, func(w http.ResponseWriter, r *http.Request) {
			for {
				if _, err := io.WriteString(w, "tick\n"); err != nil {
					ended <- err
					return
				}
				w.(http.Flusher).Flush()
				select {
				case <-time.After(time.Second):
				case <-r.Context().Done():
					ended <- r.Context().Err()
					return
				}
			}
		})
		resp, err := get(t.Context(), t, c)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		b := make([]byte, len("tick\n"))
		for range 4 {
			if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != "tick\n" {
				t.Fatalf("%q, %v", b, err)
			}
		}
		equal(t, "time", time.Since(began), 3*time.Second)
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, context.Canceled) && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the handler ended with %v", err)
		}
	})
}

func TestInProcessStreamEnds(t *testing.T) {
	for _, abort := range []bool{false, true} {
		c := transport(t, func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "all")
			if abort {
				panic(http.ErrAbortHandler)
			}
		})
		resp, err := get(t.Context(), t, c)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if string(b) != "all" || abort != errors.Is(err, io.ErrUnexpectedEOF) || !abort && err != nil {
			t.Errorf("abort %v: got %q, %v", abort, b, err)
		}
	}
}

// A handler that streams does not wait for a client whose context has ended,
// whether that had the answer already, or gave up in that moment or before, and
// whether it closes what it had or not.
func TestInProcessStreamOfAClientThatGaveUp(t *testing.T) {
	for name, c := range map[string]struct{ cancels, flushes time.Duration }{
		"before it had the answer":         {time.Second / 2, time.Second},
		"in the moment in which it had it": {time.Second, time.Second},
		"after it had it":                  {2 * time.Second, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wrote := make(chan error, 1)
				client := transport(t, func(w http.ResponseWriter, _ *http.Request) {
					time.Sleep(c.flushes)
					conn := http.NewResponseController(w)
					_, _ = io.WriteString(w, "first")
					_ = conn.Flush()
					_ = conn.SetWriteDeadline(time.Now().Add(time.Hour))
					_, err := io.WriteString(w, "second")
					wrote <- err
				})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(c.cancels, cancel)
				began := time.Now()
				resp, err := get(ctx, t, client)
				if err == nil {
					defer resp.Body.Close()
				}
				if err := <-wrote; err == nil {
					t.Error("it was taken")
				}
				equal(t, "the handler wrote for", time.Since(began), max(c.cancels, c.flushes))
			})
		})
	}
}

// A client that gives up does not wait for the handler, and the handler sees
// it; Close waits for the handler.
func TestInProcessCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var handled bool
		c := transport(t, func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			time.Sleep(time.Hour)
			handled = true
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if _, err := get(ctx, t, c); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		equal(t, "gave up after", time.Since(began), time.Second)
		if err := c.server.Close(); err != nil {
			t.Fatal(err)
		}
		if !handled {
			t.Error("Close did not wait for the request")
		}
	})
}

func TestClosedServer(t *testing.T) {
	h := start(t, 1)
	url, client := socket(t, h.server)
	h.must(h.server.Close())
	if _, err := h.client.ListStreams(t.Context(), &kinesis.ListStreamsInput{}); err == nil {
		t.Error("a closed server answers in process")
	}
	_, err := client.ListStreams(t.Context(), &kinesis.ListStreamsInput{})
	h.wantError(err, typeUnavailable, "")
	if _, body := do(t, url, request{method: "GET", path: HealthPath}); !strings.Contains(body, `"status":"closing"`) {
		t.Errorf("health page %s", body)
	}
	if _, err := h.server.Records("s"); err == nil {
		t.Error("a closed server gives records")
	}
}

// A client that does not read its answer, or does not send what it announced,
// does not keep the server from closing.
func TestCloseCutsOffSlowClients(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a real time-out")
	}
	t.Parallel()
	for name, slow := range map[string]func(h *harness, conn net.Conn){
		"one that does not read": func(h *harness, conn net.Conn) {
			for range 9 {
				h.put("k", strings.Repeat("x", 1<<20-10))
			}
			h.must(conn.(*net.TCPConn).SetReadBuffer(4096))
			body := fmt.Sprintf(`{"ShardIterator":%q}`, h.iterator("0", types.ShardIteratorTypeTrimHorizon))
			_, err := fmt.Fprintf(conn, slowHead, "GetRecords", auth, len(body), body)
			h.must(err)
		},
		"one that does not read its events": func(h *harness, conn net.Conn) {
			for range 9 {
				h.put("k", strings.Repeat("x", 1<<20-10))
			}
			h.must(conn.(*net.TCPConn).SetReadBuffer(4096))
			body := fmt.Sprintf(`{"ConsumerARN":%q,"ShardId":"0","StartingPosition":{"Type":"TRIM_HORIZON"}}`, h.register("c"))
			_, err := fmt.Fprintf(conn, slowHead, "SubscribeToShard", auth, len(body), body)
			h.must(err)
		},
		"one that does not send": func(h *harness, conn net.Conn) {
			_, err := fmt.Fprintf(conn, slowHead, "PutRecords", auth, 1<<20, `{"StreamName":`)
			h.must(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t, Config{Durability: Memory})
			h.create("s", 1)
			srv := httptest.NewServer(h.server.Handler())
			defer srv.Close()
			conn, err := net.Dial("tcp", srv.Listener.Addr().String())
			h.must(err)
			defer conn.Close()
			slow(h, conn)
			for busy := false; !busy; { // until the server is at it
				time.Sleep(time.Millisecond)
				h.server.inFlight.mu.Lock()
				busy = h.server.inFlight.left < maxInFlight
				h.server.inFlight.mu.Unlock()
			}
			closed := make(chan error, 1)
			go func() { closed <- h.server.Close() }()
			select {
			case err := <-closed:
				h.must(err)
			case <-time.After(closingPatience + 5*time.Second):
				t.Error("Close waits for the client")
			}
		})
	}
}

// slowHead is a request by hand: operation, signature, length and body.
const slowHead = "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: Kinesis_20131202.%s\r\nContent-Type: application/x-amz-json-1.1\r\n" +
	"Authorization: %s\r\nX-Amz-Date: x\r\nContent-Length: %d\r\n\r\n%s"

// When the listener fails Serve ends, and its connections with it.
func TestServeEndsItsConnectionsWhenTheListenerFails(t *testing.T) {
	s := NewT(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(t.Context(), ln) }()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", HealthPath)
	if err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	ln.Close()
	if err := <-served; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve ended with %v", err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := reader.ReadByte(); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection is still there: %v", err)
	}
}

// Close lets requests that run finish, and nothing of what they did is lost.
func TestCloseUnderLoad(t *testing.T) {
	dir := t.TempDir()
	h := open(t, Config{DataDir: dir})
	h.create("s", 2)
	var wg sync.WaitGroup
	acked := make([]int, 4)
	started := make(chan struct{}, len(acked))
	for w := range acked {
		wg.Go(func() {
			for {
				_, err := h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: []byte("x")})
				if err != nil {
					return
				}
				if acked[w]++; acked[w] == 5 {
					started <- struct{}{}
				}
			}
		})
	}
	for range acked {
		<-started
	}
	h.must(h.server.Close())
	wg.Wait()
	h = open(t, Config{DataDir: dir})
	records, err := h.server.Records("s")
	h.must(err)
	equal(t, "records", len(records), acked[0]+acked[1]+acked[2]+acked[3])
}
