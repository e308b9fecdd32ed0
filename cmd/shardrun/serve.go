package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/alicebob/miniredis/v2"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/shardrun/shardrun/localstream"
)

// serveFlags are what a person says to serve.
type serveFlags struct {
	listen      string
	redisListen string
	noAuth      bool
	dirGiven    bool // --data-dir was
	durability  string
	limits      string
	logLevel    string
	shardLimit  int
	faults      []string
	kmsKeys     []string
	secure      secureFlags
	maxBytes    sizeFlag
	maxStream   sizeFlag
	minFree     sizeFlag
	config      localstream.Config
}

func (a *app) serveCommand() *cobra.Command {
	f := serveFlags{minFree: 64 << 20}
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve a local Kinesis on a durable log",
		Long: `Serve a local Kinesis Data Streams on a durable log, for the AWS SDKs and CLI.
Once it is ready, the first line on standard output says where it listens. SIGTERM and
SIGINT end it: requests in flight are answered, and everything is made durable.

A client's access key id of 12 digits is its account, and the region of its signature
is its region. Signatures are not verified, so it listens on addresses of this machine
only, unless --auth sigv4 asks for a key of --keys-file (mode 0600; localstream's README
has its form) or of $SHARDRUN_KEYS, the same text. With --tls it speaks HTTPS and nothing
else; without --cert and --key the certificate is signed by a CA that is kept in the data
directory: --ca-out writes it for clients, as in AWS_CA_BUNDLE.

--fault takes name=value, separated by commas:
  op       operation, such as PutRecords (default: any)
  stream   name of the stream (default: any)
  shard    id of the shard, or * for each, of operations that are about a shard
  kind     throttle (the default), error, expire (a shard iterator), drop (the connection,
           before anything is done), delay, lose-reply (do it, then drop)
  count    how many requests, or records of a shard, are hit: a number (default 1), or all
  delay    for kind delay, as 200ms
  type     for kind error: its type (default InternalFailure)
  message  for kind error: its text; nothing can follow it`,
		Example: `  shardrun serve
  shardrun serve --listen 127.0.0.1:0 --durability memory
  shardrun serve --redis-listen 127.0.0.1:6399    # several workers, nothing to install
  shardrun serve --tls --ca-out ca.pem            # for the KPL, which speaks only TLS
  shardrun serve --listen 0.0.0.0:4567 --auth sigv4 --keys-file keys.json --tls --allow-host kinesis.test
  AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x aws --region us-east-1 --endpoint-url http://127.0.0.1:4567 kinesis list-streams`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f.dirGiven = c.Flags().Changed("data-dir")
			return a.serve(c.Context(), f)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.listen, "listen", "127.0.0.1:4567", "address to listen on; port 0 picks one")
	flags.BoolVar(&f.noAuth, "insecure-no-auth", false, "allow addresses that others can reach, without authentication")
	f.secure.add(c)
	flags.StringVar(&f.redisListen, "redis-listen", "", "also serve an embedded Redis for development, in memory, on this address")
	flags.StringVar(&f.config.DataDir, "data-dir", "./shardrun-data", "directory of the log (not used with --durability memory)")
	flags.StringVar(&f.durability, "durability", "sync", "what an acknowledged put survives: sync (power loss), async (kill -9), memory (nothing)")
	flags.StringVar(&f.config.AccountID, "account-id", "000000000000", "account of clients whose access key id is not 12 digits")
	flags.StringVar(&f.config.Region, "region", "us-east-1", "region of clients that sign for none")
	flags.IntVar(&f.shardLimit, "shard-limit", 500, "open shards an account may have in a region; 0 for no limit")
	flags.Var(&f.maxBytes, "max-bytes", "what the records of all streams may take on the disk, like 10GiB (16MiB or more); puts above are throttled; 0 for no limit")
	flags.Var(&f.maxStream, "max-stream-bytes", "the same for each stream")
	flags.Var(&f.minFree, "min-free-bytes", "how much of the disk puts leave free; those that would leave less are throttled; 0 to use all")
	flags.DurationVar(&f.config.CreateDelay, "create-delay", 0, "how long a new stream is CREATING")
	flags.DurationVar(&f.config.UpdateDelay, "update-delay", 0, "how long a reshard, or a change of settings, leaves the stream UPDATING")
	flags.DurationVar(&f.config.DeleteDelay, "delete-delay", 0, "how long a deleted stream is DELETING")
	flags.DurationVar(&f.config.ConsumerDelay, "consumer-delay", 0, "how long a new consumer is CREATING")
	flags.DurationVar(&f.config.ChannelDelay, "channel-delay", 0, "how long a channel is CREATING, UPDATING and DELETING")
	flags.StringVar(&f.config.ChannelDir, "channel-dir", "", "directory that stands for S3, for what channels deliver (default s3 in the data directory, none in memory)")
	flags.DurationVar(&f.config.ChannelFreshness, "channel-freshness", 0, "how often channels deliver, in place of their own 5 to 15 minutes")
	flags.StringVar(&f.limits, "limits", "off", "rates of shards and of calls: off, or aws")
	flags.StringSliceVar(&f.config.AllowHosts, "allow-host", nil, "name that clients may use for this server, besides localhost and its addresses, without scheme and port (repeatable)")
	flags.StringSliceVar(&f.config.AllowOrigins, "allow-origin", nil, "web origin that browsers may call from, like http://localhost:3000 (repeatable)")
	flags.StringArrayVar(&f.faults, "fault", nil, "make something go wrong, as op=PutRecords,shard=*,kind=throttle,count=3; see above (repeatable)")
	flags.StringArrayVar(&f.kmsKeys, "kms-key", nil, "KMS key that streams may be encrypted with, as ID or ID=STATE: enabled, disabled, pending-deletion, access-denied, not-found, opt-in-required, throttled; all others are not found then (repeatable; without it every key works)")
	flags.StringVar(&f.logLevel, "log-level", "warn", "debug, info, warn or error, on standard error")
	completeFlags(c, map[string][]string{
		"durability": {"sync", "async", "memory"}, "auth": {"off", "sigv4"}, "limits": {"off", "aws"},
		"log-level": {"debug", "info", "warn", "error"},
	})
	_ = c.RegisterFlagCompletionFunc("fault", completeFault) // fails only for a flag that is not there
	return c
}

