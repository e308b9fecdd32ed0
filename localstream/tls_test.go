package localstream

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/internal/vfs"
)

// generated is the configuration of a server that makes its certificates.
func generated(cfg Config) Config {
	cfg.TLS = &tls.Config{}
	return cfg
}

// pool is what trusts a server, and nobody else.
func pool(t *testing.T, s *Server) *x509.CertPool {
	t.Helper()
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(s.CA()) {
		t.Fatalf("CA is %q", s.CA())
	}
	return p
}

// trusting is an HTTP client that trusts a server.
func trusting(t *testing.T, s *Server, protocols *http.Protocols, change ...func(*tls.Config)) *http.Client {
	t.Helper()
	cfg := &tls.Config{RootCAs: pool(t, s)}
	for _, f := range change {
		f(cfg)
	}
	transport := &http.Transport{TLSClientConfig: cfg, Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func protocols(http2 bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(!http2)
	p.SetHTTP2(http2)
	return p
}

// secureURL serves a server with TLS, and gives the URL that its names are for.
func secureURL(t *testing.T, s *Server) string {
	t.Helper()
	url, _ := socket(t, s)
	return strings.Replace(url, "http://", "https://", 1)
}

// Clients that trust the authority talk HTTPS, in both versions of HTTP, with
// signatures that are verified.
func TestTLSWithAGeneratedCertificate(t *testing.T) {
	s := NewT(t, generated(verifying()))
	url := secureURL(t, s)
	for _, name := range []string{"127.0.0.1", "localhost"} {
		for _, http2 := range []bool{false, true} {
			client := trusting(t, s, protocols(http2))
			api := kinesis.New(kinesis.Options{
				Region: "us-east-1", BaseEndpoint: aws.String(strings.Replace(url, "127.0.0.1", name, 1)), HTTPClient: client, Retryer: aws.NopRetryer{},
				Credentials: credentials.NewStaticCredentialsProvider(accessKey, accessSecret, ""),
			})
			h := &harness{T: t, server: s, client: api}
			h.create(fmt.Sprintf("s-%s-%v", name, http2), 1)
			resp, err := client.Get(url + "/")
			h.must(err)
			b, err := io.ReadAll(resp.Body)
			h.must(err)
			resp.Body.Close()
			equal(t, "GET /", fmt.Sprint(resp.StatusCode, string(b)), fmt.Sprint(403, deniedXML))
			equal(t, "HTTP/2", resp.ProtoMajor == 2, http2)
		}
	}
}

// On a port with TLS there is nothing else, and nothing older than TLS 1.2.
func TestATLSPortSpeaksNothingElse(t *testing.T) {
	s := NewT(t, generated(Config{}))
	url := secureURL(t, s)
	resp, err := http.Get(strings.Replace(url, "https", "http", 1) + HealthPath)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	equal(t, "plain HTTP", resp.StatusCode, http.StatusBadRequest)
	old := trusting(t, s, protocols(false), func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })
	if _, err := old.Get(url + HealthPath); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.1: %v", err)
	}
	stranger := &http.Client{Transport: &http.Transport{}}
	if _, err := stranger.Get(url + HealthPath); err == nil {
		t.Error("the certificate is trusted by everybody")
	}
}

// A certificate that the user brings is used as it is.
func TestTLSWithACertificateOfTheUser(t *testing.T) {
	other := NewT(t, generated(Config{AllowHosts: []string{"kinesis.test"}}))
	own, err := other.authority.issue(namesOf([]string{"kinesis.test"}), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{*own}}
	s := NewT(t, Config{TLS: cfg, AllowHosts: []string{"kinesis.test"}})
	if s.CA() != nil {
		t.Error("there is an authority that nothing is signed by")
	}
	url := secureURL(t, s)
	client := trusting(t, other, protocols(true), func(c *tls.Config) { c.ServerName = "kinesis.test" })
	resp, err := client.Get(url + HealthPath)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if cfg.MinVersion != 0 || cfg.NextProtos != nil {
		t.Error("the configuration of the user was changed")
	}
}

// The authority is the same after a restart, in a file for its owner alone, and
// another one when it ends soon or has to vouch for more names.
func TestTheAuthorityIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	ca := func(hosts ...string) string {
		h := open(t, generated(Config{DataDir: dir, AllowHosts: hosts}))
		defer func() { h.must(h.server.Close()) }()
		return string(h.server.CA())
	}
	first := ca("a.test")
	equal(t, "after a restart", ca("a.test"), first)
	equal(t, "with fewer names", ca(), first)
	equal(t, "with an address", ca("A.TEST", "10.1.2.3"), first)
	more := ca("a.test", "b.test")
	if more == first {
		t.Error("the authority of other names is kept")
	}
	equal(t, "with more names, after a restart", ca("a.test", "b.test"), more)
	path := filepath.Join(dir, authorityName)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	if block, _ := pem.Decode([]byte(more)); block == nil || strings.Contains(more, "PRIVATE") {
		t.Error("CA is not a certificate, or more than that")
	}
	for _, damage := range []string{"", "hello", more} {
		if err := os.WriteFile(path, []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(generated(Config{DataDir: dir})); err == nil || !strings.Contains(err.Error(), authorityName) {
			t.Errorf("with %.10q in the file: %v", damage, err)
		}
	}
	if h := open(t, Config{DataDir: dir}); h.server.CA() != nil {
		t.Error("a server without TLS has an authority")
	}
}

