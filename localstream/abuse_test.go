package localstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A client that is slow to begin, with TLS or with a request, does not keep its
// connection, and no number of them keeps a file open.
func TestSlowBeginningsAreCutOff(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a real time-out")
	}
	t.Parallel()
	s := NewT(t, generated(Config{}))
	addr := strings.TrimPrefix(secureURL(t, s), "https://")
	for name, begin := range map[string]func(t *testing.T, conn net.Conn) net.Conn{
		"nothing at all": func(_ *testing.T, conn net.Conn) net.Conn { return conn },
		"half of a hello": func(t *testing.T, conn net.Conn) net.Conn {
			if _, err := conn.Write([]byte("\x16\x03\x01\x02\x00\x01")); err != nil {
				t.Error(err)
			}
			return conn
		},
		"no request": func(t *testing.T, conn net.Conn) net.Conn {
			secure := tls.Client(conn, &tls.Config{RootCAs: pool(t, s), ServerName: "localhost"})
			if err := secure.HandshakeContext(t.Context()); err != nil {
				t.Error(err)
			}
			return secure
		},
		"half of a request": func(t *testing.T, conn net.Conn) net.Conn {
			secure := tls.Client(conn, &tls.Config{RootCAs: pool(t, s), ServerName: "localhost"})
			if _, err := secure.Write([]byte("POST / HTTP/1.1\r\nHost: localhost\r\nX-")); err != nil {
				t.Error(err)
			}
			return secure
		},
		"headers without an end": func(t *testing.T, conn net.Conn) net.Conn {
			secure := tls.Client(conn, &tls.Config{RootCAs: pool(t, s), ServerName: "localhost"})
			_, err := secure.Write([]byte("POST / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + strings.Repeat("x", 2*maxHeaderBytes)))
			if err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				t.Error(err)
			}
			return secure
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(3 * headerTimeout)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, begin(t, conn)); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection was still open")
			}
		})
	}
}

// Connections that end badly, in every way, leave no file open.
func TestBadConnectionsLeaveNoFileOpen(t *testing.T) {
	const files = "/proc/self/fd"
	if _, err := os.Stat(files); err != nil {
		t.Skip("files cannot be counted here")
	}
	count := func() int {
		entries, err := os.ReadDir(files)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	s := NewT(t, generated(Config{}))
	before := count()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln) }()
	for i := range 300 {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		switch i % 5 {
		case 0:
		case 1:
			_, err = conn.Write([]byte("\x16\x03\x01"))
		case 2:
			_, err = conn.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
		case 3:
			secure := tls.Client(conn, &tls.Config{RootCAs: pool(t, s), ServerName: "localhost"})
			_, err = secure.Write([]byte("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"))
		case 4:
			secure := tls.Client(conn, &tls.Config{ServerName: "localhost"})
			if secure.HandshakeContext(ctx) == nil {
				t.Error("a stranger trusts the server")
			}
		}
		if err != nil {
			t.Error(err)
		}
		if i%2 == 0 {
			if err := conn.(*net.TCPConn).SetLinger(0); err != nil { // ends with a reset
				t.Error(err)
			}
		}
		conn.Close()
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if after := count(); after > before {
		t.Errorf("%d files are open, %d were before", after, before)
	}
}

// A peer has its share of the connections, and others have theirs.
func TestAPeerHasItsShareOfTheConnections(t *testing.T) {
	peer := func(addr string) net.Conn {
		client, server := net.Pipe()
		t.Cleanup(func() { client.Close(); server.Close() })
		return &peerConn{Conn: server, addr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr))}
	}
	first, second, third := peer("10.0.0.1:1"), peer("10.0.0.1:2"), peer("10.0.0.1:3")
	other, again := peer("[2001:db8::1]:1"), peer("10.0.0.1:4")
	queue := make(chan net.Conn, 5) // as many as there are
	for _, c := range []net.Conn{first, second, third, other, again} {
		queue <- c
	}
	l := &limitListener{Listener: queued(queue), slots: make(chan struct{}, 10), peers: newHeadcount(2)}
	accept := func(want net.Conn) net.Conn {
		t.Helper()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if c.(*limitedConn).Conn != want {
			t.Errorf("accepted %v, want %v", c.RemoteAddr(), want.RemoteAddr())
		}
		return c
	}
	accepted := accept(first)
	accept(second)
	accept(other) // and the third is closed
	if _, err := third.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a connection above the share is open: %v", err)
	}
	accepted.Close()
	accepted.Close() // gives its place back once
	accept(again)
	equal(t, "places taken", len(l.slots), 3)
}

// peerConn is a connection from an address.
type peerConn struct {
	net.Conn
	addr net.Addr
}

func (c *peerConn) RemoteAddr() net.Addr { return c.addr }

// queued is a listener of connections that are there already.
type queued chan net.Conn

func (q queued) Accept() (net.Conn, error) { return <-q, nil }
func (q queued) Close() error              { return nil }
func (q queued) Addr() net.Addr            { return &net.TCPAddr{} }

// A peer has its share of the requests that run, in this process there is no
// limit, and what ended counts no more.
func TestAPeerHasItsShareOfTheRequests(t *testing.T) {
	h := start(t, 1)
	h.server.peers.most = 2
	release := make(chan struct{})
	entered := make(chan struct{})
	send := func(addr string, body io.Reader) int {
		r := httptest.NewRequest(http.MethodPost, "http://localhost/", body)
		r.RemoteAddr = addr
		for name, value := range map[string]string{"Content-Type": contentJSON, "X-Amz-Target": listStreams, "Authorization": auth, "X-Amz-Date": "x"} {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		h.server.serveHTTP(w, r)
		return w.Code
	}
	results := make(chan int, 2) // of the two
	for range 2 {
		go func() { results <- send("10.0.0.1:1", &heldUp{entered: entered, release: release, text: "{}"}) }()
		<-entered
	}
	equal(t, "a third request", send("10.0.0.1:2", strings.NewReader("{}")), http.StatusServiceUnavailable)
	equal(t, "another peer", send("10.0.0.2:2", strings.NewReader("{}")), http.StatusOK)
	h.put("k", "in process")
	close(release)
	equal(t, "the first two", []int{<-results, <-results}, []int{200, 200})
	equal(t, "a request after them", send("10.0.0.1:2", strings.NewReader("{}")), http.StatusOK)
	equal(t, "peers that are counted", len(h.server.peers.has), 0)
}

// heldUp is a body that comes when it is released.
type heldUp struct {
	entered, release chan struct{}
	text             string
}

func (b *heldUp) Read(p []byte) (int, error) {
	if b.entered != nil {
		b.entered <- struct{}{}
		b.entered = nil
		<-b.release
		return copy(p, b.text), io.EOF
	}
	return 0, io.EOF
}

func TestPeers(t *testing.T) {
	for remote, want := range map[string]string{
		"10.1.2.3:4": "10.1.2.3/32", "[::ffff:10.1.2.3]:4": "10.1.2.3/32", "[2001:db8:1:2:3:4:5:6]:7": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:1": "fe80::/64", "in-process": "invalid Prefix", "": "invalid Prefix", "@": "invalid Prefix",
	} {
		equal(t, remote, peerOf(remote), want)
	}
}
