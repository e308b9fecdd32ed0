// Package redisurl makes Redis clients of what a person writes on a command
// line: host:port, or a URL.
package redisurl

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Forms says what is accepted, in one line.
const Forms = "host:port, redis://user:password@host:6379/0, redis+sentinel://host:26379,host:26379/0?master=NAME, " +
	"redis+cluster://host:6379,host:6379, or unix:///path; with TLS rediss, rediss+sentinel or rediss+cluster, and ?ca=FILE&cert=FILE&key=FILE"

// Usage is the usage of a flag that takes an address.
const Usage = "Redis of the leases: host:port, or a URL (redis, rediss, redis+sentinel, redis+cluster, unix)"

// PasswordEnv names the environment variable with the password of a user whom
// the URL names without one, as redis-cli has it.
const PasswordEnv = "REDISCLI_AUTH"

// Address is where a Redis is and how to log in.
type Address struct {
	// kind is "", "sentinel", "cluster" or "unix".
	kind           string
	hosts          []string
	user, password string
	db             int
	secure         *tls.Config
	master         string
	sentinelUser   string
	sentinelSecret string
}

// Parse reads an address. Its errors have no secrets in them.
func Parse(address string) (*Address, error) {
	scheme, rest, isURL := strings.Cut(address, "://")
	if !isURL {
		if strings.Contains(address, "@") {
			return nil, fmt.Errorf("an address with a user is a URL: want %s", Forms)
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			return nil, fmt.Errorf("%q is neither host:port nor a URL: want %s", address, Forms)
		}
		return &Address{hosts: []string{address}}, nil
	}
	family, kind, _ := strings.Cut(scheme, "+")
	a := &Address{kind: kind}
	switch {
	case family == "unix" && kind == "":
		a.kind = "unix"
	case (family == "redis" || family == "rediss") && (kind == "" || kind == "sentinel" || kind == "cluster"):
	default:
		return nil, fmt.Errorf("scheme %q is unknown: want %s", scheme, Forms)
	}
	rest, query, _ := strings.Cut(rest, "?")
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		if err := a.login(rest[:at]); err != nil {
			return nil, err
		}
		rest = rest[at+1:]
	}
	if err := a.place(rest); err != nil {
		return nil, err
	}
	return a, a.options(query, family == "rediss")
}

func (a *Address) login(userinfo string) error {
	user, password, given := strings.Cut(userinfo, ":")
	var err, err2 error
	a.user, err = url.PathUnescape(user)
	a.password, err2 = url.PathUnescape(password)
	if err != nil || err2 != nil {
		return errors.New("the user or the password has a % that is not followed by two hexadecimal digits; write %25") // its text has the password
	}
	if !given {
		a.password = os.Getenv(PasswordEnv)
	}
	return nil
}

// place reads hosts and the number of a database, or the path of a socket.
func (a *Address) place(rest string) error {
	if a.kind == "unix" {
		if rest == "" {
			return errors.New("the path of the socket is missing: want unix:///path")
		}
		a.hosts = []string{rest}
		return nil
	}
	hosts, db, _ := strings.Cut(rest, "/")
	standard := "6379"
	if a.kind == "sentinel" {
		standard = "26379"
	}
	for host := range strings.SplitSeq(hosts, ",") {
		switch _, _, err := net.SplitHostPort(host); {
		case host == "" || strings.HasPrefix(host, ":"):
			return fmt.Errorf("a host is missing in %q: want %s", hosts, Forms)
		case err != nil && !strings.Contains(strings.Trim(host, "[]"), ":"), err != nil && strings.HasSuffix(host, "]"):
			host = net.JoinHostPort(strings.Trim(host, "[]"), standard)
		case err != nil:
			return fmt.Errorf("host %q: %w", host, err)
		}
		a.hosts = append(a.hosts, host)
	}
	if a.kind == "" && len(a.hosts) > 1 {
		return fmt.Errorf("%d hosts are a Sentinel set or a cluster: want redis+sentinel:// or redis+cluster://", len(a.hosts))
	}
	if db == "" {
		return nil
	}
	n, err := strconv.Atoi(db)
	switch {
	case err != nil || n < 0:
		return fmt.Errorf("database %q is not a number from 0", db)
	case a.kind == "cluster" && n != 0:
		return fmt.Errorf("database %d: a cluster has only 0", n)
	}
	a.db = n
	return nil
}

// options reads what is behind the question mark.
func (a *Address) options(query string, secure bool) error {
	given, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("what stands behind the ? is not name=value&name=value") // its text may have a password
	}
	known := map[string]*string{}
	var ca, cert, key string
	if secure {
		known["ca"], known["cert"], known["key"] = &ca, &cert, &key
	}
	if a.kind == "sentinel" {
		known["master"], known["sentinel_user"], known["sentinel_password"] = &a.master, &a.sentinelUser, &a.sentinelSecret
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		to := known[name]
		switch {
		case strings.Contains(name, "@"):
			return errors.New("a ? in front of the @: in a password it is written %3F")
		case to == nil && len(known) == 0:
			return fmt.Errorf("option %q is unknown: this URL takes none; want %s", name, Forms)
		case to == nil:
			return fmt.Errorf("option %q is unknown: this URL takes %s", name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		*to = given.Get(name)
	}
	if a.kind == "sentinel" && a.master == "" {
		return errors.New("the name of the primary is missing: add ?master=NAME, as in the sentinels' configuration (sentinel monitor NAME …)")
	}
	if secure {
		a.secure, err = secured(ca, cert, key)
	}
	return err
}

// secured makes TLS of the files of an authority, of which the system's are the
// default, and of a client certificate, if there is one.
func secured(ca, cert, key string) (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("option ca: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("option ca: %s has no certificate in PEM", ca)
		}
	}
	if (cert == "") != (key == "") {
		return nil, errors.New("options cert and key go together")
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("options cert and key: %w", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}

// String is the address without secrets.
func (a *Address) String() string {
	out := strings.Join(a.hosts, ",")
	if a.kind == "sentinel" {
		out = a.master + " of the sentinels " + out
	}
	return out
}

// Client makes a client, which tries everything once; the caller closes it.
func (a *Address) Client() redis.UniversalClient {
	switch a.kind {
	case "sentinel":
		return redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: a.master, SentinelAddrs: a.hosts, SentinelUsername: a.sentinelUser, SentinelPassword: a.sentinelSecret,
			Username: a.user, Password: a.password, DB: a.db, TLSConfig: a.secure,
			MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
		})
	case "cluster":
		return redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: a.hosts, Username: a.user, Password: a.password, TLSConfig: a.secure, DialerRetries: 1, ContextTimeoutEnabled: true,
		})
	}
	o := &redis.Options{
		Addr: a.hosts[0], Username: a.user, Password: a.password, DB: a.db, TLSConfig: a.secure,
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
	}
	if a.kind == "unix" {
		o.Network = "unix"
	}
	return redis.NewClient(o)
}
