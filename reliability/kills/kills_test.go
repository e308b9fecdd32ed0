//go:build unix

package kills_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun"
)

var (
	kills = flag.Int("kills", 20, "how often the server is killed")
	seed  = flag.Uint64("kills.seed", 0, "what the moments and the records are drawn from (default: another one each time)")
)

// livesOfADirectory is after how many kills the server gets a new data directory:
// all of it is read after each.
const livesOfADirectory = 10

const writers = 4

// TestNothingThatWasAcknowledgedIsLostByAKill kills the server in random moments:
// under load, in a reshard, and while it starts.
func TestNothingThatWasAcknowledgedIsLostByAKill(t *testing.T) {
	program := filepath.Join(t.TempDir(), "shardrun")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/shardrun/shardrun/cmd/shardrun").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	rng := rand.New(rand.NewPCG(*seed, 1))
	acked, early := 0, 0
	for done := 0; done < *kills; {
		d := &directory{program: program, dir: filepath.Join(t.TempDir(), "data"), rng: rng, durability: []string{"sync", "async"}[rng.IntN(2)], calls: map[string]*call{}}
		for lives := min(livesOfADirectory, *kills-done); lives > 0; lives-- {
			if err := d.life(t.Context()); err != nil {
				t.Fatalf("-kills.seed=%d, after %d kills (%s): %v", *seed, done, d.durability, err)
			}
			done++
		}
		if err := d.end(t.Context()); err != nil {
			t.Fatalf("-kills.seed=%d, after %d kills (%s): %v", *seed, done, d.durability, err)
		}
		acked, early = acked+d.acked, early+d.early
	}
	t.Logf("seed %d: %d kills, %d of them during a start, %d records acknowledged", *seed, *kills, early, acked)
	if acked < 10**kills {
		t.Errorf("only %d records were acknowledged in %d lives: the test tests too little", acked, *kills)
	}
}

// directory is a data directory and what was put into it.
type directory struct {
	program, dir, durability string
	rng                      *rand.Rand
	lives                    int
	acked, early             int // records; kills during a start

	// mu guards calls while writers run.
	mu    sync.Mutex
	calls map[string]*call // by the name of the call, which its records begin with
}

// call is one PutRecords.
type call struct {
	data   [][]byte
	places []string // shard and number of each record; nil if it was not acknowledged
}

// life starts the server, checks what it has, writes to it, and kills it.
func (d *directory) life(ctx context.Context) error {
	d.lives++
	if d.lives > 1 && d.rng.IntN(5) == 0 {
		d.early++
		if err := d.killEarly(ctx); err != nil {
			return err
		}
	}
	s, err := d.start(ctx)
	if err != nil {
		return err
	}
	defer s.kill() // for the early returns
	if d.lives == 1 {
		_, err = s.client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("s"), ShardCount: aws.Int32(2)})
	} else {
		err = d.check(ctx, s.client)
	}
	if err != nil {
		return err
	}
	var load sync.WaitGroup
	for w := range writers {
		rng := rand.New(rand.NewPCG(d.rng.Uint64(), 2))
		load.Go(func() { d.write(ctx, s.client, fmt.Sprintf("%d/%d", d.lives, w), rng) })
	}
	if d.rng.IntN(3) == 0 {
		count := int32(2 + d.rng.IntN(3))
		load.Go(func() {
			// It may be refused, or cut off: what counts is what it leaves.
			_, _ = s.client.UpdateShardCount(ctx, &kinesis.UpdateShardCountInput{StreamName: aws.String("s"), TargetShardCount: &count, ScalingType: types.ScalingTypeUniformScaling})
		})
	}
	moment := time.NewTimer(time.Duration(5+d.rng.IntN(80)) * time.Millisecond)
	<-moment.C
	s.kill()
	load.Wait()
	return nil
}

// end checks the directory a last time, with the server and without.
func (d *directory) end(ctx context.Context) error {
	s, err := d.start(ctx)
	if err != nil {
		return err
	}
	err = d.check(ctx, s.client)
	s.kill()
	if err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, d.program, "verify", d.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("verify: %w\n%s", err, out)
	}
	return nil
}

// write puts records until the server is gone.
func (d *directory) write(ctx context.Context, client *kinesis.Client, writer string, rng *rand.Rand) {
	for n := 0; ; n++ {
		name := fmt.Sprintf("%s/%d", writer, n)
		c := &call{}
		in := &kinesis.PutRecordsInput{StreamName: aws.String("s")}
		for i := range 1 + rng.IntN(12) {
			data := fmt.Appendf(nil, "%s/%d/", name, i)
			for range rng.IntN(300) {
				data = append(data, byte(rng.Uint32()))
			}
			c.data = append(c.data, data)
			in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprint(rng.IntN(1000))), Data: data})
		}
		d.mu.Lock()
		d.calls[name] = c
		d.mu.Unlock()
		out, err := client.PutRecords(ctx, in)
		if err != nil || *out.FailedRecordCount > 0 {
			return
		}
		for _, r := range out.Records {
			c.places = append(c.places, *r.ShardId+" "+*r.SequenceNumber)
		}
		d.mu.Lock()
		d.acked += len(c.data)
		d.mu.Unlock()
	}
}

