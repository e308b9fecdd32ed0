package peers

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/internal/hashkey"
)

// echoRole is the name under which this program runs the echo server.
const echoRole = "serve-echo"

// EchoShards is the number of shards that the echo server says its stream has.
const EchoShards = 4

// EchoRecords and EchoBytes are what each page of GetRecords holds; each shard
// has as many pages as the client reads.
const (
	EchoRecords = 10_000
	EchoBytes   = 1024
)

// Roles are what these peers run in processes of their own.
func Roles() map[string]func(ctx context.Context, args []string) error {
	return map[string]func(ctx context.Context, args []string) error{
		echoRole:  serveEcho,
		kafkaRole: serveKafka,
	}
}

// Echo starts an HTTP server that does the least: it reads a request whole and
// answers from prepared texts. It keeps nothing. Entries of PutRecords are
// answered with the shard of their explicit hash key, and with the first shard
// when they have none. Returned are the process and its URL.
func Echo(ctx context.Context, env *harness.Env) (*harness.Process, string, error) {
	c := env.Self(echoRole)
	c.Ready = func(line string) bool { return strings.HasPrefix(line, "http://") }
	p, err := env.Start(ctx, c)
	if err != nil {
		return nil, "", err
	}
	return p, p.ReadyLine, nil
}

// serveEcho is the echo server's process.
func serveEcho(ctx context.Context, _ []string) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: newEcho(), ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = server.Close() }) // Serve says how it ended
	fmt.Printf("http://%s\n", ln.Addr())
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// echo has the prepared answers. It may be used concurrently.
type echo struct {
	bodies  sync.Pool // of *bytes.Buffer
	entries [EchoShards][]byte
	fixed   map[string][]byte // by operation
}

func newEcho() *echo {
	const sequence = "49671000000000000000000000000000000000000000000000000000"
	e := &echo{fixed: map[string][]byte{
		"PutRecord":             []byte(`{"SequenceNumber":"` + sequence + `","ShardId":"` + shardID(0) + `"}`),
		"GetShardIterator":      []byte(`{"ShardIterator":"next"}`),
		"DescribeStreamSummary": []byte(`{"StreamDescriptionSummary":{"StreamStatus":"ACTIVE","OpenShardCount":` + strconv.Itoa(EchoShards) + `}}`),
		"CreateStream":          {},
		"ListShards":            listing(sequence),
		"GetRecords":            page(sequence),
	}}
	e.bodies.New = func() any { return new(bytes.Buffer) }
	for i := range e.entries {
		e.entries[i] = []byte(`{"SequenceNumber":"` + sequence + `","ShardId":"` + shardID(i) + `"},`)
	}
	return e
}

func shardID(i int) string { return fmt.Sprintf("shardId-%012d", i) }

// listing is the answer to ListShards: equal ranges of hash keys.
func listing(sequence string) []byte {
	var shards []string
	for i, r := range hashkey.Split(EchoShards) {
		shards = append(shards, fmt.Sprintf(
			`{"ShardId":%q,"HashKeyRange":{"StartingHashKey":"%v","EndingHashKey":"%v"},"SequenceNumberRange":{"StartingSequenceNumber":%q}}`,
			shardID(i), r.Start, r.End, sequence))
	}
	return []byte(`{"Shards":[` + strings.Join(shards, ",") + `]}`)
}

// page is the answer to GetRecords.
func page(sequence string) []byte {
	data := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{'x'}, EchoBytes))
	record := `{"SequenceNumber":"` + sequence + `","ApproximateArrivalTimestamp":1.7e9,"Data":"` + data + `","PartitionKey":"customer-000001"}`
	return []byte(`{"Records":[` + strings.Repeat(record+",", EchoRecords-1) + record + `],"NextShardIterator":"next","MillisBehindLatest":1}`)
}

// ServeHTTP reads the request and answers it.
func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := e.bodies.Get().(*bytes.Buffer)
	defer e.bodies.Put(body)
	body.Reset()
	if _, err := io.Copy(body, r.Body); err != nil {
		return // the client is gone
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	answer, ok := e.fixed[operation]
	if operation == "PutRecords" {
		answer, ok = e.putRecords(body.Bytes()), true
	}
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
		answer = []byte(`{"__type":"InvalidArgumentException"}`)
	}
	_, _ = w.Write(answer) // an error means that the client is gone
}

// The parts of a request that tell its entries apart. Data is base64, in which
// they cannot occur; the keys of the benchmarks hold neither them nor braces.
var (
	entryMark = []byte(`"PartitionKey":`)
	hashMark  = []byte(`"ExplicitHashKey":"`)
)

// putRecords answers each entry of a request with its shard. An entry ends at a
// closing brace.
func (e *echo) putRecords(body []byte) []byte {
	answer := append(make([]byte, 0, 64<<10), `{"FailedRecordCount":0,"Records":[`...)
	for {
		entry, rest, found := bytes.Cut(body, []byte{'}'})
		if !found {
			break
		}
		body = rest
		if !bytes.Contains(entry, entryMark) {
			continue // the end of the request
		}
		answer = append(answer, e.entries[shardOf(entry)]...)
	}
	return append(bytes.TrimSuffix(answer, []byte{','}), "]}"...)
}

// shardOf is the index of the shard that an entry belongs to.
func shardOf(entry []byte) int {
	_, number, ok := bytes.Cut(entry, hashMark)
	if !ok {
		return 0
	}
	number, _, _ = bytes.Cut(number, []byte{'"'})
	hash, err := hashkey.Parse(string(number))
	if err != nil {
		return 0
	}
	return int(hash.Hi >> 62) // of four equal ranges
}
