package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/shardrun/shardrun/internal/redistest"
	"github.com/shardrun/shardrun/localstream"
)

// cli runs the program and returns what it printed and its exit code.
func cli(t *testing.T, stdin string, args ...string) (out, errOut string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(stdin), &o, &e)
	return o.String(), e.String(), code
}

// ok runs the program, which must succeed.
func ok(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, errOut, code := cli(t, stdin, args...)
	if code != exitOK {
		t.Fatalf("shardrun %s: exit %d: %s%s", strings.Join(args, " "), code, out, errOut)
	}
	return out
}

// jsonLines reads what --json printed.
func jsonLines[T any](t *testing.T, text string) []T {
	t.Helper()
	var out []T
	dec := json.NewDecoder(strings.NewReader(text))
	for {
		var v T
		err := dec.Decode(&v)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		out = append(out, v)
	}
}

// serving starts `shardrun serve` on a free port and returns its first line.
// stop ends it as SIGTERM does and returns its exit code.
func serving(t *testing.T, args ...string) (first string, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	var errOut bytes.Buffer
	ended := make(chan int, 1) // room for the one exit code
	go func() {
		code := run(ctx, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...), nil, w, &errOut)
		_ = w.CloseWithError(fmt.Errorf("serve ended: %s", errOut.String()))
		ended <- code
	}()
	lines := bufio.NewReader(r)
	first, err := lines.ReadString('\n')
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	go io.Copy(io.Discard, lines) //nolint:errcheck // drains what serve prints after its first line
	code := -1
	stop = func() int {
		cancel()
		if code < 0 {
			code = <-ended
		}
		return code
	}
	t.Cleanup(func() { stop() })
	return first, stop
}

// local starts a server in memory and returns the flags that reach it.
func local(t *testing.T) []string {
	t.Helper()
	first, _ := serving(t, "--durability", "memory", "--json")
	return []string{"--endpoint", jsonLines[struct{ Listening string }](t, first)[0].Listening}
}

func TestServeSaysWhereItsHealthIs(t *testing.T) {
	first, _ := serving(t, "--durability", "memory", "--json")
	if at := jsonLines[struct{ Health string }](t, first)[0].Health; at != "/_shardrun/health" {
		t.Errorf("health page %q", at)
	}
	ctx, cancel := context.WithCancel(t.Context())
	out := &enough{line: "health page", cancel: cancel}
	if code := run(ctx, []string{"serve", "--listen", "127.0.0.1:0", "--durability", "memory"}, nil, out, io.Discard); code != exitOK {
		t.Errorf("exit %d", code)
	}
	if !strings.HasSuffix(out.String(), "\ndurability memory, data in memory, health page /_shardrun/health\n") {
		t.Errorf("printed %q", out)
	}
}

// enough is an output that ends the program when it has printed some text.
type enough struct {
	bytes.Buffer
	line   string
	cancel context.CancelFunc
}

func (w *enough) Write(p []byte) (int, error) {
	if strings.Contains(string(p), w.line) {
		w.cancel()
	}
	return w.Buffer.Write(p)
}

func TestServeSaysWhereItListens(t *testing.T) {
	dir := t.TempDir()
	first, stop := serving(t, "--data-dir", dir, "--durability", "async")
	url, found := strings.CutPrefix(strings.TrimSpace(first), "listening on http://127.0.0.1:")
	if !found {
		t.Fatalf("first line is %q", first)
	}
	resp, err := http.Get("http://127.0.0.1:" + url + "/_shardrun/health")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var health map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&health); err != nil || health["durability"] != "async" {
		t.Errorf("health %v, %v", health, err)
	}
	if _, errOut, code := cli(t, "", "serve", "--listen", "127.0.0.1:"+url, "--durability", "memory"); code != exitUsage || !strings.Contains(errOut, "--listen") {
		t.Errorf("port in use: exit %d: %s", code, errOut)
	}
	if _, errOut, code := cli(t, "", "serve", "--listen", "127.0.0.1:0", "--data-dir", dir); code != exitFail || !strings.Contains(errOut, dir) || !strings.Contains(errOut, "another") {
		t.Errorf("data directory in use: exit %d: %s", code, errOut)
	}
	if code := stop(); code != exitOK {
		t.Errorf("ended with exit %d, want 0", code)
	}
}

