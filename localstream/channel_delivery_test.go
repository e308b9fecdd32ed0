package localstream

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/state"
)

// object is a file in the folder that stands for S3.
type object struct{ path, body string }

// objectsIn gives the files below a directory, by path.
func objectsIn(t testing.TB, fsys vfs.FS, dir string) (out []object) {
	t.Helper()
	entries, err := fsys.List(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name)
		if e.Dir {
			out = append(out, objectsIn(t, fsys, name)...)
			continue
		}
		f, err := fsys.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, e.Size)
		if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		out = append(out, object{name, string(b)})
	}
	return out
}

// lines gives the lines of all objects of the bucket "lake", in order.
func lines(t testing.TB, fsys vfs.FS) []string {
	t.Helper()
	got := []string{}
	for _, o := range objectsIn(t, fsys, folderDir+"/lake") {
		got = append(got, strings.Split(strings.TrimSuffix(o.body, "\n"), "\n")...)
	}
	slices.Sort(got)
	return got
}

// What is put is delivered when it has come of age, and not before, from when
// the channel is there on.
func TestDeliveryWhenRecordsComeOfAge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := vfs.NewMemory()
		h := open(t, Config{fs: disk})
		h.onDemand("s")
		h.put("a", "before the channel")
		time.Sleep(time.Second)
		ch := h.channel(toS3())
		h.put("a", "one")
		time.Sleep(299 * time.Second)
		h.put("b", "two")
		equal(t, "before the time", lines(t, disk), "[]")
		time.Sleep(2 * time.Second)
		equal(t, "objects", len(objectsIn(t, disk, folderDir)), 1)
		equal(t, "at the time", lines(t, disk), "[one two]")
		first := objectsIn(t, disk, folderDir)[0].path
		at := time.Now().UTC().Format("2006/01/02/15")
		prefix := "s3/lake/kinesis-channel/c/" + *ch.ChannelId + "/" + at + "/c-" + *ch.ChannelId + "-" + strings.ReplaceAll(at, "/", "-") + "-"
		if !strings.HasPrefix(first, prefix) {
			t.Errorf("key %s, want %s...", first, prefix)
		}

		time.Sleep(time.Hour) // nothing comes, nothing is written
		equal(t, "objects after an hour", len(objectsIn(t, disk, folderDir)), 1)
		events := h.server.metadata.events
		time.Sleep(time.Hour)
		equal(t, "events of an idle channel", h.server.metadata.events, events)
		h.put("a", "three")
		time.Sleep(301 * time.Second)
		equal(t, "later", lines(t, disk), "[one three two]")

		// Shorter for all, from the moment that the channel says so.
		h.put("a", "four")
		_, err := h.client.UpdateChannel(t.Context(), &kinesis.UpdateChannelInput{ChannelARN: ch.ChannelARN,
			S3DestinationConfiguration: &types.S3DestinationUpdateInput{DataFreshnessInSeconds: aws.Int32(900)}})
		h.must(err)
		time.Sleep(310 * time.Second)
		equal(t, "after the old time", len(lines(t, disk)), 3)
		time.Sleep(600 * time.Second)
		equal(t, "after the new time", len(lines(t, disk)), 4)
		h.must(h.server.Close())
	})
}

func TestDeliveryIsAsFreshAsTheServerWants(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := vfs.NewMemory()
		h := open(t, Config{fs: disk, ChannelFreshness: 2 * time.Second})
		h.onDemand("s")
		h.channel(toS3())
		h.put("a", "x")
		time.Sleep(3 * time.Second)
		equal(t, "lines", lines(t, disk), "[x]")
		h.must(h.server.Close())
	})
}

// A server in memory delivers to a directory that it is given, and nowhere
// otherwise.
func TestDeliveryToADirectory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		dir := t.TempDir()
		h := start(t, 0, Config{ChannelDir: dir})
		h.onDemand("s")
		h.channel(toS3())
		h.put("a", "x")
		nowhere := start(t, 0)
		nowhere.onDemand("s")
		equal(t, "status", nowhere.channel(toS3()).ChannelStatus, "ACTIVE")
		nowhere.put("a", "x")
		time.Sleep(301 * time.Second)
		disk, err := vfs.OpenOS(dir)
		h.must(err)
		equal(t, "objects", objectsIn(t, disk, "lake")[0].body, "x\n")
		h.must(disk.Close())
		equal(t, "events", nowhere.server.metadata.events, 5) // opened, a stream, that it is ACTIVE, a channel, its start
	})
}

