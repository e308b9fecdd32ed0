package main

import (
	"bytes"
	"context"
	"errors"
	"io"
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

	"github.com/shardrun/shardrun/localstream"
	"github.com/shardrun/shardrun/producer"
)

// inProcess is the program on a server in this process with a stream s of one
// shard, for bubbles.
func inProcess(t *testing.T, stdin string) (a *app, server *localstream.Server, out, errOut *bytes.Buffer) {
	t.Helper()
	server = localstream.NewT(t)
	client := server.Client()
	if _, err := client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("s"), ShardCount: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	out, errOut = new(bytes.Buffer), new(bytes.Buffer)
	a = &app{in: strings.NewReader(stdin), out: out, err: errOut, connect: func(context.Context) (*kinesis.Client, error) { return client, nil }}
	return a, server, out, errOut
}

// A put that is throttled for minutes loses nothing, and says why it gets
// nowhere.
func TestPutOutlastsThrottling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, server, out, errOut := inProcess(t, "one\ntwo\nthree\n")
		remove := server.Inject(localstream.Fault{Operation: "PutRecords", Shard: localstream.EveryShard, Action: localstream.Throttle, Count: -1})
		time.AfterFunc(5*time.Minute, remove)
		if code := a.run(t.Context(), []string{"put", "s", "--key", "k"}); code != exitOK || !strings.HasPrefix(out.String(), "put 3 records") {
			t.Errorf("exit %d: %s%s", code, out, errOut)
		}
		if !strings.HasPrefix(errOut.String(), "shardrun: nothing was put for 5s: the stream throttles") {
			t.Errorf("said %q", errOut)
		}
		if n := strings.Count(errOut.String(), "\n"); n < 9 || n > 10 { // once in half a minute
			t.Errorf("said it %d times:\n%s", n, errOut)
		}
	})
}

// What a throttled put says is what the server does, where that is more than
// that the rate is exceeded.
func TestPutSaysWhatThrottlesIt(t *testing.T) {
	rate := "Rate exceeded for shard shardId-000000000000 in stream s under account 000000000000"
	byShard := func(message string) producer.CallEvent {
		return producer.CallEvent{Entries: 2, Throttled: 2, Limit: message}
	}
	whole := func(message string) producer.CallEvent {
		return producer.CallEvent{Entries: 2, Err: &types.ProvisionedThroughputExceededException{Message: &message}}
	}
	for _, test := range []struct {
		call producer.CallEvent
		want string
	}{
		{byShard(rate + "."), "the stream throttles all records, trying on (more shards take more)"},
		{whole(rate), "the stream throttles all records, trying on (more shards take more)"},
		{byShard(""), "the stream throttles all records, trying on (more shards take more)"},
		{byShard(rate + ": the disk of the server has less than 9 bytes left."), "the disk of the server has less than 9 bytes left; trying on"},
		{whole(rate + ": the disk is full."), "the disk is full; trying on"},
		{byShard("Come\x1b back later."), `Come\u001b back later; trying on`},
	} {
		w := newPutWatch(0)
		w.call(byShard(rate + ": the one before."))
		w.call(test.call)
		if say, err := w.look(w.moved.Add(time.Minute), 1); say != "nothing was put for 1m0s: "+test.want || err != nil {
			t.Errorf("%+v: said %q, %v; want %q", test.call, say, err, test.want)
		}
	}
}

// A server that answers with errors alone does not keep put for ever.
func TestPutGivesUpAfterItsPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, server, _, errOut := inProcess(t, "one\ntwo\nthree\n")
		server.Inject(localstream.Fault{Operation: "PutRecords", Action: localstream.Fail, Count: -1})
		began := time.Now()
		code := a.run(t.Context(), []string{"put", "s", "--key", "k", "--patience", "2m"})
		if took := time.Since(began); code != exitFail || took < 2*time.Minute || took > 3*time.Minute {
			t.Errorf("exit %d after %v: %s", code, took, errOut)
		}
		for _, want := range []string{"nothing was put for 5s, trying on", "3 records were not put, 0 were", "line 1 is the first of them, line 3 the last", "for 2m0s (--patience)", "InternalFailure"} {
			if !strings.Contains(errOut.String(), want) {
				t.Errorf("want %q in: %s", want, errOut)
			}
		}
	})
}

