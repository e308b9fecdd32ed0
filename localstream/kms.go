package localstream

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// KMSKey is the state of a KMS key: what becomes of requests that need it. A
// request needs the key of its stream to put records, and the keys that
// records were encrypted with to read those.
type KMSKey uint8

// The states of a KMS key.
const (
	// KMSEnabled: the key works.
	KMSEnabled KMSKey = iota
	// KMSDisabled: KMSDisabledException.
	KMSDisabled
	// KMSPendingDeletion: KMSInvalidStateException.
	KMSPendingDeletion
	// KMSAccessDenied: KMSAccessDeniedException.
	KMSAccessDenied
	// KMSNotFound: KMSNotFoundException.
	KMSNotFound
	// KMSOptInRequired: KMSOptInRequired.
	KMSOptInRequired
	// KMSThrottled: KMSThrottlingException.
	KMSThrottled
)

// kmsStates are the names of the states of a key, by state.
var kmsStates = [...]string{
	KMSEnabled:         "enabled",
	KMSDisabled:        "disabled",
	KMSPendingDeletion: "pending-deletion",
	KMSAccessDenied:    "access-denied",
	KMSNotFound:        "not-found",
	KMSOptInRequired:   "opt-in-required",
	KMSThrottled:       "throttled",
}

// String is the name that [ParseKMSKey] reads.
func (k KMSKey) String() string {
	if int(k) < len(kmsStates) {
		return kmsStates[k]
	}
	return fmt.Sprintf("KMSKey(%d)", uint8(k))
}

// ParseKMSKey reads an entry of [Config.KMSKeys] from a line like
// alias/orders=disabled: the id of a key, and its state, which is enabled,
// disabled, pending-deletion, access-denied, not-found, opt-in-required or
// throttled; enabled, if there is none. The error names what is wrong with it.
func ParseKMSKey(line string) (id string, key KMSKey, err error) {
	id, name, given := strings.Cut(line, "=")
	if given {
		i := slices.Index(kmsStates[:], name)
		if i < 0 {
			return "", 0, fmt.Errorf("key %q: state %q: want %s", id, name, strings.Join(kmsStates[:], ", "))
		}
		key = KMSKey(i)
	}
	if err := checkKMSKey(id, key); err != nil {
		return "", 0, err
	}
	return id, key, nil
}

// kmsErrors are the error types of the states of a key, by state.
var kmsErrors = [...]string{
	KMSDisabled:        "KMSDisabledException",
	KMSPendingDeletion: "KMSInvalidStateException",
	KMSAccessDenied:    "KMSAccessDeniedException",
	KMSNotFound:        "KMSNotFoundException",
	KMSOptInRequired:   "KMSOptInRequired",
	KMSThrottled:       "KMSThrottlingException",
}

// ownKMSKey is the key that Kinesis owns itself.
const ownKMSKey = "alias/aws/kinesis"

// kmsKeys is the table of keys of a server.
type kmsKeys struct {
	// mu guards keys.
	mu     sync.RWMutex
	keys   map[string]KMSKey
	closed bool // a key that is not in the table is not found
}

func newKMSKeys(keys map[string]KMSKey) *kmsKeys {
	k := &kmsKeys{keys: maps.Clone(keys), closed: keys != nil}
	if k.keys == nil {
		k.keys = map[string]KMSKey{}
	}
	return k
}

// SetKMSKey changes the state of a KMS key, as an entry of [Config.KMSKeys]
// does, for all requests from now on. It is for tests. The error is about an id
// of a wrong form.
func (s *Server) SetKMSKey(id string, key KMSKey) error {
	if err := checkKMSKey(id, key); err != nil {
		return fmt.Errorf("set KMS key: %w", err)
	}
	s.kms.mu.Lock()
	defer s.kms.mu.Unlock()
	s.kms.keys[id] = key
	return nil
}