func TestServeKeepsItsStreams(t *testing.T) {
	dir := t.TempDir()
	endpoint := func(first string) string {
		return strings.TrimPrefix(strings.TrimSpace(first), "listening on ")
	}
	first, stop := serving(t, "--data-dir", dir)
	ok(t, "", "streams", "create", "kept", "--endpoint", endpoint(first))
	ok(t, "", "put", "kept", "one", "two", "--key", "k", "--endpoint", endpoint(first))
	if code := stop(); code != exitOK {
		t.Fatalf("exit %d", code)
	}
	first, _ = serving(t, "--data-dir", dir)
	got := jsonLines[tailed](t, ok(t, "", "tail", "kept", "--from", "trim", "--no-follow", "--json", "--endpoint", endpoint(first)))
	if len(got) != 2 || string(got[0].Data) != "one" || string(got[1].Data) != "two" {
		t.Errorf("read %+v after a restart", got)
	}
}

func TestServeRefusesBadFlags(t *testing.T) {
	for want, args := range map[string][]string{
		"--durability":       {"--durability", "maybe"},
		"--limits":           {"--limits", "some"},
		"--fault":            {"--fault", "op=PutRecords,kind=explode"},
		"--shard-limit":      {"--shard-limit", "-1"},
		"64MiB or 10GiB":     {"--max-bytes", "-1"},
		"--max-stream-bytes": {"--max-stream-bytes", "10GB"},
		"--min-free-bytes":   {"--min-free-bytes", "9999999999GiB"},
		"--create-delay":     {"--create-delay", "-1s"},
		"--log-level":        {"--log-level", "loud"},
		"no-such-flag":       {"--no-such-flag"},
		"--insecure-no-auth": {"--listen", "0.0.0.0:0"},
		"not an address":     {"--listen", "4567"},
		"--redis-listen":     {"--redis-listen", "0.0.0.0:0"},
	} {
		args = append([]string{"serve", "--durability", "memory"}, args...)
		if _, errOut, code := cli(t, "", args...); code != exitUsage || !strings.Contains(errOut, want) {
			t.Errorf("%v: exit %d, want 2: %s", args, code, errOut)
		}
	}
}

// What the server refuses of its configuration is told by the flag, not by the
// name that a program would use.
func TestServeNamesTheFlagOfABadValue(t *testing.T) {
	for flag, value := range map[string]string{
		"account-id": "12", "region": "eu west", "channel-freshness": "1ms", "max-bytes": "10", "max-stream-bytes": "15MiB",
		"create-delay": "-1s", "update-delay": "-1s", "delete-delay": "-1s", "consumer-delay": "-1s", "channel-delay": "-1s",
		"allow-host": "kinesis:4567", "allow-origin": "foo",
	} {
		_, errOut, code := cli(t, "", "serve", "--listen", "127.0.0.1:0", "--durability", "memory", "--"+flag, value)
		if code != exitUsage || !strings.HasPrefix(errOut, "shardrun: --"+flag+": ") || !strings.HasSuffix(errOut, "see: shardrun serve --help\n") || strings.Contains(errOut, "config") {
			t.Errorf("--%s %s: exit %d: %s", flag, value, code, errOut)
		}
	}
	if _, errOut, code := cli(t, "", "serve", "--data-dir", ""); code != exitUsage || !strings.Contains(errOut, "--data-dir: empty") {
		t.Errorf("no data directory: exit %d: %s", code, errOut)
	}
}

// Who finds no streams learns where that is: they may be in another region, or of
// another account.
func TestStreamsSaysWhereThereAreNone(t *testing.T) {
	at := local(t)
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	for key, account := range map[string]string{"ASOMETHING": "", "123456789012": " of account 123456789012"} {
		t.Setenv("AWS_ACCESS_KEY_ID", key)
		if out := ok(t, "", append([]string{"streams"}, at...)...); !strings.HasPrefix(out, "no streams in eu-west-1"+account+" at "+at[1]+" (create one: ") {
			t.Errorf("%s: %s", key, out)
		}
	}
}

