package main

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net"
	"os"

	"github.com/spf13/cobra"

	"github.com/shardrun/shardrun/localstream"
)

// keysVariable is the environment variable that may have the keys, for want of
// a file. They are never in an argument, where everybody could read them.
const keysVariable = "SHARDRUN_KEYS"

// secureFlags are what a person says to serve about who may do what.
type secureFlags struct {
	auth, keysFile           string
	tls                      bool
	certFile, keyFile, caOut string
}

func (f *secureFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.auth, "auth", "off", "verify signatures: off, or sigv4")
	flags.StringVar(&f.keysFile, "keys-file", "", "file of access keys for --auth sigv4, with mode 0600 (else $SHARDRUN_KEYS)")
	flags.BoolVar(&f.tls, "tls", false, "speak TLS, and nothing else")
	flags.StringVar(&f.certFile, "cert", "", "file of a certificate for --tls, in PEM (else one is generated)")
	flags.StringVar(&f.keyFile, "key", "", "file of the private key of --cert, in PEM")
	flags.StringVar(&f.caOut, "ca-out", "", "file to write the CA of the generated certificate to, in PEM")
}

// configure puts the flags into the configuration of the server.
func (f *secureFlags) configure(cfg *localstream.Config) error {
	var err error
	if cfg.Auth, err = localstream.ParseAuth(f.auth); err != nil {
		return usagef("--auth: %w", err)
	}
	switch text := os.Getenv(keysVariable); {
	case cfg.Auth == localstream.AuthOff && f.keysFile != "":
		return usagef("--keys-file without --auth sigv4: want both or neither")
	case cfg.Auth == localstream.AuthOff:
	case f.keysFile != "":
		if cfg.Keys, err = localstream.ReadKeysFile(f.keysFile); err != nil {
			return usagef("--keys-file: %w", err)
		}
	case text != "":
		if cfg.Keys, err = localstream.ParseKeys([]byte(text)); err != nil {
			return usagef("$%s: %w", keysVariable, err)
		}
	default:
		return usagef("--auth sigv4 needs keys: want --keys-file or $%s", keysVariable)
	}
	switch given := f.certFile != ""; {
	case given != (f.keyFile != ""):
		return usagef("--cert and --key: want both or neither")
	case !f.tls && cmp.Or(f.certFile, f.caOut) != "":
		return usagef("--cert, --key and --ca-out are for --tls, which is missing")
	case given && f.caOut != "":
		return usagef("--ca-out is for a generated certificate: want no --cert with it")
	case given:
		pair, err := tls.LoadX509KeyPair(f.certFile, f.keyFile)
		if err != nil {
			return usagef("--cert and --key: %w", err)
		}
		cfg.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	case f.tls:
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return nil
}

// scheme is what the URL of the server begins with.
func (f *secureFlags) scheme() string {
	if f.tls {
		return "https://"
	}
	return "http://"
}

// writeCA writes what clients have to trust, if somebody asked for it.
func (f *secureFlags) writeCA(server *localstream.Server) error {
	if f.caOut == "" {
		return nil
	}
	if err := os.WriteFile(f.caOut, server.CA(), 0o644); err != nil { // it is public
		return usagef("--ca-out: %w", err)
	}
	return nil
}

// checkAddresses refuses addresses that others can reach, unless they have to
// say who they are, or that was asked for, of which the server warns.
func (f serveFlags) checkAddresses(a *app, cfg localstream.Config) error {
	open, err := reachable(f.listen)
	switch {
	case err != nil:
		return usagef("--listen: %w", err)
	case open && cfg.Auth == localstream.AuthOff && !f.noAuth:
		return usagef("--listen: %s can be reached by others, and clients are not authenticated: use an address like 127.0.0.1:4567, --auth sigv4, or --insecure-no-auth", f.listen)
	}
	if f.redisListen == "" {
		return nil
	}
	switch open, err = reachable(f.redisListen); {
	case err != nil:
		return usagef("--redis-listen: %w", err)
	case open && !f.noAuth:
		return usagef("--redis-listen: %s can be reached by others, and Redis does not authenticate them: use an address like 127.0.0.1:6399, or --insecure-no-auth", f.redisListen)
	case open:
		fmt.Fprintln(a.err, "shardrun: warning: whoever reaches this Redis may do with it what they want")
	}
	return nil
}

// reachable reports whether other machines may reach an address.
func reachable(address string) (bool, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false, fmt.Errorf("%q is not an address like 127.0.0.1:4567", address)
	}
	ip := net.ParseIP(host)
	return host != "localhost" && (ip == nil || !ip.IsLoopback()), nil
}
