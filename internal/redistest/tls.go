package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// Authority makes the certificates of a test.
type Authority struct {
	// Pool has the certificate of the authority alone, and File is a file of it.
	Pool *x509.CertPool
	File string

	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes an authority with a certificate of its own.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{Pool: x509.NewCertPool(), t: t, dir: t.TempDir()}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a.key = key
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.Pool.AddCert(a.cert)
	a.File = a.write("ca.pem", "CERTIFICATE", der)
	return a
}

// Certificate is a new certificate for 127.0.0.1, of a server and of a client.
func (a *Authority) Certificate() tls.Certificate {
	a.t.Helper()
	certFile, keyFile := a.Issue("client")
	out, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		a.t.Fatal(err)
	}
	return out
}

// Issue writes a new certificate for 127.0.0.1 and its key to files.
func (a *Authority) Issue(name string) (certFile, keyFile string) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(name+".pem", "CERTIFICATE", der), a.write(name+".key", "PRIVATE KEY", secret)
}

func (a *Authority) write(name, kind string, der []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// StartTLS starts a server that speaks TLS alone and wants a certificate of the
// authority from its clients. A server that was built without TLS skips the test.
func (a *Authority) StartTLS(settings ...string) *Process {
	a.t.Helper()
	certFile, keyFile := a.Issue("server")
	secure := &tls.Config{RootCAs: a.Pool, Certificates: []tls.Certificate{a.Certificate()}, MinVersion: tls.VersionTLS12}
	p, err := start(a.t, secure, append([]string{
		"--tls-cert-file", certFile, "--tls-key-file", keyFile, "--tls-ca-cert-file", a.File, "--tls-auth-clients", "yes",
	}, settings...))
	if err != nil && noTLS.MatchString(err.Error()) {
		a.t.Skipf("%s was built without TLS; install one that has it (Debian, Ubuntu: apt-get install redis-server)", program(a.t))
	}
	if err != nil {
		a.t.Fatal(err)
	}
	return p
}

// noTLS is what servers without TLS say of its settings: 7 and later, and 6.2.
var noTLS = regexp.MustCompile(`finding TLS support|(?s)'tls-port .*Bad directive|'tls-[a-z-]+ [^']*'\nBad directive`)
