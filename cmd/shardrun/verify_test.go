package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shardrun/shardrun/localstream"
)

// damagedData is a data directory with a stream, of which one record is damaged.
func damagedData(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	first, stop := serving(t, "--data-dir", dir)
	at := []string{"--endpoint", strings.TrimPrefix(strings.TrimSpace(first), "listening on ")}
	ok(t, "", append([]string{"streams", "create", "orders"}, at...)...)
	for _, data := range []string{"first", "second", "third"} {
		ok(t, "", append([]string{"put", "orders", data, "--key", "k"}, at...)...)
	}
	if _, errOut, code := cli(t, "", "verify", dir); code != exitFail || !strings.Contains(errOut, "pid") {
		t.Errorf("verify while the server runs: exit %d: %s", code, errOut)
	}
	if code := stop(); code != exitOK {
		t.Fatalf("exit %d", code)
	}
	if out := ok(t, "", "verify", dir); !strings.Contains(out, "all is intact") || !strings.Contains(out, "stream/orders") || !strings.Contains(out, "3 records") {
		t.Errorf("verify of what is intact: %s", out)
	}
	segments, err := filepath.Glob(filepath.Join(dir, "streams", "*", "*.log"))
	if err != nil || len(segments) != 1 {
		t.Fatal(segments, err)
	}
	b, err := os.ReadFile(segments[0])
	if err == nil {
		b[bytes.Index(b, []byte("second"))] ^= 1
		err = os.WriteFile(segments[0], b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestVerifyAndRepair(t *testing.T) {
	dir := damagedData(t)
	out, errOut, code := cli(t, "", "verify", dir)
	for _, want := range []string{"shardId-000000000000 refuses to serve", "at offset", "DAMAGED", "shardrun repair " + dir} {
		if code != exitFail || errOut != "" || !strings.Contains(out, want) {
			t.Errorf("verify: exit %d, want %q in: %s%s", code, want, out, errOut)
		}
	}
	out, _, code = cli(t, "", "verify", dir, "--json")
	if v := jsonLines[localstream.Verification](t, out); code != exitFail || len(v) != 1 || !v[0].Damaged || v[0].Streams[0].Records != 2 || len(v[0].Streams[0].Damage) != 1 {
		t.Errorf("verify --json: exit %d: %s", code, out)
	}
	out, errOut, code = cli(t, "", "repair", dir)
	if code != exitPlan || !strings.Contains(errOut, "--yes") || !strings.Contains(out, ".log: would be made anew with the 2 that are intact; the original would be kept as") || !strings.Contains(out, "would be lost: arn:aws:kinesis:us-east-1:000000000000:stream/orders shardId-000000000000: 1 record, from 4") {
		t.Errorf("repair without --yes: exit %d: %s%s", code, out, errOut)
	}
	if _, _, code := cli(t, "", "verify", dir); code != exitFail {
		t.Errorf("after a repair without --yes: exit %d", code)
	}
	if out := ok(t, "", "repair", dir, "--yes"); !strings.Contains(out, "repaired") || strings.Contains(out, "would") || !strings.Contains(out, "\nlost: arn") || !strings.Contains(out, ".log.damaged") {
		t.Errorf("repair: %s", out)
	}
	ok(t, "", "verify", dir)
	if out := ok(t, "", "repair", dir); !strings.Contains(out, "nothing is damaged") {
		t.Errorf("repair of what is intact: %s", out)
	}
	first, _ := serving(t, "--data-dir", dir)
	endpoint := strings.TrimPrefix(strings.TrimSpace(first), "listening on ")
	got := jsonLines[tailed](t, ok(t, "", "tail", "orders", "--from", "trim", "--no-follow", "--json", "--endpoint", endpoint))
	if len(got) != 2 || string(got[0].Data) != "first" || string(got[1].Data) != "third" {
		t.Errorf("read %+v after the repair", got)
	}
}

func TestRepairAsJSON(t *testing.T) {
	dir := damagedData(t)
	out, _, code := cli(t, "", "repair", dir, "--json")
	if r := jsonLines[localstream.RepairReport](t, out); code != exitPlan || len(r) != 1 || r[0].Done || len(r[0].Lost) != 1 || !r[0].Lost[0].Exact {
		t.Errorf("plan: exit %d: %s", code, out)
	}
	if r := jsonLines[localstream.RepairReport](t, ok(t, "", "repair", dir, "--yes", "--json")); len(r) != 1 || !r[0].Done || r[0].Files[0].Kept != 2 {
		t.Errorf("repair: %+v", r)
	}
}

func TestVerifyOfWhatIsNoDataDirectory(t *testing.T) {
	for _, args := range [][]string{{"verify", t.TempDir()}, {"repair", t.TempDir(), "--yes"}} {
		if _, errOut, code := cli(t, "", args...); code != exitFail || !strings.Contains(errOut, "not a data directory") {
			t.Errorf("%v: exit %d: %s", args, code, errOut)
		}
	}
	if _, errOut, code := cli(t, "", "verify"); code != exitUsage || !strings.Contains(errOut, "verify DIR") {
		t.Errorf("without a directory: exit %d: %s", code, errOut)
	}
}