// Records by format, and what is not of its format.
func TestDeliveredFormats(t *testing.T) {
	records := []string{`{"a":1}`, "text\n", "", `["two` + "\n" + `lines"]`, "\xff\xfe", `"x"`}
	for format, want := range map[types.RecordFormatType]struct {
		body   string
		errors int
	}{
		types.RecordFormatTypeByteArray: {strings.Join(records, ""), 0},
		types.RecordFormatTypeString:    {`{"a":1}` + "\ntext\n\n[\"two\nlines\"]\n\"x\"\n", 1},
		types.RecordFormatTypeJson:      {`{"a":1}` + "\n\"x\"\n", 4},
	} {
		for _, compression := range types.S3CompressionType("").Values() {
			t.Run(fmt.Sprint(format, " ", compression), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					disk := vfs.NewMemory()
					h := open(t, Config{fs: disk})
					h.onDemand("s")
					h.channel(toS3(func(in *kinesis.CreateChannelInput) {
						in.StreamConfigurationList[0].RecordConfiguration.RecordFormatType = format
						in.S3DestinationConfiguration.StorageConfiguration.CompressionType = compression
						in.S3DestinationConfiguration.StorageConfiguration.OutputKeyTemplate = aws.String("all/!{stream-name}!{extension}")
						in.S3DestinationConfiguration.DeadLetterQueueS3Configuration = &types.DeadLetterQueueS3Configuration{
							BucketARN: aws.String("arn:aws:s3:::dead"), ExpectedBucketOwner: aws.String("000000000000"), ErrorOutputPrefix: aws.String("bad-")}
					}))
					var put []*kinesis.PutRecordOutput
					for _, r := range records {
						put = append(put, h.put("k", r))
					}
					time.Sleep(301 * time.Second)
					got := objectsIn(t, disk, folderDir+"/lake")
					equal(t, "objects", len(got), 1)
					extension := map[types.S3CompressionType]string{"GZIP": ".gz", "ZSTD": ".zst"}[compression]
					if !strings.HasPrefix(got[0].path, "s3/lake/all/s-") || !strings.HasSuffix(got[0].path, extension) || len(path.Base(got[0].path)) != len("s-")+36+len(extension) {
						t.Errorf("key %s", got[0].path)
					}
					equal(t, "body", decompress(t, compression, got[0].body), want.body)
					checkLetters(t, objectsIn(t, disk, folderDir+"/dead"), want.errors, format, put[4])
					h.must(h.server.Close())
				})
			})
		}
	}
}

func decompress(t *testing.T, compression types.S3CompressionType, body string) string {
	t.Helper()
	switch compression {
	case types.S3CompressionTypeGzip:
		r, err := gzip.NewReader(strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	case types.S3CompressionTypeZstd:
		return string(storedZstd(t, []byte(body)))
	}
	return body
}

// checkLetters checks that there are so many dead letters, one of them about a
// record.
func checkLetters(t *testing.T, objects []object, want int, format types.RecordFormatType, about *kinesis.PutRecordOutput) {
	t.Helper()
	if want == 0 {
		equal(t, "objects of dead letters", len(objects), 0)
		return
	}
	equal(t, "objects of dead letters", len(objects), 1)
	o := objects[0]
	if !strings.HasPrefix(o.path, "s3/dead/bad-c-") || !strings.HasSuffix(o.path, ".json") {
		t.Errorf("key %s", o.path)
	}
	letters := strings.Split(strings.TrimSuffix(o.body, "\n"), "\n")
	equal(t, "dead letters", len(letters), want)
	for _, line := range letters {
		var l map[string]string
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l["sequenceNumber"] != *about.SequenceNumber {
			continue
		}
		equal(t, "letter", l, map[string]string{
			"streamARN": *streamARN("s"), "shardId": *about.ShardId, "sequenceNumber": *about.SequenceNumber,
			"approximateArrivalTimestamp": time.Now().Add(-301 * time.Second).UTC().Format(time.RFC3339Nano), "errorCode": "InvalidRecordFormat",
			"errorMessage": map[types.RecordFormatType]string{"JSON": "The record is not valid JSON.", "STRING": "The record is not a valid UTF-8 string."}[format],
		})
		return
	}
	t.Errorf("no letter about %s:\n%s", *about.SequenceNumber, o.body)
}

// All shards are delivered, those that are closed and their children too.
func TestDeliveryOverAReshard(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := vfs.NewMemory()
		h := open(t, Config{fs: disk})
		h.onDemand("s")
		var want []string
		put := func() {
			for i := range 40 {
				want = append(want, fmt.Sprintf("%d in %d shards", i, len(h.shards())))
				h.put(fmt.Sprint(i), want[len(want)-1])
			}
			slices.Sort(want)
		}
		reshard := func(shard uint32) {
			h.must(h.server.change(t.Context(), func(m *metadata) error {
				st := (*h.server.catalog.Load())[testKey("s")]
				sh, _ := st.view.Load().Shard(shard)
				mid := sh.Range.Middle()
				return m.reshard(st, []state.Step{{Shard: shard, Split: &mid}}, nil)
			}))
		}
		h.put("x", "before")
		reshard(0)
		h.put("x", "before")
		h.channel(toS3())
		put()
		reshard(1)
		put()
		reshard(6) // a shard that the channel has never seen open
		put()
		time.Sleep(301 * time.Second)
		equal(t, "lines", lines(t, disk), want)
		put()
		time.Sleep(301 * time.Second)
		equal(t, "lines later", lines(t, disk), want)
		time.Sleep(48 * time.Hour) // the parents are forgotten
		put()
		time.Sleep(301 * time.Second)
		equal(t, "lines in the end", lines(t, disk), want)
		for _, ch := range *h.server.channels.Load() {
			for shard := range ch.Next {
				if _, ok := mustView(h).Shard(shard); !ok {
					t.Errorf("the channel remembers shard %d, which is no more", shard)
				}
			}
		}
		h.must(h.server.Close())
	})
}