// In memory there is no file.
func TestTheAuthorityOfAServerInMemoryIsInMemory(t *testing.T) {
	t.Chdir(t.TempDir())
	a, b := NewT(t, generated(Config{})), NewT(t, generated(Config{}))
	if string(a.CA()) == string(b.CA()) {
		t.Error("two servers have one authority")
	}
	if entries, err := os.ReadDir("."); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

// The authority can vouch for names of the server and nobody else's.
func TestTheAuthorityVouchesForItsNamesOnly(t *testing.T) {
	s := NewT(t, generated(Config{AllowHosts: []string{"kinesis.test", "10.1.2.3"}}))
	for name, good := range map[string]bool{"localhost": true, "kinesis.test": true, "10.1.2.3": true, "127.0.0.1": true, "evil.example": false, "test": false} {
		cert, err := s.authority.issue(certificateNames{dns: []string{name}}, time.Now())
		if ip := net.ParseIP(name); ip != nil {
			cert, err = s.authority.issue(certificateNames{ips: []net.IP{ip}}, time.Now())
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = cert.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: pool(t, s)})
		if good != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(generated(Config{Durability: Memory, AllowHosts: []string{"häuser.test"}})); err == nil || !strings.Contains(err.Error(), "häuser.test") {
		t.Errorf("a name that no certificate can have: %v", err)
	}
}

// A listener on all interfaces has a certificate for all of their addresses.
func TestTheCertificateIsForTheAddressOfTheListener(t *testing.T) {
	s := NewT(t, generated(Config{AllowHosts: []string{"kinesis.test"}}))
	for listen, want := range map[string][]string{
		"10.9.8.7:1": {"10.9.8.7", "127.0.0.1", "::1", "localhost", "kinesis.test"},
		"0.0.0.0:1":  {"127.0.0.1", "::1", "localhost", "kinesis.test"},
	} {
		addr, err := net.ResolveTCPAddr("tcp", listen)
		if err != nil {
			t.Fatal(err)
		}
		if addr.IP.IsUnspecified() {
			interfaces, err := net.InterfaceAddrs()
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range interfaces {
				want = append(want, a.(*net.IPNet).IP.String())
			}
		}
		cfg, err := s.tlsConfig(addr)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := cfg.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range want {
			if err := cert.Leaf.VerifyHostname(name); err != nil {
				t.Errorf("on %s: %v", listen, err)
			}
		}
	}
}

// Certificates are renewed before they end, that of a listener while it runs.
func TestCertificatesAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMemory()
		cfg := generated(Config{fs: disk})
		h := open(t, cfg)
		ca := h.server.CA()
		conf, err := h.server.tlsConfig(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		h.must(err)
		var serials []string
		for range 10 {
			cert, err := conf.GetCertificate(nil)
			h.must(err)
			_, err = cert.Leaf.Verify(x509.VerifyOptions{DNSName: "localhost", Roots: pool(t, h.server), CurrentTime: time.Now()})
			h.must(err)
			if left := time.Until(cert.Leaf.NotAfter); left < leafRenew {
				t.Errorf("a certificate has only %v left", left)
			}
			serials = append(serials, cert.Leaf.SerialNumber.String())
			time.Sleep(leafRenew)
		}
		equal(t, "certificates in ten months", len(slices.Compact(serials)), 5)
		h.must(h.server.Close())
		time.Sleep(9 * 365 * 24 * time.Hour / 2)
		h = open(t, cfg)
		equal(t, "authority after five years", string(h.server.CA()), string(ca))
		h.must(h.server.Close())
		time.Sleep(authorityLife / 2)
		h = open(t, cfg)
		if string(h.server.CA()) == string(ca) {
			t.Error("the authority is about to end, and was kept")
		}
		h.must(h.server.Close())
	})
}

// A crash while the authority is written leaves the one before, or the new one,
// or none, but nothing that keeps the server from opening.
func TestAnAuthorityIsWrittenInOneStep(t *testing.T) {
	counting := vfs.Fault(vfs.NewCrash(), vfs.Plan{})
	if _, _, err := openAuthority(counting, namesOf(nil), time.Now()); err != nil {
		t.Fatal(err)
	}
	changes := counting.Changes()
	for _, kind := range vfs.FaultKinds() {
		for at := 1; at <= changes; at++ {
			disk := vfs.NewCrash()
			_, _, err := openAuthority(vfs.Fault(disk, vfs.Plan{Kind: kind, At: at}), namesOf(nil), time.Now())
			crashed := disk.CrashClone(rand.New(rand.NewPCG(uint64(at), uint64(kind))))
			again, _, after := openAuthority(crashed, namesOf(nil), time.Now())
			if after != nil || again == nil {
				t.Errorf("%v at %d: first %v, then %v", kind, at, err, after)
			}
		}
	}
}