// What everybody is refused is not tried for each line of a large file.
func TestPutGivesUpAtOnceWhenItIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, server, _, errOut := inProcess(t, "")
		a.in = &endless{}
		defer time.Sleep(time.Second) // until the read ahead has ended
		server.Inject(localstream.Fault{Operation: "PutRecords", Action: localstream.Fail, Type: "AccessDeniedException", Count: -1})
		if code := a.run(t.Context(), []string{"put", "s", "--key", "k"}); code != exitFail || !strings.Contains(errOut.String(), "AccessDeniedException") || !strings.Contains(errOut.String(), "were not tried (tail -n +") {
			t.Errorf("exit %d: %s", code, errOut)
		}
	})
}

// endless is an input of short lines, a bit at a time.
type endless struct{}

func (*endless) Read(p []byte) (int, error) {
	time.Sleep(10 * time.Millisecond)
	return copy(p, "a line\n"), nil
}

// The lines that were refused are named and kept.
func TestPutKeepsWhatFailed(t *testing.T) {
	again := filepath.Join(t.TempDir(), "again")
	synctest.Test(t, func(t *testing.T) {
		a, server, out, errOut := inProcess(t, "one\ntwo\nthree\nfour\n")
		server.Inject(localstream.Fault{Operation: "PutRecords", Shard: localstream.EveryShard, Action: localstream.Fail, Type: "KMSDisabledException", Count: 2})
		code := a.run(t.Context(), []string{"put", "s", "--key", "k", "--no-aggregate", "--failed", again})
		if code != exitFail || out.String() != "put 2 records\n" {
			t.Errorf("exit %d: %s", code, out)
		}
		for _, want := range []string{"2 records were not put, 2 were", "line 1 is the first of them, line 2 the last", "--file " + again, "KMSDisabledException"} {
			if !strings.Contains(errOut.String(), want) {
				t.Errorf("want %q in: %s", want, errOut)
			}
		}
		if kept, err := os.ReadFile(again); err != nil || string(kept) != "one\ntwo\n" {
			t.Errorf("kept %q, %v", kept, err)
		}
		errOut.Reset()
		if code := a.run(t.Context(), []string{"put", "s", "--failed", again}); code != exitUsage || !strings.Contains(errOut.String(), "--failed") {
			t.Errorf("a file that is there: exit %d: %s", code, errOut)
		}
		if err := os.Remove(again); err != nil {
			t.Fatal(err)
		}
		if code := a.run(t.Context(), []string{"put", "s", "well", "--failed", again}); code != exitOK {
			t.Errorf("exit %d: %s", code, errOut)
		}
		if _, err := os.Stat(again); !os.IsNotExist(err) {
			t.Errorf("an empty file is left: %v", err)
		}
	})
}

// What is kept and put again is what it was, also with line ends of its own; what
// would not be is refused before anything is put.
func TestRecordsThatAreKeptArePutAgainAsTheyWere(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a, server, out, errOut := inProcess(t, "")
		records := []string{"one", "two\r", "three\r\r", "", "\r", "a\rb"}
		server.Inject(localstream.Fault{Operation: "PutRecords", Shard: localstream.EveryShard, Action: localstream.Fail, Type: "KMSDisabledException", Count: len(records)})
		again := filepath.Join(dir, "again")
		flags := []string{"put", "s", "--key", "k", "--no-aggregate"}
		if code := a.run(t.Context(), append(slices.Clone(flags), append(records, "--failed", again)...)); code != exitFail || !strings.Contains(errOut.String(), "6 records were not put") {
			t.Fatalf("exit %d: %s", code, errOut)
		}
		if code := a.run(t.Context(), append(slices.Clone(flags), "--file", again)); code != exitOK || out.String() != "put 6 records\n" {
			t.Errorf("exit %d: %s%s", code, out, errOut)
		}
		if got := dataOf(t, server); !slices.Equal(got, records) {
			t.Errorf("put again: %q, want %q", got, records)
		}

		errOut.Reset()
		none := filepath.Join(dir, "none")
		if code := a.run(t.Context(), append(slices.Clone(flags), "five", "six\nseven", "--failed", none)); code != exitUsage || !strings.Contains(errOut.String(), "argument 2 has several lines") {
			t.Errorf("exit %d: %s", code, errOut)
		}
		if _, err := os.Stat(none); !os.IsNotExist(err) {
			t.Errorf("there is a file: %v", err)
		}
		if got := dataOf(t, server); len(got) != len(records) {
			t.Errorf("after an argument of several lines the stream has %q", got)
		}
		if code := a.run(t.Context(), append(slices.Clone(flags), "six\nseven")); code != exitOK {
			t.Errorf("without --failed: exit %d: %s", code, errOut)
		}
	})
}

