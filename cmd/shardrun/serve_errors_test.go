package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
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
		{"a damaged journal", damaged, "shardrun repair"},
	} {
		_, errOut, code := cli(t, "", "serve", "--listen", "127.0.0.1:0", "--data-dir", c.dir)
		if code != exitFail || !strings.Contains(errOut, c.want) {
			t.Errorf("%s: exit %d, want %q: %s", c.what, code, c.want, errOut)
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