func TestStreamCommands(t *testing.T) {
	at := local(t)
	with := func(args ...string) []string { return append(args, at...) }
	ok(t, "", with("streams", "create", "orders", "--shards", "2")...)
	ok(t, "", with("split", "orders", "shardId-000000000000")...)
	ok(t, "", with("merge", "orders", "shardId-000000000003", "shardId-000000000001")...)
	shards := jsonLines[shardInfo](t, ok(t, "", with("shards", "orders", "--json")...))
	var open []string
	for _, s := range shards {
		if s.open() {
			open = append(open, s.ShardId)
		}
	}
	if want := []string{"shardId-000000000002", "shardId-000000000004"}; !slices.Equal(open, want) {
		t.Errorf("open shards %v, want %v", open, want)
	}
	if s := shards[4]; s.ParentShardId != "shardId-000000000003" || s.AdjacentParentShardId != "shardId-000000000001" {
		t.Errorf("merged shard has parents %q and %q", s.ParentShardId, s.AdjacentParentShardId)
	}
	ok(t, "", with("scale", "orders", "9")...)
	info := jsonLines[streamInfo](t, ok(t, "", with("streams", "--json")...))
	if len(info) != 1 || info[0].StreamName != "orders" || info[0].OpenShardCount != 9 || info[0].StreamStatus != "ACTIVE" {
		t.Errorf("streams %+v", info)
	}
	if out := ok(t, "", with("shards", "orders")...); !strings.Contains(out, "closed") || !strings.Contains(out, "11.11 %") {
		t.Errorf("table of shards:\n%s", out)
	}
	if _, errOut, code := cli(t, "", with("streams", "delete", "orders")...); code != exitPlan || !strings.Contains(errOut, "--yes") {
		t.Errorf("delete without --yes: exit %d: %s", code, errOut)
	}
	ok(t, "", with("streams", "delete", "orders", "--yes")...)
	for _, args := range [][]string{{"shards", "orders"}, {"put", "orders", "x"}, {"tail", "orders"}} {
		if _, errOut, code := cli(t, "", with(args...)...); code != exitFail || !strings.Contains(errOut, "orders") {
			t.Errorf("%v of a stream that is gone: exit %d: %s", args, code, errOut)
		}
	}
}

func TestStreamsAreCreatedInEitherMode(t *testing.T) {
	at := local(t)
	with := func(args ...string) []string { return append(append([]string{"streams", "create"}, args...), at...) }
	for mode, args := range map[string][]string{"ON_DEMAND": {"a", "--mode", "on-demand"}, "PROVISIONED": {"b", "--mode", "provisioned", "--shards", "2"}} {
		if info := jsonLines[streamInfo](t, ok(t, "", with(append(args, "--json")...)...)); len(info) != 1 || string(info[0].StreamMode) != mode {
			t.Errorf("%v: created %+v", args, info)
		}
	}
	for want, args := range map[string][]string{
		"--shards is for provisioned": {"c", "--mode", "on-demand", "--shards", "2"},
		"--mode on-demand without it": {"c", "--shards", "0"},
		"want provisioned or on-dema": {"c", "--mode", "ON_DEMAND"},
	} {
		if _, errOut, code := cli(t, "", with(args...)...); code != exitUsage || !strings.Contains(errOut, want) {
			t.Errorf("%v: exit %d, want %q: %s", args, code, want, errOut)
		}
	}
}

func TestScaleStep(t *testing.T) {
	for _, test := range [][3]int32{{1, 9, 2}, {2, 9, 4}, {8, 9, 9}, {9, 1, 5}, {5, 1, 3}, {3, 1, 2}, {2, 1, 1}, {4, 4, 4}} {
		if got := scaleStep(test[0], test[1]); got != test[2] {
			t.Errorf("from %d towards %d: %d, want %d", test[0], test[1], got, test[2])
		}
	}
}

// One of a thing is not called by the name of many.
func TestOneIsNotMany(t *testing.T) {
	at := local(t)
	with := func(args ...string) []string { return append(args, at...) }
	for shards, want := range map[string]string{"1": "stream s1 is ACTIVE with 1 open shard\n", "2": "stream s2 is ACTIVE with 2 open shards\n"} {
		if out := ok(t, "", with("streams", "create", "s"+shards, "--shards", shards)...); out != want {
			t.Errorf("printed %q, want %q", out, want)
		}
	}
	if out := ok(t, "{\"id\":\"x\"}\n", with("put", "s1", "--key-field", "id")...); out != "put 1 record\n" {
		t.Errorf("put of a line printed %q", out)
	}
}