// check reads everything and compares it with what was put.
func (d *directory) check(ctx context.Context, client *kinesis.Client) error {
	found := map[string]map[int]bool{} // records by call
	shards, err := client.ListShards(ctx, &kinesis.ListShardsInput{StreamName: aws.String("s")})
	if err != nil {
		return err
	}
	for _, sh := range shards.Shards {
		last := ""
		err := read(ctx, client, *sh.ShardId, func(r types.Record) error {
			if number := *r.SequenceNumber; len(number) < len(last) || len(number) == len(last) && number <= last {
				return fmt.Errorf("number %s after %s", number, last)
			}
			last = *r.SequenceNumber
			return d.see(found, *sh.ShardId+" "+last, r.Data)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", *sh.ShardId, err)
		}
	}
	for name, c := range d.calls {
		switch n := len(found[name]); {
		case c.places != nil && n < len(c.data):
			return fmt.Errorf("of the %d records of call %s, which was acknowledged, %d are there", len(c.data), name, n)
		case n > 0 && n < len(c.data):
			return fmt.Errorf("of the %d records of call %s %d are there: it is not whole", len(c.data), name, n)
		case n == 0:
			delete(d.calls, name) // and may not come any more
		case c.places == nil:
			c.places = make([]string, len(c.data)) // it is there, and has to stay
		}
	}
	return nil
}

// see takes in a record that was read.
func (d *directory) see(found map[string]map[int]bool, place string, data []byte) error {
	parts := bytes.SplitN(data, []byte("/"), 5)
	if len(parts) != 5 {
		return fmt.Errorf("a record that nobody put: %q", data)
	}
	name := string(bytes.Join(parts[:3], []byte("/")))
	var i int
	if _, err := fmt.Sscan(string(parts[3]), &i); err != nil {
		return fmt.Errorf("a record that nobody put: %q", data)
	}
	c := d.calls[name]
	switch {
	case c == nil || i >= len(c.data):
		return fmt.Errorf("a record that nobody put, or that was gone before: %q", data)
	case !bytes.Equal(c.data[i], data):
		return fmt.Errorf("record %d of call %s was altered", i, name)
	case found[name][i]:
		return fmt.Errorf("record %d of call %s is there twice", i, name)
	case c.places != nil && c.places[i] != "" && c.places[i] != place:
		return fmt.Errorf("record %d of call %s was acknowledged at %s, and is at %s", i, name, c.places[i], place)
	}
	if found[name] == nil {
		found[name] = map[int]bool{}
	}
	found[name][i] = true
	return nil
}

// read calls see with all records of a shard.
func read(ctx context.Context, client *kinesis.Client, shard string, see func(types.Record) error) error {
	at, err := client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: aws.String("s"), ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	if err != nil {
		return err
	}
	for it := at.ShardIterator; it != nil; {
		page, err := client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: it})
		if err != nil {
			return err
		}
		for _, r := range page.Records {
			if err := see(r); err != nil {
				return err
			}
		}
		if it = page.NextShardIterator; *page.MillisBehindLatest == 0 && len(page.Records) == 0 {
			return nil
		}
	}
	return nil
}

// server is a running process.
type server struct {
	cmd    *exec.Cmd
	client *kinesis.Client
	errors bytes.Buffer
	once   sync.Once
}

// launch starts the program.
func (d *directory) launch(ctx context.Context) (*server, *bufio.Reader, error) {
	s := &server{cmd: exec.CommandContext(ctx, d.program, "serve", "--listen", "127.0.0.1:0", "--data-dir", d.dir, "--durability", d.durability, "--min-free-bytes", "0")}
	s.cmd.Stderr = &s.errors
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	return s, bufio.NewReader(out), err
}

// start starts the server, and returns when it listens.
func (d *directory) start(ctx context.Context) (*server, error) {
	s, out, err := d.launch(ctx)
	if err != nil {
		return nil, err
	}
	first, err := out.ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(first), "listening on ")
	if err != nil || !ok {
		s.kill()
		return nil, errors.Join(fmt.Errorf("the server did not start: %s", s.errors.String()), err)
	}
	s.client = shardrun.NewClient(aws.Config{
		Region: "us-east-1", BaseEndpoint: &url, Retryer: func() aws.Retryer { return aws.NopRetryer{} },
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	return s, nil
}

// killEarly starts the server and kills it before or just after it listens.
func (d *directory) killEarly(ctx context.Context) error {
	s, _, err := d.launch(ctx)
	if err != nil {
		return err
	}
	moment := time.NewTimer(time.Duration(d.rng.IntN(30)) * time.Millisecond)
	<-moment.C
	s.kill()
	return nil
}

// kill ends the process by SIGKILL, and returns when it is gone.
func (s *server) kill() {
	s.once.Do(func() {
		_ = s.cmd.Process.Kill() // it may have ended by itself, which the next life finds out
		_ = s.cmd.Wait()         // its error is the kill
	})
}
