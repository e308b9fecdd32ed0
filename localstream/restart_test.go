package localstream

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/vfs"
)

// open opens a server that the caller closes.
func open(t *testing.T, cfg Config) *harness {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // a second Close gives the error of the first, which the test has seen
	return &harness{T: t, server: s, client: s.plainClient(noRetry)}
}

// What was put is there after a restart, numbers go on rising, and so do
// iterators that were given before.
func TestRestart(t *testing.T) {
	for _, d := range []Durability{Sync, Async} {
		t.Run(d.String(), func(t *testing.T) {
			cfg := Config{DataDir: filepath.Join(t.TempDir(), "data"), Durability: d}
			h := open(t, cfg)
			h.create("s", 1)
			h.create("gone", 1)
			number := *h.putAt("1", "0").SequenceNumber
			it := h.iterator("0", types.ShardIteratorTypeTrimHorizon)
			_, err := h.client.IncreaseStreamRetentionPeriod(t.Context(), &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: aws.String("s"), RetentionPeriodHours: aws.Int32(30)})
			h.must(err)
			h.split("0", "100")
			h.putAt("1", "1")
			_, err = h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("gone")})
			h.must(err)
			before := fmt.Sprint(describe(mustView(h).Shards))
			h.must(h.server.Close())
			h.must(h.server.Close())

			for i := range 3 {
				h = open(t, cfg)
				out := h.get(it)
				equal(t, "parent", dataOf(out.Records), "[0]")
				equal(t, "number", *out.Records[0].SequenceNumber, number)
				equal(t, "children", len(out.ChildShards), 2)
				equal(t, "retention", *h.describe("s").RetentionPeriodHours, 30)
				list, err := h.client.ListStreams(t.Context(), &kinesis.ListStreamsInput{})
				h.must(err)
				equal(t, "streams", list.StreamNames, "[s]")
				number := *h.putAt("1", fmt.Sprint(i+2)).SequenceNumber
				var want []string
				for n := range i + 2 {
					want = append(want, fmt.Sprint(n+1))
				}
				child := h.get(h.iterator("1", types.ShardIteratorTypeTrimHorizon))
				equal(t, "child", dataOf(child.Records), want)
				numbers := []string{}
				for _, r := range child.Records {
					numbers = append(numbers, *r.SequenceNumber)
				}
				if !slices.IsSorted(numbers) || numbers[len(numbers)-1] != number {
					t.Errorf("numbers do not rise: %v", numbers)
				}
				h.must(h.server.Close())
			}
			h = open(t, cfg)
			if got := fmt.Sprint(describe(mustView(h).Shards)); len(got) != len(before) {
				t.Errorf("shards changed:\n%s\n%s", before, got)
			}
			dirs, err := os.ReadDir(filepath.Join(cfg.DataDir, streamsDir))
			h.must(err)
			equal(t, "directories", len(dirs), 1)
		})
	}
}

func mustView(h *harness) *view {
	h.Helper()
	_, v, err := h.server.lookup(testKey("s"))
	h.must(err)
	return v
}

// After a power failure at any moment the records that were acknowledged are
// there, at the numbers that were given, and nothing is there that was not put;
// new numbers are above all that was ever given out; the shards tile. With
// Async only numbers are promised, and that the server opens.
func TestPowerFailure(t *testing.T) {
	for seed := range uint64(60) {
		for _, durability := range []Durability{Sync, Async} {
			rng := rand.New(rand.NewPCG(seed, uint64(durability)))
			powerFailures(t, rng, durability)
			if t.Failed() {
				t.Fatalf("seed %d, durability %v", seed, durability)
			}
		}
	}
}