func TestPutAndTail(t *testing.T) {
	at := local(t)
	with := func(args ...string) []string { return append(args, at...) }
	ok(t, "", with("streams", "create", "s", "--shards", "3")...)
	put := jsonLines[placed](t, ok(t, "", with("put", "s", "a", "b", "--key", "k", "--json")...))
	if len(put) != 2 || put[0].ShardId == "" || put[0].ShardId != put[1].ShardId || put[0].PartitionKey != "k" || put[0].SequenceNumber == "" {
		t.Errorf("put %+v", put)
	}
	if out := ok(t, "{\"id\":\"x\"}\n{\"id\":7}\n", with("put", "s", "--key-field", "id")...); !strings.HasPrefix(out, "put 2 records") {
		t.Errorf("put of lines printed %q", out)
	}
	got := jsonLines[tailed](t, ok(t, "", with("tail", "s", "--from", "trim", "--no-follow", "--json")...))
	var texts []string
	for _, r := range got {
		texts = append(texts, r.PartitionKey+"="+string(r.Data))
	}
	slices.Sort(texts)
	if want := []string{`7={"id":7}`, "k=a", "k=b", `x={"id":"x"}`}; !slices.Equal(texts, want) {
		t.Errorf("tail printed %q, want %q", texts, want)
	}
	if got := jsonLines[tailed](t, ok(t, "", with("tail", "s", "--from", "10m", "-n", "3", "--json")...)); len(got) != 3 {
		t.Errorf("tail -n 3 printed %d records", len(got))
	}
	ok(t, "", with("put", "s", "\x1b[2Jwiped", "--key", "k")...)
	if out := ok(t, "", with("tail", "s", "--from", "trim", "--no-follow")...); strings.Contains(out, "\x1b") || !strings.Contains(out, `\u001b[2Jwiped`) {
		t.Errorf("tail printed %q", out)
	}
	for want, args := range map[string][]string{
		"--from":               {"tail", "s", "--from", "yesterday"},
		"--number":             {"tail", "s", "-n", "-1"},
		"--hash-key":           {"put", "s", "x", "--hash-key", "-1"},
		"put: requires at":     {"put"},
		"key key-field":        {"put", "s", "x", "--key", "k", "--key-field", "f"},
		"not a number of shar": {"scale", "s", "0"},
	} {
		if _, errOut, code := cli(t, "", with(args...)...); code == exitOK || !strings.Contains(errOut, want) {
			t.Errorf("%v: exit %d, want an error with %q: %s", args, code, want, errOut)
		}
	}
	if _, errOut, code := cli(t, "{\"id\":1}\nnope\n", with("put", "s", "--key-field", "id")...); code != exitFail || !strings.Contains(errOut, "line 2") {
		t.Errorf("a line that is not JSON: exit %d: %s", code, errOut)
	}
	if _, errOut, code := cli(t, "", with("put", "s", "x", "--key", strings.Repeat("k", 257))...); code != exitFail || !strings.Contains(errOut, "256") {
		t.Errorf("a key of 257 characters: exit %d: %s", code, errOut)
	}
}

func TestNothingAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close() // now nothing listens there
	if _, errOut, code := cli(t, "", "shards", "s", "--endpoint", "http://"+addr); code != exitFail || !strings.Contains(errOut, "nothing answers") {
		t.Errorf("endpoint: exit %d: %s", code, errOut)
	}
	if _, errOut, code := cli(t, "", "tail", "s", "--endpoint", "http://"+addr); code != exitFail || !strings.HasPrefix(errOut, "shardrun: ") || !strings.Contains(errOut, "is the server running (shardrun serve)") || strings.Count(errOut, "\n") != 1 {
		t.Errorf("tail: exit %d: %s", code, errOut)
	}
	if _, errOut, code := cli(t, "", "leases", "--group", "g", "--redis", addr); code != exitFail || !strings.Contains(errOut, "no Redis answers at "+addr) {
		t.Errorf("redis: exit %d: %s", code, errOut)
	}
	if _, errOut, code := cli(t, "", "leases", "--group", "g", "--redis", "http://x:pass@y"); code != exitUsage || strings.Contains(errOut, "pass@") {
		t.Errorf("redis URL: exit %d: %s", code, errOut)
	}
	if _, errOut, code := cli(t, "", "leases", "--group", "g", "--redis", redistest.Server(t)); code != exitFail || !strings.Contains(errOut, "there is no group g") {
		t.Errorf("unknown group: exit %d: %s", code, errOut)
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out := ok(t, "", "completion", shell); len(out) < 1000 {
			t.Errorf("%s: %d bytes", shell, len(out))
		}
	}
}