// checkKMSKey says what is wrong with an entry of the table of keys.
func checkKMSKey(id string, key KMSKey) error {
	switch {
	case !isKMSKey(id):
		return fmt.Errorf("key %q: want the UUID of a key, alias/NAME, or the ARN of either", id)
	case key > KMSThrottled:
		return fmt.Errorf("key %q: state %d, want KMSEnabled to KMSThrottled", id, key)
	}
	return nil
}

// state gives the state of a key by its ARN. The table may have it without what
// is in front of the UUID or the alias, for all accounts and regions.
func (k *kmsKeys) state(arn string) KMSKey {
	short, _ := shortKMSKey(arn)
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, name := range []string{arn, short} {
		if key, ok := k.keys[name]; ok {
			return key
		}
	}
	if k.closed && short != ownKMSKey {
		return KMSNotFound
	}
	return KMSEnabled
}

// use is the error of a request for a stream that needs a key, nil if the key
// works or there is none.
func (k *kmsKeys) use(stream state.Key, id string) error {
	if id == "" {
		return nil
	}
	arn := id
	if _, isARN := shortKMSKey(id); !isARN {
		arn = kmsARN(stream.Scope, id)
	}
	if now := k.state(arn); now != KMSEnabled {
		return clientError(kmsErrors[now], "%s", kmsMessage(now, arn))
	}
	return nil
}

func kmsMessage(key KMSKey, arn string) string {
	switch key {
	case KMSDisabled:
		return arn + " is disabled."
	case KMSPendingDeletion:
		return arn + " is pending deletion."
	case KMSAccessDenied:
		return "The caller is not authorized to use " + arn + "."
	case KMSNotFound:
		return "Key '" + arn + "' does not exist"
	case KMSOptInRequired:
		return "The AWS Access Key Id needs a subscription for the service"
	}
	return "Rate exceeded for " + arn + "."
}

// isOwnKMSKey reports whether a key is the one that Kinesis owns itself.
func isOwnKMSKey(id string) bool {
	if short, isARN := shortKMSKey(id); isARN {
		id = short
	}
	return id == ownKMSKey
}

// kmsARN is the ARN of a key that is named by its UUID or its alias.
func kmsARN(scope state.Scope, short string) string {
	if !strings.HasPrefix(short, "alias/") {
		short = "key/" + short
	}
	return "arn:aws:kms:" + scope.Region + ":" + scope.Account + ":" + short
}

// shortKMSKey gives the UUID or alias/NAME of a key's ARN.
func shortKMSKey(arn string) (short string, ok bool) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || !strings.HasPrefix(parts[1], "aws") || parts[2] != "kms" || !isRegion(parts[3]) || !isAccount(parts[4]) {
		return "", false
	}
	if id, isKey := strings.CutPrefix(parts[5], "key/"); isKey {
		return id, isKMSKeyID(id)
	}
	return parts[5], isKMSAlias(parts[5])
}

// isKMSKey reports whether s can name a key: by UUID, by alias, or by the ARN
// of either.
func isKMSKey(s string) bool {
	_, isARN := shortKMSKey(s)
	return isARN || isKMSAlias(s) || isKMSKeyID(s)
}

// isKMSKeyID matches a UUID, or the id of a key of several regions: mrk- and 32
// digits.
func isKMSKeyID(s string) bool {
	const digits = "0123456789abcdefABCDEF"
	if id, ok := strings.CutPrefix(s, "mrk-"); ok {
		return len(id) == 32 && strings.Trim(id, digits) == ""
	}
	parts := strings.Split(s, "-")
	if len(parts) != 5 {
		return false
	}
	for i, n := range [...]int{8, 4, 4, 4, 12} {
		if len(parts[i]) != n || strings.Trim(parts[i], digits) != "" {
			return false
		}
	}
	return true
}

func isKMSAlias(s string) bool {
	name, ok := strings.CutPrefix(s, "alias/")
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-', c == '/':
		default:
			return false
		}
	}
	return ok && name != "" && len(name) <= 250
}
