package localstream

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// unasking is an HTTP client that speaks HTTP/2 over TLS without saying so in
// the handshake. URLs for it begin with http, as its transport knows of no TLS.
func unasking(t *testing.T, s *Server) *http.Client {
	t.Helper()
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: pool(t, s), ServerName: "localhost"}}
	transport := &http.Transport{Protocols: new(http.Protocols), DialContext: dialer.DialContext}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// KinesisAsyncClient of the AWS SDK for Java, and so the KCL, do not ask whether
// a server over TLS speaks HTTP/2. Their subscriptions end with the server.
func TestHTTP2OverTLSNeedsNoALPN(t *testing.T) {
	s := NewT(t, generated(verifying()))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln) }()
	client := unasking(t, s)
	url := "http://" + ln.Addr().String()
	h := &harness{T: t, server: s, client: kinesis.New(kinesis.Options{
		Region: "us-east-1", BaseEndpoint: &url, HTTPClient: client, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, accessSecret, ""),
	})}
	h.create("s", 1)
	f := h.subscribe(h.register("c"), "0", fromLatest)
	f.next()
	for _, data := range []string{"a", "b", "c"} {
		h.put("k", data)
		f.want(data)
	}
	resp, err := client.Get(url + HealthPath)
	h.must(err)
	_, err = io.Copy(io.Discard, resp.Body)
	h.must(err)
	resp.Body.Close()
	equal(t, "protocol", resp.Proto, "HTTP/2.0")
	began := time.Now()
	stop()
	h.must(<-served)
	if took := time.Since(began); took > shutdownTimeout/2 {
		t.Errorf("it took %v to end", took)
	}
	if _, err := f.ends(); err != nil {
		t.Error(err)
	}
}

// A preface that does not go on as one ends the connection, as does one that
// does not go on at all.
func TestAPrefaceThatIsNone(t *testing.T) {
	s := NewT(t, generated(Config{}))
	addr := strings.TrimPrefix(secureURL(t, s), "https://")
	for _, text := range []string{prefaceHead + "GET / HTTP/1.1\r\n\r\n", prefaceHead + "SM\r\n\r\nno frame", prefaceHead} {
		conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool(t, s), ServerName: "localhost"})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		if text == prefaceHead {
			if err := conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
		}
		if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(conn)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if strings.Contains(string(b), "HTTP/1.1 2") {
			t.Errorf("%q: answered %q", text, b)
		}
	}
}