func TestEveryCommandHasExamples(t *testing.T) {
	root := (&app{}).root()
	for _, c := range root.Commands() {
		if !slices.Contains([]string{"completion", "help"}, c.Name()) && (c.Example == "" || c.Short == "") {
			t.Errorf("command %s has no example", c.Name())
		}
	}
}

// The help of a command, but for its flags and examples, fits a terminal of 92 columns.
func TestHelpIsNoWiderThanATerminal(t *testing.T) {
	root := (&app{}).root()
	all := []*cobra.Command{root}
	for _, c := range root.Commands() {
		all = append(append(all, c), c.Commands()...)
	}
	for _, c := range all {
		for line := range strings.Lines(c.Long) {
			if line = strings.TrimSpace(line); len(line) > 92 {
				t.Errorf("%s: %d bytes: %s", c.Name(), len(line), line)
			}
		}
	}
}

// A shard that cannot be read keeps a tail that is to end from waiting for ever.
func TestTailGivesUpOnAShardThatCannotBeRead(t *testing.T) {
	server := localstream.NewT(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1) // room for the one result
	go func() { served <- server.Serve(ctx, listener) }()
	defer func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	at := []string{"--endpoint", "http://" + listener.Addr().String()}
	ok(t, "", append([]string{"streams", "create", "s"}, at...)...)
	server.Inject(localstream.Fault{Operation: "GetRecords", Action: localstream.Fail, Count: -1})
	_, errOut, code := cli(t, "", append([]string{"tail", "s", "--from", "trim", "--no-follow"}, at...)...)
	if code != exitFail || !strings.Contains(errOut, "read shardId-000000000000") {
		t.Errorf("exit %d: %s", code, errOut)
	}
	if !strings.Contains(errOut, "WARN") || !strings.Contains(errOut, "stream s: InternalFailure: ") || strings.Contains(errOut, "operation error") {
		t.Errorf("the log does not say it plainly: %s", errOut)
	}
}

func TestAMistypedCommandIsAnError(t *testing.T) {
	for _, args := range [][]string{{"bogus"}, {"lease"}} {
		if _, errOut, code := cli(t, "", args...); code != exitUsage || !strings.Contains(errOut, "unknown command") {
			t.Errorf("%v: exit %d: %s", args, code, errOut)
		}
	}
	if out := ok(t, "", "--version"); !strings.Contains(out, "shardrun version") {
		t.Errorf("version: %s", out)
	}
}

// Who uses a command wrongly is pointed to the help of that command.
func TestUsageErrorsPointToTheHelpOfTheCommand(t *testing.T) {
	for want, args := range map[string][]string{
		"see: shardrun --help\n":                {"bogus"},
		"see: shardrun put --help\n":            {"put"},
		"see: shardrun serve --help\n":          {"serve", "--durability", "maybe"},
		"see: shardrun tail --help\n":           {"tail", "s", "--no-such-flag"},
		"see: shardrun streams delete --help\n": {"streams", "delete"},
	} {
		if _, errOut, code := cli(t, "", args...); code != exitUsage || !strings.HasSuffix(errOut, want) {
			t.Errorf("%v: exit %d, want %q: %s", args, code, want, errOut)
		}
	}
}

// A terminal or a pipe that says nothing more does not keep put from ending.
func TestPutEndsWithItsContext(t *testing.T) {
	at := local(t)
	ok(t, "", append([]string{"streams", "create", "s"}, at...)...)
	ctx, cancel := context.WithCancel(t.Context())
	in, typed := io.Pipe()
	defer typed.Close()
	ended := make(chan int, 1) // room for the one exit code
	go func() {
		ended <- run(ctx, append([]string{"put", "s", "--key", "k"}, at...), in, io.Discard, io.Discard)
	}()
	if _, err := typed.Write([]byte("a line\n")); err != nil {
		t.Fatal(err)
	}
	cancel()
	if code := <-ended; code != exitFail {
		t.Errorf("exit %d", code)
	}
}
