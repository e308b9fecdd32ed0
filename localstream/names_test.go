package localstream

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// names are stream names that are good and look bad, to file systems or shells.
var names = []string{".", "..", "...", "-", "--", "-rf", "_", "a", "A", "con", "CON", "nul", "lock", "meta", "streams", "tls-ca.pem", "a.b", "a..b", ".a", "a.", "~", strings.Repeat("n", 128)}

// Every name that the API allows works, for itself, and lies in no directory of
// its name; all files are for their owner alone.
func TestNamesThatLookLikePathsAreNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	h := open(t, generated(Config{DataDir: dir, Durability: Async}))
	good := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !isName(name) })
	put := func(h *harness) {
		for _, name := range good {
			_, err := h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: &name, PartitionKey: aws.String("k"), Data: []byte(name)})
			h.must(err)
		}
	}
	for _, name := range good {
		h.create(name, 1)
	}
	put(h)
	h.must(h.server.Close())
	h = open(t, generated(Config{DataDir: dir, Durability: Async}))
	put(h)
	for _, name := range good {
		records, err := h.server.Records(name)
		h.must(err)
		if len(records) != 2 || string(records[0].Data) != name || string(records[1].Data) != name {
			t.Errorf("stream %s has %d records", name, len(records))
		}
	}
	h.must(filepath.WalkDir(filepath.Dir(dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		inside := strings.HasPrefix(path, dir)
		if mode := info.Mode().Perm(); inside && mode != map[bool]fs.FileMode{true: 0o700, false: 0o600}[d.IsDir()] {
			t.Errorf("%s has mode %o", path, mode)
		}
		if !inside && path != filepath.Dir(dir) {
			t.Errorf("%s is outside of the data directory", path)
		}
		if filepath.Base(filepath.Dir(path)) == streamsDir && slices.Contains(names, d.Name()) {
			t.Errorf("%s is called as a stream is", path)
		}
		return nil
	}))
	for _, name := range good {
		_, err := h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: &name})
		h.must(err)
	}
	if _, err := os.Stat(filepath.Join(dir, lockName)); err != nil {
		t.Error(err)
	}
}

// A name that the API does not allow is refused by every operation that takes
// one.
func TestBadNamesAreRefusedByEveryOperation(t *testing.T) {
	h := start(t, 1)
	for _, op := range operations() {
		if _, ok := op.input.FieldByName("StreamName"); !ok {
			continue
		}
		for _, name := range []string{"/", "a/b", "../a", "..\\a", "a\x00", "a\n", "~", "a b", "ä", "%2e%2e", "", strings.Repeat("n", 129)} {
			body, err := json.Marshal(map[string]string{"StreamName": name})
			h.must(err)
			if kind, message := h.refused(op.name, string(body)); kind != typeValidation || !strings.Contains(message, "streamName") {
				t.Errorf("%s of %q: %s: %s", op.name, name, kind, message)
			}
		}
		for _, name := range names {
			if !isName(name) {
				continue
			}
			body, err := json.Marshal(map[string]string{"StreamName": name})
			h.must(err)
			if status, answer := h.raw(op.name, string(body)); status >= 500 || strings.Contains(answer, "'streamName'") {
				t.Errorf("%s of %q: %d %s", op.name, name, status, answer)
			}
		}
	}
}

// A data directory behind a link of somebody else is refused.
func TestALinkOfSomebodyElseIsRefused(t *testing.T) {
	if os.Geteuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("only root can make links that are somebody else's")
	}
	top := t.TempDir()
	target, link := filepath.Join(top, "target"), filepath.Join(top, "link")
	if err := errors.Join(os.Mkdir(target, 0o700), os.Symlink(target, link)); err != nil {
		t.Fatal(err)
	}
	try := func() error {
		s, err := Open(Config{DataDir: link + "/"})
		if err != nil {
			return err
		}
		return s.Close()
	}
	if err := try(); err != nil {
		t.Errorf("a link of our own: %v", err)
	}
	if err := os.Lchown(link, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if err := try(); err == nil || !strings.Contains(err.Error(), link) || !strings.Contains(err.Error(), "user 12345") {
		t.Errorf("a link of somebody else: %v", err)
	}
	if err := errors.Join(os.Lchown(link, 0, 0), os.Chown(target, 12345, 12345)); err != nil {
		t.Fatal(err)
	}
	if err := try(); err == nil || !strings.Contains(err.Error(), "user 12345") {
		t.Errorf("a link to a directory of somebody else: %v", err)
	}
}