// dataOf are the records of the stream s.
func dataOf(t *testing.T, server *localstream.Server) []string {
	t.Helper()
	client := server.Client()
	it, err := client.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{
		StreamName: aws.String("s"), ShardId: aws.String("0"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	if err != nil {
		t.Fatal(err)
	}
	page, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator})
	if err != nil {
		t.Fatal(err)
	}
	var data []string
	for _, r := range page.Records {
		data = append(data, string(r.Data))
	}
	return data
}

// A file that cannot be written is not said to have what failed.
func TestPutSaysThatItCouldNotKeepWhatFailed(t *testing.T) {
	failed, err := newFailedFile(filepath.Join(t.TempDir(), "failed"))
	if err != nil {
		t.Fatal(err)
	}
	r := &putResults{app: &app{out: io.Discard, err: io.Discard}, unit: "line", failedFile: failed}
	r.done(3, "k", []byte("three"))(producer.Result{}, errors.New("refused"))
	if err := failed.file.Close(); err != nil { // stands for a disk that is full
		t.Fatal(err)
	}
	text := r.verdict(0, nil).Error()
	if !strings.Contains(text, "line 3; not all of them are in "+failed.file.Name()) || !strings.Contains(text, "--failed: ") || strings.Contains(text, "again") {
		t.Errorf("said %q", text)
	}
}

// An interrupted put says how far it came.
func TestAnInterruptedPutSaysHowToGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, _, errOut := inProcess(t, "")
		a.in = &endless{}
		defer time.Sleep(time.Second) // until the read ahead has ended
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(95*time.Millisecond, cancel)
		if code := a.run(ctx, []string{"put", "s", "--key", "k"}); code != exitFail || errOut.String() != "shardrun: interrupted; line 10 and those behind it were not tried (tail -n +10 gives them)\n" {
			t.Errorf("exit %d: %s", code, errOut)
		}
	})
}

// Whoever reads the stream without unpacking has to know of aggregates.
func TestPutSaysThatItAggregates(t *testing.T) {
	const packed = "in 1 KPL aggregate; --no-aggregate puts them one by one\n"
	for _, c := range []struct {
		stdin       string
		args        []string
		out, errOut string
	}{
		{"one\ntwo\nthree\n", nil, "put 3 records " + packed, ""},
		{"one\ntwo\nthree\n", []string{"--no-aggregate"}, "put 3 records\n", ""},
		{"one\n", nil, "put 1 record\n", ""},
		{"", []string{"one", "two"}, "", "shardrun: records are " + packed},
		{"", []string{"one", "two", "--json"}, "", ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			a, server, out, errOut := inProcess(t, c.stdin)
			// The first listing of the shards is late, so that all records wait together.
			server.Inject(localstream.Fault{Operation: "ListShards", Action: localstream.Delay, Delay: time.Second})
			code := a.run(t.Context(), append([]string{"put", "s", "--key", "k"}, c.args...))
			if code != exitOK || errOut.String() != c.errOut || c.out != "" && out.String() != c.out {
				t.Errorf("put %v: exit %d: %q, %q", c.args, code, out, errOut)
			}
		})
	}
}

func TestProgressOfAPut(t *testing.T) {
	if got, want := progress(12345, 678, 10*time.Second), "12345 records, 1234/s, 678 waiting"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := progress(1, 0, time.Second), "1 record, 1/s, 0 waiting"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