func powerFailures(t *testing.T, rng *rand.Rand, durability Durability) {
	disk := vfs.NewCrash()
	acked := map[string]string{} // data → shard and number
	highest := map[string]string{}
	next := 0
	for range 3 {
		h := open(t, Config{Durability: durability, fs: disk, segmentBytes: 8 << 10})
		if len(*h.server.catalog.Load()) == 0 {
			h.create("s", 1)
		}
		checkRecovered(t, h, acked, next, durability)
		if durability == Async { // what was lost is lost; what is there has to stay
			clear(acked)
			records, err := h.server.Records("s")
			h.must(err)
			for _, r := range records {
				acked[string(r.Data)] = r.ShardID + r.SequenceNumber
			}
		}
		for range 1 + rng.IntN(15) {
			switch rng.IntN(8) {
			case 0:
				v := mustView(h)
				if n := len(v.open) + rng.IntN(3) - 1; n >= 1 && n <= 4 {
					_, err := h.client.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{
						StreamName: aws.String("s"), TargetShardCount: aws.Int32(int32(n)), ScalingType: types.ScalingTypeUniformScaling})
					h.must(err)
				}
			case 1:
				name := fmt.Sprint("other", rng.IntN(3))
				if _, err := h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: &name}); err != nil {
					h.create(name, 1)
				}
			default:
				in := &kinesis.PutRecordsInput{StreamName: aws.String("s")}
				for range 1 + rng.IntN(5) {
					in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprint(rng.IntN(50))),
						Data: []byte(fmt.Sprintf("%06d", next) + strings.Repeat("x", rng.IntN(600)))})
					next++
				}
				out, err := h.client.PutRecords(t.Context(), in)
				h.must(err)
				for i, r := range out.Records {
					if *r.SequenceNumber <= highest[*r.ShardId] {
						t.Errorf("number %s in %s was given before", *r.SequenceNumber, *r.ShardId)
					}
					highest[*r.ShardId] = *r.SequenceNumber
					acked[string(in.Records[i].Data)] = *r.ShardId + *r.SequenceNumber
				}
			}
		}
		crashed := disk.CrashClone(rng)
		h.must(h.server.Close()) // the end of the process; the clone does not see it
		disk = crashed
	}
}

func checkRecovered(t *testing.T, h *harness, acked map[string]string, next int, durability Durability) {
	t.Helper()
	records, err := h.server.Records("s")
	h.must(err)
	found := map[string]string{}
	for _, r := range records {
		var n int
		if _, err := fmt.Sscanf(string(r.Data), "%06d", &n); err != nil || n >= next {
			t.Errorf("a record that nobody put: %q", r.Data)
		}
		found[string(r.Data)] = r.ShardID + r.SequenceNumber
	}
	for data, place := range acked {
		if got, ok := found[data]; ok && got != place || !ok && durability == Sync {
			t.Errorf("record %.6s was acknowledged at %s, it is at %q", data, place, got)
		}
	}
}

// A transition that was under way goes on when the server is opened again.
func TestTransitionsGoOnAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := vfs.NewMemory()
		cfg := Config{fs: disk, CreateDelay: time.Second, UpdateDelay: time.Second, DeleteDelay: time.Second}
		wait := func() {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		h := open(t, cfg)
		h.create("s", 1)
		h.create("other", 1)
		h.must(h.server.Close())
		h = open(t, cfg)
		equal(t, "created, reopened", h.describe("s").StreamStatus, "CREATING")
		wait()
		h.split("0", "100")
		_, err := h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("other")})
		h.must(err)
		h.must(h.server.Close())
		h = open(t, cfg)
		equal(t, "split, reopened", h.describe("s").StreamStatus, "UPDATING")
		equal(t, "deleted, reopened", h.describe("other").StreamStatus, "DELETING")
		wait()
		equal(t, "shards", len(h.shards()), 3)
		_, err = h.client.DescribeStream(t.Context(), &kinesis.DescribeStreamInput{StreamName: aws.String("other")})
		h.wantError(err, typeNotFound, "")
		h.must(h.server.Close())
	})
}

// Reopening without delays ends every transition at once.
func TestTransitionsEndAtOnceWithoutDelays(t *testing.T) {
	disk := vfs.NewMemory()
	h := open(t, Config{fs: disk, CreateDelay: time.Hour})
	h.create("s", 1)
	h.must(h.server.Close())
	h = open(t, Config{fs: disk})
	equal(t, "status", h.describe("s").StreamStatus, "ACTIVE")
}

