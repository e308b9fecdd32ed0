package localstream

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener of connections in memory, for a bubble.
type pipes struct {
	queue  chan net.Conn // not buffered: dial waits for Accept
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{queue: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.queue <- server
	return client
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.queue:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// How long a client may take with each thing it does, to the second.
func TestHowLongAClientMayTake(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + contentJSON + "\r\nX-Amz-Target: " + targetPrefix
	signed := "\r\nX-Amz-Date: x\r\nAuthorization: " + auth
	for name, tt := range map[string]struct {
		send string // and then nothing
		read bool   // one answer
		want time.Duration
	}{
		"to begin":                          {"", false, headerTimeout},
		"to send the headers":               {head, false, headerTimeout},
		"to send a body":                    {head + "ListStreams" + signed + "\r\nContent-Length: 10\r\n\r\n{", true, patience(defaultBodyBytes) + closingPatience},
		"to send a large body":              {head + "PutRecords" + signed + "\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", false, patience(recordsBodyBytes)},
		"to send a body without a key":      {head + "PutRecords" + "\r\nContent-Length: 10\r\n\r\n{", false, patience(unsignedBodyBytes) + closingPatience},
		"between requests":                  {"GET " + HealthPath + " HTTP/1.1\r\nHost: localhost\r\n\r\n", true, idleTimeout},
		"to send the body of a refusal":     {"PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{", true, restPatience},
		"to end after the last answer":      {"GET " + HealthPath + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", true, 0},
		"to send the body that is too long": {head + "ListStreams" + signed + "\r\nContent-Length: 99999999\r\n\r\n{", true, 0},
		"to send a compressed body":         {head + "ListStreams" + signed + "\r\nContent-Encoding: gzip\r\nContent-Length: 10\r\n\r\n{", true, restPatience},
		"to send a body of no operation":    {head + "Nothing" + signed + "\r\nContent-Length: 10\r\n\r\n{", false, patience(defaultBodyBytes) + closingPatience},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, TLS %v", name, secure), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cfg := Config{}
					if secure {
						cfg = generated(cfg)
					}
					h := open(t, Config{Durability: Memory, TLS: cfg.TLS})
					listener := newPipes()
					served := make(chan error, 1)
					go func() { served <- h.server.Serve(t.Context(), listener) }()
					began := time.Now()
					conn := listener.dial()
					h.must(conn.SetReadDeadline(began.Add(time.Hour))) // rather than for ever
					if secure && tt.send != "" {
						conn = tls.Client(conn, &tls.Config{RootCAs: pool(t, h.server), ServerName: "localhost"})
					}
					if tt.send != "" {
						_, err := io.WriteString(conn, tt.send)
						h.must(err)
					}
					reader := bufio.NewReader(conn)
					if tt.read {
						resp, err := http.ReadResponse(reader, nil)
						h.must(err)
						_, err = io.Copy(io.Discard, resp.Body)
						h.must(err)
						resp.Body.Close()
					}
					_, err := io.Copy(io.Discard, reader)
					if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !strings.Contains(err.Error(), "closed pipe") {
						t.Error(err)
					}
					// net/http lets a connection linger for half a second.
					if took := time.Since(began).Truncate(time.Second); took != tt.want {
						t.Errorf("cut off after %v, want %v", took, tt.want)
					}
					h.must(h.server.Close())
					listener.Close()
					if err := <-served; !errors.Is(err, net.ErrClosed) {
						t.Error(err)
					}
				})
			})
		}
	}
}

// A client that does not take its answer is cut off.
func TestHowLongAClientMayTakeToRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, Config{Durability: Memory})
		listener := newPipes()
		served := make(chan error, 1)
		go func() { served <- h.server.Serve(t.Context(), listener) }()
		conn := listener.dial()
		began := time.Now()
		_, err := io.WriteString(conn, "GET "+HealthPath+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
		h.must(err)
		time.Sleep(transferGrace - time.Second)
		_, err = conn.Read(make([]byte, 1)) // still there
		h.must(err)
		time.Sleep(2 * time.Second)
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Log(err)
		}
		equal(t, "cut off after", time.Since(began), transferGrace+time.Second)
		listener.Close()
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		h.must(h.server.Close())
	})
}

// On HTTP/2 too a client gets a time for its whole body, however it sends it, and
// one for its headers. The other requests of its connection go on.
func TestHowLongAClientOfHTTP2MayTake(t *testing.T) {
	for name, every := range map[string]time.Duration{"nothing comes": 0, "a byte comes each second": time.Second} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := start(t, 0).piped()
				began := time.Now()
				body, feed := io.Pipe()
				fed := make(chan error, 1) // the one error that ends it
				go func() {
					_, err := io.WriteString(feed, "{")
					for err == nil {
						if every == 0 {
							every = time.Hour
						}
						time.Sleep(every)
						_, err = io.WriteString(feed, " ")
					}
					fed <- err
				}()
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/", body)
				h.must(err)
				r.ContentLength = 1 << 16
				r.Header.Set("Content-Type", contentJSON)
				r.Header.Set("X-Amz-Target", targetPrefix+"ListStreams")
				r.Header.Set("X-Amz-Date", "x")
				r.Header.Set("Authorization", auth)
				client := h.client.Options().HTTPClient
				resp, err := client.Do(r)
				h.must(err)
				equal(t, "answer", fmt.Sprint(resp.ProtoMajor, resp.StatusCode), fmt.Sprint(2, http.StatusBadRequest))
				equal(t, "came after", time.Since(began).Truncate(time.Second), patience(defaultBodyBytes))
				resp.Body.Close()
				body.Close()
				if err := <-fed; !errors.Is(err, io.ErrClosedPipe) {
					t.Error(err)
				}
				_, err = h.client.ListStreams(t.Context(), nil)
				h.must(err)
			})
		})
	}
	t.Run("headers without an end", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h := open(t, Config{Durability: Memory})
			listener := newPipes()
			served := make(chan error, 1)
			go func() { served <- h.server.Serve(t.Context(), listener) }()
			conn := listener.dial()
			began := time.Now()
			go func() {
				// The preface, empty settings, and headers of stream 1 that are to go on.
				_, err := io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+"\x00\x00\x00\x04\x00\x00\x00\x00\x00"+"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x83")
				if err != nil {
					t.Error(err)
				}
			}()
			_, err := io.Copy(io.Discard, conn)
			h.must(err)
			if took := time.Since(began); took < idleTimeout || took > idleTimeout+2*time.Second {
				t.Errorf("cut off after %v", took)
			}
			h.must(h.server.Close())
			listener.Close()
			if err := <-served; !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		})
	})
}
