package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go"
)

// A data directory that serve cannot use is named, with what is wrong with it.
func TestServeRefusesABadDataDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	newer, newerRecords, damaged := damagedData(t), damagedData(t), damagedData(t)
	journal := func(dir string) string { return filepath.Join(dir, "meta", "journal") }
	segments, err := filepath.Glob(filepath.Join(newerRecords, "streams", "*", "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, journal(newer), laterVersion)
	rewrite(t, segments[0], laterVersion)
	rewrite(t, journal(damaged), func(b []byte) { b[100] ^= 1 })
	for _, c := range []struct{ what, dir, want string }{
		{"a file", file, "not a directory"},
		{"a directory that takes no files", "/proc/self", "not writable"},
		{"a journal of a newer version", newer, "format version 2"},
		{"records of a newer version", newerRecords, "format version 2"},
		{"a damaged journal", damaged, "shardrun verify " + damaged + " finds all that is damaged, shardrun repair " + damaged + " says"},
	} {
		_, errOut, code := cli(t, "", "serve", "--listen", "127.0.0.1:0", "--data-dir", c.dir)
		if code != exitFail || !strings.Contains(errOut, c.want) {
			t.Errorf("%s: exit %d, want %q: %s", c.what, code, c.want, errOut)
		}
	}
}

// Damaged records do not keep serve from serving the rest, and it names the
// commands that help.
func TestServeNamesWhatHelpsADamagedDirectory(t *testing.T) {
	dir := damagedData(t)
	_, errOut := servedOnce(t, "--data-dir", dir)
	if strings.Count(errOut, "shardrun verify "+dir) != 1 || !strings.Contains(errOut, "shardrun repair "+dir) {
		t.Errorf("said %q", errOut)
	}
	ok(t, "", "repair", dir, "--yes")
	if _, errOut := servedOnce(t, "--data-dir", dir); errOut != "" {
		t.Errorf("said %q of a directory that is intact", errOut)
	}
}

// servedOnce runs serve until it is ready.
func servedOnce(t *testing.T, args ...string) (out, errOut string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var o, e bytes.Buffer
	if code := run(ctx, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...), nil, io.MultiWriter(&o, untilWritten{cancel}), &e); code != exitOK {
		t.Errorf("serve %v: exit %d: %s", args, code, &e)
	}
	return o.String(), e.String()
}

func TestServeWarnsOfADirectoryThatItDoesNotUse(t *testing.T) {
	dir := t.TempDir()
	if _, errOut := servedOnce(t, "--data-dir", dir, "--durability", "memory"); !strings.Contains(errOut, "--data-dir "+dir+" is not used") {
		t.Errorf("said %q", errOut)
	}
	if _, errOut := servedOnce(t, "--durability", "memory"); errOut != "" {
		t.Errorf("without --data-dir it said %q", errOut)
	}
}

// A directory of other things is served from, with a warning, once.
func TestServeWarnsOfADirectoryOfOtherThings(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"main.go", "go.mod", ".git", "streams"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if _, errOut := servedOnce(t, "--data-dir", dir); !strings.Contains(errOut, "other things in it (go.mod, main.go)") {
		t.Errorf("said %q", errOut)
	}
	if _, errOut := servedOnce(t, "--data-dir", dir); errOut != "" {
		t.Errorf("said %q of a directory with data", errOut)
	}
	fresh := t.TempDir()
	for range 2 {
		if _, errOut := servedOnce(t, "--data-dir", fresh, "--tls"); errOut != "" {
			t.Errorf("said %q of a directory of its own", errOut)
		}
	}
}

// laterVersion makes a file of the log say that a later program wrote it.
func laterVersion(b []byte) {
	b[8]++
	binary.LittleEndian.PutUint32(b[12:], crc32.Checksum(slices.Concat(b[:12], b[16:32]), crc32.MakeTable(crc32.Castagnoli)))
}

func rewrite(t *testing.T, name string, change func([]byte)) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err == nil {
		change(b)
		err = os.WriteFile(name, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Where the disk has less room than is to stay free, serve throttles puts, and
// says so on its health page.
func TestServeLeavesRoomOnTheDisk(t *testing.T) {
	first, _ := serving(t, "--data-dir", t.TempDir(), "--min-free-bytes", "1000000GiB") // more than any disk has
	url := strings.TrimPrefix(strings.TrimSpace(first), "listening on ")
	ok(t, "", "streams", "create", "s", "--endpoint", url)
	client := kinesis.New(kinesis.Options{
		Region: "us-east-1", BaseEndpoint: &url, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	_, err := client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: []byte("x")})
	if api, ok := errors.AsType[smithy.APIError](err); !ok || api.ErrorCode() != "ProvisionedThroughputExceededException" || !strings.Contains(api.ErrorMessage(), "bytes left") {
		t.Errorf("put: %v", err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/_shardrun/health", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var health struct {
		Disk struct {
			Throttled bool
			Free      int64 `json:"free_bytes"`
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&health); err != nil || !health.Disk.Throttled || health.Disk.Free <= 0 {
		t.Errorf("health: %+v, %v", health, err)
	}
}
