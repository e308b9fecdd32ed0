package localstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
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
	if err != nil || string(b) != "body of the answer" || resp.StatusCode != http.StatusTeapot || resp.Header.Get("X") != "y" || resp.ContentLength != int64(len(b)) {
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
	if _, body := do(t, url, request{method: "GET", path: healthPath}); !strings.Contains(body, `"status":"closing"`) {
		t.Errorf("health page %s", body)
	}
	if _, err := h.server.Records("s"); err == nil {
		t.Error("a closed server gives records")
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