// What is not delivered when a channel is deleted stays so; the channel that
// takes its name begins anew.
func TestADeletedChannelDeliversNoMore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := vfs.NewMemory()
		h := open(t, Config{fs: disk})
		h.onDemand("s")
		arn := h.channel(toS3()).ChannelARN
		h.put("a", "delivered")
		time.Sleep(301 * time.Second)
		h.put("a", "left")
		h.deleteChannel(arn)
		time.Sleep(time.Hour)
		h.channel(toS3())
		h.put("a", "new")
		time.Sleep(time.Hour)
		equal(t, "lines", lines(t, disk), "[delivered new]")
		h.must(h.server.Close())
	})
}

// Large deliveries are cut into objects.
func TestLargeDeliveriesMakeSeveralObjects(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := vfs.NewMemory()
		h := open(t, Config{fs: disk, objectBytes: 3 << 20})
		h.onDemand("s")
		h.channel(toS3())
		data := strings.Repeat("x", 1<<19)
		for i := range 32 {
			h.put(fmt.Sprint(i), fmt.Sprint(i)+data)
		}
		time.Sleep(301 * time.Second)
		objects := objectsIn(t, disk, folderDir)
		if len(objects) < 4 || len(objects) > 6 {
			t.Errorf("%d objects", len(objects))
		}
		for _, o := range objects {
			if len(o.body) > 5<<20 {
				t.Errorf("an object of %d bytes", len(o.body))
			}
		}
		equal(t, "lines", len(lines(t, disk)), 32)
		h.must(h.server.Close())
	})
}

// A template may make the keys of records those of dead letters. Both are
// delivered all the same, in objects of their own.
func TestDeadLettersWithTheKeysOfRecords(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := vfs.NewMemory()
		h := open(t, Config{fs: disk})
		h.onDemand("s")
		h.channel(toS3(func(in *kinesis.CreateChannelInput) {
			in.StreamConfigurationList[0].RecordConfiguration.RecordFormatType = types.RecordFormatTypeJson
			in.S3DestinationConfiguration.StorageConfiguration.OutputKeyTemplate = aws.String("kinesis-channel/errors/!{channel-name}/!{channel-id}/" +
				"!{channel-name}-!{channel-id}-!{yyyy}-!{MM}-!{dd}-!{HH}-!{mm}!{extension:.json}")
		}))
		h.put("a", `"good"`)
		h.put("a", "bad")
		time.Sleep(301 * time.Second)
		objects := objectsIn(t, disk, folderDir)
		if len(objects) != 2 {
			t.Fatalf("objects: %v", objects)
		}
		good, bad := objects[0], objects[1]
		if strings.Contains(good.body, "InvalidRecordFormat") {
			good, bad = bad, good
		}
		equal(t, "records", good.body, "\"good\"\n")
		equal(t, "dead letters", strings.Count(bad.body, "InvalidRecordFormat"), 1)
		h.must(h.server.Close())
	})
}
