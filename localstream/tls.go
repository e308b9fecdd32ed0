package localstream

import (
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// generates reports whether the configuration asks for a generated certificate.
func (c Config) generates() bool {
	return c.TLS != nil && len(c.TLS.Certificates) == 0 && c.TLS.GetCertificate == nil && c.TLS.GetConfigForClient == nil
}

// openTLS finds or makes the authority for generated certificates, if there are
// to be any.
func (s *Server) openTLS() error {
	if !s.cfg.generates() {
		return nil
	}
	a, made, err := openAuthority(s.fs, namesOf(s.cfg.AllowHosts), time.Now())
	if err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	if made {
		s.logger.Info("there is a new certificate authority, which clients have to trust", zap.Stringer("subject", a.cert.Subject), zap.String("until", a.cert.NotAfter.Format(time.DateOnly)))
	}
	s.authority = a
	return nil
}

// CA gives the certificate of the authority that signs generated certificates,
// in PEM, for clients to trust. It is nil unless Config.TLS asks for generated
// certificates. It stays the same as long as the data directory is kept, has
// years to live, and is opened with no names in AllowHosts that it was not made
// for.
func (s *Server) CA() []byte {
	if s.authority == nil {
		return nil
	}
	return slices.Clone(s.authority.pem)
}

// tlsConfig is what a listener on this address serves TLS with; nil is without.
func (s *Server) tlsConfig(addr net.Addr) (*tls.Config, error) {
	if s.cfg.TLS == nil {
		return nil, nil
	}
	cfg := s.cfg.TLS.Clone()
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	if s.authority == nil {
		return cfg, nil
	}
	names := namesOf(s.cfg.AllowHosts)
	if err := names.listening(addr); err != nil {
		return nil, err
	}
	leaf := &leaf{authority: s.authority, names: names}
	if _, err := leaf.certificate(nil); err != nil {
		return nil, err
	}
	cfg.GetCertificate = leaf.certificate
	return cfg, nil
}

// leaf is the generated certificate of a listener. It is in memory only, and
// made anew before it ends.
type leaf struct {
	authority *authority
	names     certificateNames
	// mu guards current.
	mu      sync.Mutex
	current *tls.Certificate
}

// certificate is the GetCertificate of a listener.
func (l *leaf) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current != nil && now.Add(leafRenew).Before(l.current.Leaf.NotAfter) {
		return l.current, nil
	}
	cert, err := l.authority.issue(l.names, now)
	if err != nil {
		return nil, err
	}
	l.current = cert
	return cert, nil
}
