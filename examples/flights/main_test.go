package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/internal/flights"
	"github.com/shardrun/shardrun/internal/redistest"
	"github.com/shardrun/shardrun/localstream"
	"github.com/shardrun/shardrun/producer"
)

// patience is how long anything in this test may take.
const patience = 60 * time.Second

// process is one worker process.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	log bytes.Buffer
	out string
}

func startProcess(t *testing.T, binary, endpoint, redis, name string) *process {
	t.Helper()
	p := &process{t: t, out: filepath.Join(t.TempDir(), "out.ndjson")}
	p.cmd = exec.Command(binary, "--endpoint", endpoint, "--redis", redis, "--name", name, "--lease-ttl", "1s", "--out", p.out)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // what ended already is not there to kill
	return p
}

// handled lists what the process has handled, by sequence and sub-sequence number.
func (p *process) handled() []string {
	file, err := os.Open(p.out)
	if err != nil {
		return nil // not there yet
	}
	defer file.Close()
	var ids []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var r struct {
			Sequence    string
			Subsequence uint64
		}
		if json.Unmarshal(lines.Bytes(), &r) == nil { // a killed process may leave half a line
			ids = append(ids, fmt.Sprint(r.Sequence, ":", r.Subsequence))
		}
	}
	return ids
}

// signal sends a signal and waits for the end of the process.
func (p *process) signal(s syscall.Signal) error {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
	return p.cmd.Wait()
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !done(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// stream serves a stream of four shards on the network, and returns its
// endpoint and a client.
func stream(t *testing.T) (string, *kinesis.Client) {
	t.Helper()
	server := localstream.NewT(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1) // room for the one result
	go func() { served <- server.Serve(t.Context(), listener) }()
	t.Cleanup(func() {
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	client := server.Client()
	if _, err := client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("flights"), ShardCount: aws.Int32(4)}); err != nil {
		t.Fatal(err)
	}
	return "http://" + listener.Addr().String(), client
}

// TestThreeProcesses runs three workers on one stream while it is filled; one
// gets SIGKILL, one SIGTERM, and a shard is split. Nothing may be missing.
func TestThreeProcesses(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "flights")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	endpoint, client := stream(t)
	redis := redistest.Server(t)
	var workers []*process
	for i := range 3 {
		workers = append(workers, startProcess(t, binary, endpoint, redis, fmt.Sprintf("worker-%d", i)))
	}

	in, err := flights.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var lines []flights.Line
	for line, err := range flights.Read(in) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	lines = lines[:6000]
	p, err := producer.New(producer.Config{Client: client, Stream: "flights", Ordered: true, RateLimit: -1})
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu    sync.Mutex // guards acked
		acked []string
	)
	put := func(part []flights.Line) {
		t.Helper()
		for _, l := range part {
			err := p.Put(t.Context(), producer.Record{Key: l.Flight.Origin, Data: l.Raw, Done: func(r producer.Result, err error) {
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				acked = append(acked, fmt.Sprint(r.Sequence, ":", r.Subsequence))
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}

	put(lines[:2000])
	victim := -1
	await(t, "a worker handles flights", func() bool {
		victim = slices.IndexFunc(workers, func(w *process) bool { return len(w.handled()) > 0 })
		return victim >= 0
	})
	if err := workers[victim].signal(syscall.SIGKILL); err == nil {
		t.Error("a killed worker ended in peace")
	}
	_, err = client.SplitShard(t.Context(), &kinesis.SplitShardInput{
		StreamName: aws.String("flights"), ShardToSplit: aws.String("shardId-000000000001"), NewStartingHashKey: aws.String("127605887595351923798765477786913079296"),
	})
	if err != nil {
		t.Fatal(err)
	}
	put(lines[2000:4000])
	drained := workers[(victim+1)%3]
	if err := drained.signal(syscall.SIGTERM); err != nil {
		t.Errorf("a drained worker ended with %v:\n%s", err, drained.log.String())
	}
	put(lines[4000:])
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	missing := 0
	defer func() { t.Logf("%d flights missing at the end", missing) }()
	await(t, "every flight is handled", func() bool {
		seen := map[string]bool{}
		for _, w := range workers {
			for _, id := range w.handled() {
				seen[id] = true
			}
		}
		missing = 0
		for _, id := range acked {
			if !seen[id] {
				missing++
			}
		}
		return missing == 0
	})
	last := workers[(victim+2)%3]
	if err := last.signal(syscall.SIGTERM); err != nil {
		t.Errorf("the last worker ended with %v:\n%s", err, last.log.String())
	}
	if !bytes.Contains(last.log.Bytes(), []byte("this worker counted ")) {
		t.Errorf("the last worker did not print its count:\n%s", last.log.String())
	}
}
