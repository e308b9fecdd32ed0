package localstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

// Auth says how clients on the network are authenticated.
type Auth uint8

// The ways of authentication.
const (
	// AuthOff: a request has to be signed in form, as any SDK does it, but the
	// signature is not verified.
	AuthOff Auth = iota
	// AuthSigV4: each request on the network has to be signed by one of
	// Config.Keys with Signature Version 4, in a header or in the query, not more
	// than five minutes ago. Requests of [Server.Client] and [Server.HTTPClient]
	// never leave the process, and are as with AuthOff.
	AuthSigV4
)

// String is the name that [ParseAuth] reads.
func (a Auth) String() string {
	if a == AuthSigV4 {
		return "sigv4"
	}
	return "off"
}

// ParseAuth reads "off" or "sigv4".
func ParseAuth(s string) (Auth, error) {
	switch s {
	case "off":
		return AuthOff, nil
	case "sigv4":
		return AuthSigV4, nil
	}
	return 0, fmt.Errorf("auth %q: want off or sigv4", s)
}

// Secret is a text that is never printed: fmt, encoding/json, log/slog and zap
// show three asterisks in its place. A conversion to string gives the text.
type Secret string

const hidden = "***"

// String hides the secret.
func (Secret) String() string { return hidden }

// GoString hides the secret.
func (Secret) GoString() string { return hidden }

// Format hides the secret, whatever the verb is.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText hides the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Key is an access key: who holds its secret may use the server.
type Key struct {
	// ID is the access key id: 1 to 128 letters, digits, hyphens and
	// underscores. Required.
	ID string `json:"id"`
	// Secret is the secret access key, of at least 16 bytes. Required.
	Secret Secret `json:"secret"`
	// Account is the account whose streams the key reaches, 12 digits; it
	// reaches no others. Defaults to the ID, if that is 12 digits, and else to
	// Config.AccountID.
	Account string `json:"account"`
	// Allow is what the key may do: what one of these permits. Defaults to
	// everything.
	Allow []Permission `json:"allow"`
}

// Permission is a set of operations on a set of streams. In both, an asterisk
// stands for any number of characters, and a question mark for one.
type Permission struct {
	// Actions are the operations, such as "PutRecords" or "Describe*". Defaults
	// to all.
	Actions []string `json:"actions"`
	// Streams are the names of the streams, such as "orders-*". Operations that
	// name no stream, such as ListStreams, need a permission without them or
	// with "*". Defaults to all.
	Streams []string `json:"streams"`
}

const (
	minSecretBytes = 16
	maxKeysBytes   = 1 << 20
)

// ParseKeys reads keys from JSON:
//
//	{"keys": [
//	  {"id": "ADMIN", "secret": "…"},
//	  {"id": "ORDERS", "secret": "…", "account": "111122223333", "allow": [
//	    {"actions": ["Put*", "Describe*", "ListShards"], "streams": ["orders-*"]},
//	    {"actions": ["ListStreams"]}]}]}
//
// Unknown members, no keys at all, and keys that [Open] would refuse are
// errors. No error repeats a secret.
func ParseKeys(text []byte) ([]Key, error) {
	if len(text) > maxKeysBytes {
		return nil, fmt.Errorf("keys: more than %d bytes", maxKeysBytes)
	}
	var file struct {
		Keys []Key `json:"keys"`
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok { // whose text has the value
			return nil, fmt.Errorf("keys: member %s cannot be of this type, at byte %d", wrong.Field, wrong.Offset)
		}
		return nil, fmt.Errorf("keys: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("keys: there is something after the object that ends at byte %d", d.InputOffset())
	}
	if len(file.Keys) == 0 {
		return nil, errors.New(`keys: there are none: want {"keys": [{"id": "…", "secret": "…"}]}`)
	}
	return file.Keys, validateKeys(file.Keys)
}

// ReadKeysFile is [ParseKeys] of a file. Only its owner may have permissions on
// it (mode 0600), unless the system is Windows, which has no such modes.
func ReadKeysFile(path string) ([]Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("keys file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("keys file: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("keys file %s has mode %04o, so others may read its secrets: want 0600 (chmod 600 %s)", path, mode, path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeysBytes+1))
	if err != nil {
		return nil, fmt.Errorf("keys file: %w", err)
	}
	keys, err := ParseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("keys file %s: %w", path, err)
	}
	return keys, nil
}

func validateKeys(keys []Key) error {
	seen := map[string]bool{}
	for i, k := range keys {
		switch {
		case !isKeyID(k.ID):
			return fmt.Errorf("key %d: id %s: want 1 to 128 letters, digits, hyphens and underscores", i+1, quoted(k.ID))
		case seen[k.ID]:
			return fmt.Errorf("key %s is there twice", k.ID)
		case len(k.Secret) < minSecretBytes:
			return fmt.Errorf("key %s: the secret has %d bytes: want at least %d", k.ID, len(k.Secret), minSecretBytes)
		case k.Account != "" && !isAccount(k.Account):
			return fmt.Errorf("key %s: account %s: want 12 digits", k.ID, quoted(k.Account))
		}
		seen[k.ID] = true
		for _, p := range k.Allow {
			if err := p.validate(); err != nil {
				return fmt.Errorf("key %s: allow: %w", k.ID, err)
			}
		}
	}
	return nil
}

func (p Permission) validate() error {
	for _, action := range p.Actions {
		known := false
		for _, op := range operations() {
			known = known || matches(action, op.name)
		}
		if !known {
			return fmt.Errorf("action %s is no operation: want one such as PutRecords or Describe*", quoted(action))
		}
	}
	for _, stream := range p.Streams {
		if !isName(strings.NewReplacer("*", "x", "?", "x").Replace(stream)) || len(stream) > 128 {
			return fmt.Errorf("stream %s: want a name such as orders-*, of letters, digits, hyphens, underscores, dots, asterisks and question marks", quoted(stream))
		}
	}
	return nil
}

// isKeyID reports whether s can be the id of a key.
func isKeyID(s string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return s != "" && len(s) <= 128 && strings.Trim(s, letters) == ""
}
