package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/cmd/shardrun/internal/demo"
	"github.com/shardrun/shardrun/internal/redistest"
)

func TestDemo(t *testing.T) {
	for name, where := range map[string]func(t *testing.T) []string{
		"embedded": func(*testing.T) []string { return nil },
		"leases in Redis": func(t *testing.T) []string {
			addr := redistest.Server(t)
			t.Cleanup(func() {
				c := redis.NewClient(&redis.Options{Addr: addr})
				defer c.Close()
				if keys := c.Keys(t.Context(), "*").Val(); len(keys) > 0 {
					t.Errorf("the demo left %q in Redis", keys)
				}
			})
			return []string{"--redis", addr}
		},
		"a server on the network": func(t *testing.T) []string { return append(local(t), "--redis", "redis://"+redistest.Server(t)+"/1") },
		"leases in a cluster": func(t *testing.T) []string {
			return []string{"--redis", "redis+cluster://" + strings.Join(redistest.StartCluster(t, false).Addrs(), ",")}
		},
		"more of everything": func(*testing.T) []string { return []string{"--workers", "4", "--shards", "5", "--records", "5000"} },
		"one shard":          func(*testing.T) []string { return []string{"--shards", "1"} },
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"demo", "--rate", "0", "--records", "2500", "--json"}, where(t)...)
			s := jsonLines[demo.Summary](t, ok(t, "", args...))[0]
			if s.Sent < 2500 || s.Handled != s.Sent || s.Lost != 0 || s.OrderViolations != 0 || !s.MatchesFile {
				t.Errorf("audit %+v", s)
			}
			if s.Duplicates == 0 {
				t.Error("nothing was delivered again, so no worker was killed with records handled and not checkpointed")
			}
			if s.Splits != 2 || s.Merges != 1 || s.Joined != 1 || s.Killed != 1 || s.Drained != 1 {
				t.Errorf("script %+v", s)
			}
		})
	}
}

func TestDemoShowsWhatHappens(t *testing.T) {
	out := ok(t, "", "demo", "--rate", "0", "--records", "2500", "--stream", "shown")
	for _, want := range []string{
		"stream shown with 2 shards, in this process; leases in memory", "split shard 0 into shard 2 and shard 3", "merged shard 3 and shard 4",
		"worker-3 joined", "was killed in the middle of a batch", "is held back until its child has records", "drained", "all 2500 records are sent",
		"airports of most flights", "matches the file  yes", "lost              0",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestDemoRefusesBadInput(t *testing.T) {
	for want, args := range map[string][]string{
		"--records 100: at least 2500": {"--records", "100"},
		"--rate -1":                    {"--rate", "-1"},
		"--workers 1: at least 2":      {"--workers", "1"},
		"--shards 0: at least 1":       {"--shards", "0"},
	} {
		if _, errOut, code := cli(t, "", append([]string{"demo"}, args...)...); code != exitUsage || !strings.Contains(errOut, want) {
			t.Errorf("%v: exit %d, want 2 and %q: %s", args, code, want, errOut)
		}
	}
	bad := filepath.Join(t.TempDir(), "bad.ndjson")
	if err := os.WriteFile(bad, []byte("{\"origin\":\"DFW\"}\nnope\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errOut, code := cli(t, "", "demo", "--data", bad); code != exitFail || !strings.Contains(errOut, "line 2") {
		t.Errorf("bad data: exit %d: %s", code, errOut)
	}
	if _, errOut, code := cli(t, "", "demo", "--data", bad+".none"); code != exitFail || !strings.Contains(errOut, "bad.ndjson.none") {
		t.Errorf("no such file: exit %d: %s", code, errOut)
	}
	if _, errOut, code := cli(t, "", "demo", "--redis", "127.0.0.1:1"); code != exitFail || !strings.Contains(errOut, "no Redis answers") {
		t.Errorf("no Redis: exit %d: %s", code, errOut)
	}
}

// The group is the demo's own: one that is called like the stream is somebody's.
func TestDemoTouchesNoOtherGroup(t *testing.T) {
	addr := redistest.Server(t)
	c := redis.NewClient(&redis.Options{Addr: addr})
	defer c.Close()
	if err := c.HSet(t.Context(), "{orders}:m", "seq", 7).Err(); err != nil {
		t.Fatal(err)
	}
	ok(t, "", "demo", "--rate", "0", "--records", "2500", "--stream", "orders", "--redis", addr)
	if keys := c.Keys(t.Context(), "*").Val(); len(keys) != 1 || keys[0] != "{orders}:m" {
		t.Errorf("keys afterwards: %q", keys)
	}
}
