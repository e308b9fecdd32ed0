package localstream

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/shardrun/shardrun/internal/vfs"
)

// The file of the certificate authority and its key in the data directory, and
// what it is written as first.
const (
	authorityName = "tls-ca.pem"
	authorityTemp = "tls-ca.pem.new"
)

// How long generated certificates live, and how long before their end they are
// replaced.
const (
	authorityLife  = 10 * 365 * 24 * time.Hour
	authorityRenew = 180 * 24 * time.Hour
	leafLife       = 90 * 24 * time.Hour
	leafRenew      = 30 * 24 * time.Hour
	// certificateSkew is how far the clock of a client may be behind.
	certificateSkew = time.Hour
)

// authority is a certificate authority of a server's own. It can vouch for the
// names of that server and for addresses, and for nothing else, so whoever
// trusts it does not put the rest of the web at risk.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte // of the certificate
}

// certificateNames is what a certificate is for.
type certificateNames struct {
	dns []string
	ips []net.IP
}

// namesOf gives localhost, the loopback addresses and some hosts.
func namesOf(hosts []string) certificateNames {
	names := certificateNames{dns: []string{"localhost"}, ips: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}}
	for _, host := range hosts {
		host = strings.ToLower(host)
		if ip := net.ParseIP(host); ip != nil {
			names.addIP(ip)
		} else if !slices.Contains(names.dns, host) {
			names.dns = append(names.dns, host)
		}
	}
	return names
}

func (n *certificateNames) addIP(ip net.IP) {
	if !slices.ContainsFunc(n.ips, ip.Equal) {
		n.ips = append(n.ips, ip)
	}
}

// listening adds the address of a listener; an unspecified one stands for those
// of all interfaces.
func (n *certificateNames) listening(addr net.Addr) error {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return nil
	}
	if !tcp.IP.IsUnspecified() {
		n.addIP(tcp.IP)
		return nil
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return fmt.Errorf("addresses to make a certificate for: %w", err)
	}
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok {
			n.addIP(ip.IP)
		}
	}
	return nil
}

// openAuthority reads the authority of a data directory. It makes another one
// if there is none, if it ends soon, or if it cannot vouch for these names.
func openAuthority(disk vfs.FS, names certificateNames, now time.Time) (a *authority, made bool, err error) {
	a, err = readAuthority(disk)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, false, fmt.Errorf("%s: %w: remove it to get another one, which clients have to trust anew", authorityName, err)
	case now.Add(authorityRenew).Before(a.cert.NotAfter) && a.mayVouch(names):
		return a, false, nil
	}
	a, text, err := newAuthority(names, now)
	if err != nil {
		return nil, false, err
	}
	if err := replaceFile(disk, authorityName, authorityTemp, text); err != nil {
		return nil, false, fmt.Errorf("keep the certificate authority: %w", err)
	}
	return a, true, nil
}

func readAuthority(disk vfs.FS) (*authority, error) {
	f, err := disk.Open(authorityName)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	text := make([]byte, min(size, 64<<10))
	if err == nil {
		_, err = f.ReadAt(text, 0)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, err
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || !pair.Leaf.IsCA {
		return nil, errors.New("it is not of a certificate authority")
	}
	return &authority{cert: pair.Leaf, key: signer, pem: certificatePEM(pair.Leaf.Raw)}, nil
}

// mayVouch reports whether the authority was made for these names, or more.
func (a *authority) mayVouch(names certificateNames) bool {
	return !slices.ContainsFunc(names.dns, func(name string) bool { return !slices.Contains(a.cert.PermittedDNSDomains, name) })
}

// newAuthority makes an authority, and the text of its file.
func newAuthority(names certificateNames, now time.Time) (*authority, []byte, error) {
	key, serial, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: fmt.Sprintf("shardrun localstream CA %x", serial.Bytes()[:4])},
		NotBefore:    now.Add(-certificateSkew), NotAfter: now.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
		PermittedDNSDomains: names.dns, PermittedDNSDomainsCritical: true,
	}
	cert, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	a := &authority{cert: cert, key: key, pem: certificatePEM(cert.Raw)}
	return a, append(slices.Clone(a.pem), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...), nil
}

// issue makes a certificate of a server.
func (a *authority) issue(names certificateNames, now time.Time) (*tls.Certificate, error) {
	key, serial, err := newKey()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "shardrun localstream"},
		NotBefore: now.Add(-certificateSkew), NotAfter: now.Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: names.dns, IPAddresses: names.ips,
	}
	cert, err := sign(template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{cert.Raw, a.cert.Raw}, PrivateKey: key, Leaf: cert}, nil
}

func newKey() (*ecdsa.PrivateKey, *big.Int, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	var b [16]byte
	rand.Read(b[:])         // never fails
	b[0] = b[0]&0x7f | 0x40 // positive, and of full length
	return key, new(big.Int).SetBytes(b[:]), nil
}

// sign makes a certificate and reads it back: a name that no certificate can
// have shows there at the latest.
func sign(template, parent *x509.Certificate, public any, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate for %s: %w", strings.Join(append(template.DNSNames, template.PermittedDNSDomains...), ", "), err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make a certificate for %s: %w", strings.Join(append(template.DNSNames, template.PermittedDNSDomains...), ", "), err)
	}
	return cert, nil
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// replaceFile writes a file in one durable step.
func replaceFile(disk vfs.FS, name, temp string, text []byte) error {
	if err := disk.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // of an earlier attempt
	}
	f, err := disk.Create(temp)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := disk.Rename(temp, name); err != nil {
		return err
	}
	return disk.SyncDir(".")
}
