package localstream

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ConfigError says that a field of a [Config] cannot be used. [Open] fails with
// it before it touches anything.
type ConfigError struct {
	// Field is the name of the field, such as AllowHosts.
	Field string
	// Err is what is wrong with its value, and what is accepted.
	Err error
}

func (e *ConfigError) Error() string { return "localstream config: " + e.Field + ": " + e.Err.Error() }

func (e *ConfigError) Unwrap() error { return e.Err }

func badField(field, format string, args ...any) error {
	return &ConfigError{field, fmt.Errorf(format, args...)}
}

const (
	// leastChannelFreshness keeps deliveries of channels from being all that a server does.
	leastChannelFreshness = 100 * time.Millisecond
	// leastQuota lets every request put into an empty stream: the largest have 10 MiB.
	leastQuota = 16 << 20
)

func (c Config) validate() error {
	switch {
	case c.Durability > Memory:
		return badField("Durability", "%v: want Sync, Async or Memory", c.Durability)
	case c.DataDir == "" && c.Durability != Memory && c.fs == nil:
		return badField("DataDir", "empty: want a directory, or Durability Memory")
	case !isAccount(c.AccountID):
		return badField("AccountID", "%q: want 12 digits", c.AccountID)
	case !isRegion(c.Region):
		return badField("Region", "%q: want small letters, digits and hyphens, at most 32, such as us-east-1", c.Region)
	case c.Limits > LimitsAWS:
		return badField("Limits", "%d: want LimitsOff or LimitsAWS", c.Limits)
	case c.Auth > AuthSigV4:
		return badField("Auth", "%d: want AuthOff or AuthSigV4", c.Auth)
	case c.Auth == AuthSigV4 && len(c.Keys) == 0:
		return badField("Keys", "none: want at least one with AuthSigV4")
	case c.Auth == AuthOff && len(c.Keys) > 0:
		return badField("Keys", "there are some without AuthSigV4: want both or neither")
	}
	if err := validateKeys(c.Keys); err != nil {
		return &ConfigError{"Keys", err}
	}
	for id, key := range c.KMSKeys {
		if err := checkKMSKey(id, key); err != nil {
			return &ConfigError{"KMSKeys", err}
		}
	}
	for _, validate := range []func() error{c.validateSizes, c.validateTimes, c.validateNames} {
		if err := validate(); err != nil {
			return err
		}
	}
	return nil
}

func (c Config) validateSizes() error {
	for name, n := range map[string]int64{"MaxBytes": c.MaxBytes, "MaxStreamBytes": c.MaxStreamBytes} {
		if n != 0 && n < c.leastQuota {
			return badField(name, "%d: want %d bytes (%d MiB) or more, or 0 for no limit", n, c.leastQuota, c.leastQuota>>20)
		}
	}
	return nil
}

func (c Config) validateTimes() error {
	for name, d := range map[string]time.Duration{
		"CreateDelay": c.CreateDelay, "UpdateDelay": c.UpdateDelay, "DeleteDelay": c.DeleteDelay, "ConsumerDelay": c.ConsumerDelay,
		"ChannelDelay": c.ChannelDelay,
	} {
		if d < 0 {
			return badField(name, "%v: want no less than 0", d)
		}
	}
	if d := c.ChannelFreshness; d != 0 && d < leastChannelFreshness {
		return badField("ChannelFreshness", "%v: want %v or more, or 0", d, leastChannelFreshness)
	}
	return nil
}

func (c Config) validateNames() error {
	for _, host := range c.AllowHosts {
		if !isHost(host) {
			return badField("AllowHosts", "%q: want a name or an address alone, without scheme and port, such as kinesis.test", host)
		}
	}
	for _, origin := range c.AllowOrigins {
		if !isOrigin(origin) {
			return badField("AllowOrigins", "%q: want scheme://host[:port] as browsers send it, such as http://localhost:3000", origin)
		}
	}
	return nil
}

// isAccount reports whether s is the number of an account.
func isAccount(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}

// isRegion reports whether s can be the name of a region.
func isRegion(s string) bool {
	return s != "" && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// isHost reports whether s, in small letters, can be what hostOf gives.
func isHost(s string) bool { return sayable(s, ".-_") || net.ParseIP(s) != nil }

// isOrigin reports whether s can be the Origin header of a browser: that of a
// page that is not of a host is null, which says nothing of who it is.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || s != u.Scheme+"://"+u.Host || s != strings.ToLower(s) || !isHost(u.Hostname()) {
		return false
	}
	port := u.Port()
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case port == "":
		return !strings.HasSuffix(u.Host, ":")
	case err != nil || n == 0 || port[0] == '0':
		return false
	}
	return (u.Scheme != "http" || n != 80) && (u.Scheme != "https" || n != 443)
}
