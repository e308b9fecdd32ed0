package localstream

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/internal/vfs"
)

// Durability says what an acknowledged put has survived.
type Durability uint8

// The durabilities.
const (
	// Sync: the record and its directory entry are on the disk (fsync), so it
	// survives a power loss. Puts that wait at the same time share an fsync.
	Sync Durability = iota
	// Async: the record was written to the operating system, so it survives
	// kill -9 of the server but not a power loss. An fsync follows each 100 ms.
	Async
	// Memory: nothing is on the disk, and everything is gone with the Server.
	Memory
)

// String is the name that [ParseDurability] reads.
func (d Durability) String() string {
	switch d {
	case Sync:
		return "sync"
	case Async:
		return "async"
	case Memory:
		return "memory"
	}
	return fmt.Sprintf("Durability(%d)", uint8(d))
}

// ParseDurability reads "sync", "async" or "memory".
func ParseDurability(s string) (Durability, error) {
	for _, d := range []Durability{Sync, Async, Memory} {
		if s == d.String() {
			return d, nil
		}
	}
	return 0, fmt.Errorf("durability %q: want sync, async or memory", s)
}

// Limits says whether the rates of AWS apply.
type Limits uint8

// The limits.
const (
	// LimitsOff: as fast as the machine goes. Counts, such as the number of
	// shards, are limited all the same.
	LimitsOff Limits = iota
	// LimitsAWS: per shard, writes of 1,000 records and 1 MiB a second, reads of
	// 5 calls and 2 MiB a second, and 5 iterators a second. What is above is
	// refused with ProvisionedThroughputExceededException. Calls of the other
	// operations are limited for an account in a region, a stream, or a consumer
	// and a shard, as AWS documents it, and a stream has at most 10 scalings, 2
	// changes of its mode, and 25 starts and 25 ends of its encryption in 24 hours,
	// counted since the server was opened; what is above is refused with
	// LimitExceededException. A consumer gets 2 MiB of a shard a second.
	LimitsAWS
)

// String is the name that [ParseLimits] reads.
func (l Limits) String() string {
	if l == LimitsAWS {
		return "aws"
	}
	return "off"
}

// ParseLimits reads "off" or "aws".
func ParseLimits(s string) (Limits, error) {
	switch s {
	case "off":
		return LimitsOff, nil
	case "aws":
		return LimitsAWS, nil
	}
	return 0, fmt.Errorf("limits %q: want off or aws", s)
}