// serve runs the server until ctx ends.
func (a *app) serve(ctx context.Context, f serveFlags) (err error) {
	cfg, err := f.localstream(a)
	if err != nil {
		return err
	}
	faults, err := parseFaults(f.faults)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", f.listen)
	if err != nil {
		return listenError("--listen", err)
	}
	defer listener.Close()
	f.warnOfDataDir(a, cfg)
	server, err := localstream.Open(cfg)
	if err != nil {
		return flagError(err)
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	if err := f.secure.writeCA(server); err != nil {
		return err
	}
	for _, fault := range faults {
		server.Inject(fault)
	}

	ready := struct {
		Listening  string `json:"listening"`
		Health     string `json:"health"`
		Redis      string `json:"redis,omitempty"`
		DataDir    string `json:"data_dir,omitempty"`
		Durability string `json:"durability"`
		Auth       string `json:"auth"`
		CA         string `json:"ca,omitempty"`
	}{Listening: f.secure.scheme() + shownAddress(f.listen, listener.Addr().String()), Health: localstream.HealthPath, Durability: cfg.Durability.String(), Auth: cfg.Auth.String(), CA: f.secure.caOut}
	if cfg.Durability != localstream.Memory {
		ready.DataDir = cfg.DataDir
	}
	if f.redisListen != "" {
		redis := miniredis.NewMiniRedis()
		if err := redis.StartAddr(f.redisListen); err != nil {
			return listenError("--redis-listen", err)
		}
		defer redis.Close()
		ready.Redis = shownAddress(f.redisListen, redis.Addr())
	}
	if a.json {
		if err := printJSON(a.out, ready); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.out, "listening on %s\n", ready.Listening)
		fmt.Fprintf(a.out, "durability %s, data in %s, health page %s\n", ready.Durability, cmp.Or(ready.DataDir, "memory"), ready.Health)
		if cfg.Auth == localstream.AuthSigV4 {
			fmt.Fprintf(a.out, "signatures are verified, keys: %d\n", len(cfg.Keys))
		}
		if ready.CA != "" {
			fmt.Fprintf(a.out, "clients have to trust the CA in %s\n", ready.CA)
		}
		if ready.Redis != "" {
			fmt.Fprintf(a.out, "redis on %s (embedded, in memory, for development)\n", ready.Redis)
		}
	}
	return server.Serve(ctx, asAsked(listener, f.listen))
}