func TestDataDirErrors(t *testing.T) {
	dir := t.TempDir()
	open(t, Config{DataDir: dir})
	_, err := Open(Config{DataDir: dir})
	if !errors.Is(err, vfs.ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a data directory in use: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{DataDir: file}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a data directory that is a file: %v", err)
	}
	if _, err := Open(Config{DataDir: "/proc/nothing"}); err == nil || !strings.Contains(err.Error(), "/proc/nothing") {
		t.Errorf("a data directory that cannot be written: %v", err)
	}
}

// A directory is free again when opening it failed half way.
func TestAFailedOpenLeavesNothingLocked(t *testing.T) {
	disk := vfs.NewCrash()
	h := open(t, Config{fs: disk})
	h.create("s", 1)
	h.must(h.server.Close())
	flip := func(b []byte) []byte {
		b[len(b)/2] ^= 1
		return b
	}
	entries, err := disk.List(journalDir)
	h.must(err)
	h.must(disk.Damage(journalDir+"/"+entries[0].Name, flip))
	if _, err := Open(Config{fs: disk}); err == nil {
		t.Fatal("damaged metadata is accepted")
	}
	h.must(disk.Damage(journalDir+"/"+entries[0].Name, flip)) // as it was
	h = open(t, Config{fs: disk})
	equal(t, "status", h.describe("s").StreamStatus, "ACTIVE")
}

func TestConfigErrors(t *testing.T) {
	for want, cfg := range map[string]Config{
		"DataDir":          {},
		"Durability":       {Durability: 7},
		"AccountID":        {Durability: Memory, AccountID: "12"},
		"Region":           {Durability: Memory, Region: "us east"},
		"Limits":           {Durability: Memory, Limits: 9},
		"CreateDelay":      {Durability: Memory, CreateDelay: -1},
		"ChannelFreshness": {Durability: Memory, ChannelFreshness: time.Millisecond},
		"MaxBytes":         {Durability: Memory, MaxBytes: 16<<20 - 1},
		"MaxStreamBytes":   {Durability: Memory, MaxStreamBytes: -1},
		"AllowHosts":       {Durability: Memory, AllowHosts: []string{"a.test", "*"}},
		"AllowOrigins":     {Durability: Memory, AllowOrigins: []string{"*"}},
	} {
		_, err := Open(cfg)
		if bad, ok := errors.AsType[*ConfigError](err); !ok || bad.Field != want || !strings.HasPrefix(err.Error(), "localstream config: "+want+": ") {
			t.Errorf("%s: %v", want, err)
		}
	}
	_ = NewT(t, Config{MaxBytes: 16 << 20, MaxStreamBytes: 16 << 20, ChannelFreshness: leastChannelFreshness})
}

// A name or an origin that no request can have would be allowed in vain.
func TestNamesThatNoRequestHasAreRefused(t *testing.T) {
	for _, host := range []string{"", "*", "*.test", "kinesis:4567", "http://kinesis", "a b", "a,b", "[::1]", "10.1.2.3:80", "häuser.test", strings.Repeat("x", 254)} {
		if isHost(host) {
			t.Errorf("host %q is accepted", host)
		}
	}
	for _, host := range []string{"kinesis", "Kinesis.test", "my_service", "a-b.test.", "10.1.2.3", "2001:db8::1"} {
		if !isHost(host) {
			t.Errorf("host %q is refused", host)
		}
	}
	for _, origin := range []string{"", "*", "null", "foo", "localhost:3000", "http://", "http://:3000", "http://a/", "http://a/b", "http://a?b", "http://a#b", "http://u@a",
		"http://A", "HTTP://a", "http://a:", "http://a:80", "https://a:443", "http://a:0", "http://a:080", "http://a:65536", "http://a:b", "http://*.a", "http://a b", "http://ä", "//a"} {
		if isOrigin(origin) {
			t.Errorf("origin %q is accepted", origin)
		}
	}
	for _, origin := range []string{"http://localhost:3000", "https://app.example", "http://a:443", "https://a:80", "http://10.1.2.3:8080", "http://[::1]:3000", "chrome-extension://abcdefgh", "app://-"} {
		if !isOrigin(origin) {
			t.Errorf("origin %q is refused", origin)
		}
	}
}