// Config says how to open a [Server]. Only DataDir is required, and not even
// that when Durability is Memory.
type Config struct {
	// DataDir is the directory of the log. It is made when missing, with mode
	// 0700, and locked: one Server at a time has it. Required, unless
	// Durability is Memory, which does not look at it.
	DataDir string
	// Durability says what an acknowledged put has survived. Defaults to Sync.
	Durability Durability

	// AccountID is the account of clients whose access key id is not a number
	// of 12 digits; such a number is itself the account. 12 digits. Defaults
	// to 000000000000.
	AccountID string
	// Region is the region of clients that name none in the credential scope of
	// their signature. Defaults to us-east-1.
	Region string

	// ShardLimit is how many open shards an account may have in a region, as
	// the quota of AWS. Negative means no limit. Defaults to 500.
	ShardLimit int
	// Limits says whether the rates of AWS apply. Defaults to LimitsOff.
	Limits Limits

	// KMSKeys says in which state KMS keys are, so that each error of KMS can be
	// provoked; [Server.SetKMSKey] changes it later. A key goes by its ARN, or by
	// its UUID or alias/NAME in all accounts and regions. When the table is not
	// nil, keys that are not in it are not found, but alias/aws/kinesis works
	// unless the table says otherwise. Defaults to nil: every key works.
	KMSKeys map[string]KMSKey

	// MaxBytes is what the logs of all streams may take on the disk, in bytes,
	// and MaxStreamBytes that of each stream. Puts above are refused with
	// ProvisionedThroughputExceededException until retention or deletion has made
	// room. At least 16 MiB. Both default to 0: no limit.
	MaxBytes, MaxStreamBytes int64
	// MinFreeBytes is how much of the disk puts leave free, in bytes: those that
	// would leave less are refused in the same way, and everything else goes on.
	// Channels wait instead, also for the disk of ChannelDir. Negative means
	// none. Defaults to 64 MiB. Not looked at where the space is not known, as in
	// memory.
	MinFreeBytes int64

	// CreateDelay is how long a new stream stays in CREATING. Defaults to 0: it
	// is ACTIVE at once.
	CreateDelay time.Duration
	// UpdateDelay is how long a stream stays in UPDATING before a reshard
	// happens, or a change of its mode, encryption, warm throughput or greatest
	// record. Defaults to 0.
	UpdateDelay time.Duration
	// DeleteDelay is how long a stream stays in DELETING. Defaults to 0.
	DeleteDelay time.Duration
	// ConsumerDelay is how long a new consumer stays in CREATING, and one that is
	// deregistered in DELETING. Defaults to 0.
	ConsumerDelay time.Duration

	// ChannelDelay is how long a channel stays in CREATING, UPDATING and
	// DELETING. Defaults to 0.
	ChannelDelay time.Duration
	// ChannelDir is the directory that stands for Amazon S3: channels write
	// their objects there, below a directory with the name of the bucket. It is
	// made when missing, with mode 0700; several Servers may use the same.
	// Defaults to "s3" in DataDir; with Durability Memory to none, and then
	// channels deliver nothing.
	ChannelDir string
	// ChannelFreshness, if positive, is how old undelivered records get, in
	// place of the DataFreshnessInSeconds of every channel, which AWS does not
	// let be less than five minutes. At least 100 ms. Defaults to 0: as the
	// channels say.
	ChannelFreshness time.Duration

	// Auth says how clients on the network are authenticated. Defaults to
	// AuthOff.
	Auth Auth
	// Keys are the access keys of clients. Required with AuthSigV4, and refused
	// without. Defaults to none.
	Keys []Key

	// TLS makes the server speak TLS, 1.2 or later, on the network, and nothing
	// else. Without certificates (&tls.Config{}) they are generated, for
	// localhost, the loopback addresses, the address that is listened on, and
	// AllowHosts; clients have to trust [Server.CA], which is kept in DataDir. The
	// server takes a copy. Defaults to none: no TLS.
	TLS *tls.Config

	// AllowHosts are names that clients may use for this server in the Host
	// header, besides loopback names and addresses and the address that it
	// listens on. Others are refused, so that no web page can reach the server
	// by pointing a name of its own at it. Each is a name or an address alone,
	// without scheme or port, such as "kinesis.test". Defaults to none.
	AllowHosts []string
	// AllowOrigins are the web origins whose pages may call the server and read
	// its answers (CORS): scheme://host[:port] as browsers send it, in small
	// letters and without the port that the scheme has anyway, such as
	// "http://localhost:3000". Defaults to none.
	AllowOrigins []string

	// Version is shown by the health page. Defaults to "dev".
	Version string
	// Logger takes the log, named "localstream". Defaults to none.
	Logger *zap.Logger
	// Damaged is called when the server comes upon damaged records, once for each
	// place: in Open, and later when they are read. Their shard refuses to serve
	// from then on. It may be called concurrently. It must not block, nor call
	// Close, which waits for it. Defaults to none.
	Damaged func(*DamagedError)

	// fs is the file system of the log. Tests set it; otherwise it follows from
	// DataDir and Durability.
	fs vfs.FS
	// segmentBytes is the size of a log segment. Tests set it.
	segmentBytes int64
	// objectBytes is when an object of a channel is large enough. Tests set it.
	objectBytes int
	// maxInFlight bounds the bytes of requests. Tests set it.
	maxInFlight int64
	// leastQuota is the least that MaxBytes and MaxStreamBytes may be. Tests set it.
	leastQuota int64
}

func (c Config) withDefaults() Config {
	c.AccountID = cmp.Or(c.AccountID, "000000000000")
	c.Region = cmp.Or(c.Region, "us-east-1")
	c.ShardLimit = cmp.Or(c.ShardLimit, 500)
	c.MinFreeBytes = cmp.Or(c.MinFreeBytes, defaultFreeMark)
	c.objectBytes = cmp.Or(c.objectBytes, maxObjectBytes)
	c.leastQuota = cmp.Or(c.leastQuota, leastQuota)
	c.Version = cmp.Or(c.Version, "dev")
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	c.Logger = c.Logger.Named("localstream")
	return c
}