// localstream checks the flags and makes the server's configuration of them.
func (f serveFlags) localstream(a *app) (localstream.Config, error) {
	cfg := f.config
	var err error
	if cfg.Durability, err = localstream.ParseDurability(f.durability); err != nil {
		return cfg, usagef("--durability: %w", err)
	}
	if cfg.Limits, err = localstream.ParseLimits(f.limits); err != nil {
		return cfg, usagef("--limits: %w", err)
	}
	if f.shardLimit < 0 {
		return cfg, usagef("--shard-limit %d: a number of shards, or 0 for no limit", f.shardLimit)
	}
	cfg.ShardLimit = cmp.Or(f.shardLimit, -1)
	cfg.MaxBytes, cfg.MaxStreamBytes, cfg.MinFreeBytes = int64(f.maxBytes), int64(f.maxStream), cmp.Or(int64(f.minFree), -1)
	if cfg.DataDir == "" && cfg.Durability != localstream.Memory {
		return cfg, usagef("--data-dir: empty: want a directory, or --durability memory")
	}
	if cfg.KMSKeys, err = parseKMSKeys(f.kmsKeys); err != nil {
		return cfg, err
	}
	if err := f.secure.configure(&cfg); err != nil {
		return cfg, err
	}
	if err := f.checkAddresses(a, cfg); err != nil {
		return cfg, err
	}
	level, err := zapcore.ParseLevel(f.logLevel)
	if err != nil {
		return cfg, usagef("--log-level %q: want debug, info, warn or error", f.logLevel)
	}
	out := zapcore.Lock(zapcore.AddSync(a.err))
	cfg.Logger = newLogger(out, level)
	cfg.Damaged = tellOfDamage(out)
	cfg.Version = version()
	return cfg, nil
}

// flagError names the flag in an error about the field that it sets.
func flagError(err error) error {
	bad, ok := errors.AsType[*localstream.ConfigError](err)
	if !ok {
		return err
	}
	flag, ok := map[string]string{
		"AccountID": "account-id", "Region": "region", "MaxBytes": "max-bytes", "MaxStreamBytes": "max-stream-bytes",
		"CreateDelay": "create-delay", "UpdateDelay": "update-delay", "DeleteDelay": "delete-delay",
		"ConsumerDelay": "consumer-delay", "ChannelDelay": "channel-delay", "ChannelFreshness": "channel-freshness",
		"AllowHosts": "allow-host", "AllowOrigins": "allow-origin",
	}[bad.Field]
	if !ok {
		return err
	}
	return usagef("--%s: %w", flag, bad.Err)
}

// parseFaults reads the lines of --fault.
func parseFaults(lines []string) ([]localstream.Fault, error) {
	faults := make([]localstream.Fault, len(lines))
	for i, line := range lines {
		var err error
		if faults[i], err = localstream.ParseFault(line); err != nil {
			return nil, usagef("--fault: %w", err)
		}
	}
	return faults, nil
}

// parseKMSKeys makes a table of the lines of --kms-key; no line is no table.
func parseKMSKeys(lines []string) (map[string]localstream.KMSKey, error) {
	if len(lines) == 0 {
		return nil, nil
	}
	keys := map[string]localstream.KMSKey{}
	for _, line := range lines {
		id, key, err := localstream.ParseKMSKey(line)
		if err != nil {
			return nil, usagef("--kms-key: %w", err)
		}
		if _, twice := keys[id]; twice {
			return nil, usagef("--kms-key: key %q is there twice", id)
		}
		keys[id] = key
	}
	return keys, nil
}

// newLogger logs to w in lines for people.
func newLogger(w zapcore.WriteSyncer, level zapcore.Level) *zap.Logger {
	encoder := zap.NewDevelopmentEncoderConfig()
	encoder.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(encoder), zapcore.Lock(w), level))
}
