package localstream

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// A stream of which all records are gone is missed: verify says so, the stream
// refuses to serve and others do not mind, and a repair, or its deletion, ends
// that.
func TestAStreamWithoutItsFilesIsMissed(t *testing.T) {
	for name, lose := range map[string]func(dir string) error{
		"its directory": os.RemoveAll,
		"its files": func(dir string) error {
			files, err := filepath.Glob(filepath.Join(dir, "*.log"))
			for _, f := range files {
				err = os.Remove(f)
			}
			return err
		},
	} {
		for _, repaired := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, repaired %v", name, repaired), func(t *testing.T) {
				dir := t.TempDir()
				h := open(t, Config{DataDir: dir})
				h.create("s", 2)
				h.create("other", 1)
				first := *h.put("k", "lost").SequenceNumber
				id := mustView(h).ID
				h.must(h.server.Close())
				h.must(lose(filepath.Join(dir, streamsDir, id)))

				v, err := Verify(dir)
				h.must(err)
				s := v.Streams[1]
				if !v.Damaged || s.ARN != testARN || len(s.Damage) != 1 || s.Damage[0].Reason != "all segments of the log are missing" || !s.Shards[0].Damaged || !s.Shards[1].Damaged {
					t.Errorf("%+v", v)
				}
				h = open(t, Config{DataDir: dir})
				_, err = h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: []byte("x")})
				h.wantError(err, typeInternal, "")
				_, err = h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("other"), PartitionKey: aws.String("k"), Data: []byte("x")})
				h.must(err)
				if !repaired {
					_, err = h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("s")})
					h.must(err)
					h.must(h.server.Close())
					if v, err = Verify(dir); err != nil || v.Damaged || len(v.Streams) != 1 {
						t.Errorf("after the deletion: %+v, %v", v, err)
					}
					return
				}
				_ = h.server.Close()
				r, err := Repair(dir)
				h.must(err)
				if len(r.Lost) != 2 || r.Lost[0].Exact || r.Lost[0].From != "" || r.Lost[0].To != "" || len(r.Files) != 1 {
					t.Errorf("repair: %+v", r)
				}
				if v, err = Verify(dir); err != nil || v.Damaged {
					t.Errorf("after the repair: %+v, %v", v, err)
				}
				h = open(t, Config{DataDir: dir})
				if again := *h.put("k", "new").SequenceNumber; again <= first {
					t.Errorf("number %s after %s", again, first)
				}
				h.must(h.server.Close())
			})
		}
	}
}

// A stream that was being made when the server was killed has no files yet: that
// is no damage, and the next opening makes them.
func TestAStreamThatIsBeingMadeNeedNoFiles(t *testing.T) {
	dir := t.TempDir()
	h := open(t, Config{DataDir: dir, CreateDelay: time.Hour})
	h.create("s", 1)
	id := mustView(h).ID
	h.must(h.server.Close())
	h.must(os.RemoveAll(filepath.Join(dir, streamsDir, id)))
	v, err := Verify(dir)
	h.must(err)
	if v.Damaged || len(v.Streams) != 0 {
		t.Errorf("%+v", v)
	}
	h = open(t, Config{DataDir: dir})
	h.put("k", "x")
	h.must(h.server.Close())
}

// The oldest files of a log, and the newest, may be gone for good reasons: that is
// a doubt, if the rest has one, and no damage.
func TestVerifyHasDoubts(t *testing.T) {
	dir := t.TempDir()
	h := open(t, Config{DataDir: dir, segmentBytes: 4 << 10})
	h.create("s", 1)
	for range 6 {
		h.put("k", strings.Repeat("x", 3000))
	}
	id := mustView(h).ID
	h.must(h.server.Close())
	files, err := filepath.Glob(filepath.Join(dir, streamsDir, id, "*.log"))
	h.must(err)
	doubts := func() string {
		t.Helper()
		v, err := Verify(dir)
		h.must(err)
		if v.Damaged {
			t.Errorf("%+v", v.Streams[0].Damage)
		}
		return strings.Join(v.Streams[0].Doubts, "\n")
	}
	equal(t, "doubts about all", doubts(), "")
	h.must(os.Remove(files[0]))
	if got := doubts(); !strings.HasPrefix(got, "the log begins with batch ") || !strings.Contains(got, "older files are gone") {
		t.Errorf("without the first: %q", got)
	}
	h.must(os.Remove(files[len(files)-1]))
	if got := doubts(); !strings.Contains(got, "\nthe last file of the log is complete, and none follows") {
		t.Errorf("without the last: %q", got)
	}
}

// What has expired leaves no doubt.
func TestVerifyDoesNotDoubtRetention(t *testing.T) {
	bubble(t, func(t *testing.T) {
		dir := t.TempDir()
		h := open(t, Config{DataDir: dir, segmentBytes: 4 << 10})
		h.create("s", 1)
		for range 6 {
			h.put("k", strings.Repeat("x", 3000))
		}
		time.Sleep(24*time.Hour + 2*upkeepEvery)
		h.put("k", "x")
		equal(t, "records", h.read(h.iterator("0", types.ShardIteratorTypeTrimHorizon)), "[x]")
		h.must(h.server.Close())
		v, err := Verify(dir)
		h.must(err)
		equal(t, "doubts", v.Streams[0].Doubts, "[]")
		if v.Streams[0].Records > 3 {
			t.Error("nothing was trimmed")
		}
	})
}
