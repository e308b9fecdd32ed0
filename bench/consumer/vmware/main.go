// Command vmware drains a stream with vmware-go-kcl-v2. It is a program of its
// own because its dependencies and those of others register the same protobuf
// messages.
package main

import (
	"context"
	"fmt"
	"time"
	_ "unsafe" // for the read limit, see below

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/config"
	kcl "github.com/vmware/vmware-go-kcl-v2/clientlibrary/interfaces"
	vmware "github.com/vmware/vmware-go-kcl-v2/clientlibrary/worker"
	"github.com/vmware/vmware-go-kcl-v2/logger"

	"github.com/shardrun/shardrun/bench/child"
	"github.com/shardrun/shardrun/bench/drainer"
	"github.com/shardrun/shardrun/bench/peers"
)

// vmware-go-kcl keeps to the read limits of AWS, 5 calls and 2 MB a second for a
// shard, and has no option for an endpoint without them. Its clock is turned
// so fast that the limits are never reached: what is compared is the work.
//
//go:linkname rateNow github.com/vmware/vmware-go-kcl-v2/clientlibrary/worker.rateLimitTimeNow
var rateNow func() time.Time

//go:linkname rateSince github.com/vmware/vmware-go-kcl-v2/clientlibrary/worker.rateLimitTimeSince
var rateSince func(time.Time) time.Duration

// liftLimits is called before a worker is made.
func liftLimits() {
	began := time.Now()
	rateNow = func() time.Time { return began.Add(1000 * time.Since(began)) }
	rateSince = func(time.Time) time.Duration { return time.Hour }
}

func main() { child.Main(drainer.Role(drain)) }

// drain is vmware-go-kcl-v2 with its leases and positions in DynamoDB. It
// takes one shard each time that it has listed them, with pauses of a minute
// by default; here they are 10 ms.
func drain(ctx context.Context, d drainer.Drain, handled func(n int)) error {
	liftLimits()
	worker := vmware.NewWorker(factory(handled), settings(d).WithShardSyncIntervalMillis(10).
		WithMaxRecords(1000).WithIdleTimeBetweenReadsInMillis(100))
	worker.WithKinesis(peers.Client(d.Endpoint))
	if err := worker.Start(); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	<-ctx.Done()
	worker.Shutdown()
	return nil
}

func settings(d drainer.Drain) *config.KinesisClientLibConfiguration {
	creds := credentials.NewStaticCredentialsProvider("000000000000", "local", "")
	return config.NewKinesisClientLibConfigWithCredential(d.Group, d.Stream, "us-east-1", "worker", creds).
		WithKinesisEndpoint(d.Endpoint).WithDynamoDBEndpoint(d.DynamoDB).WithTableName(d.Group).
		WithInitialPositionInStream(config.TRIM_HORIZON).WithLogger(quietLogger())
}

// quietLogger has errors only.
func quietLogger() logger.Logger {
	return logger.NewLogrusLoggerWithConfig(logger.Configuration{ConsoleLevel: logger.Error})
}

// factory makes processors that count records, and save their position
// after each page.
type factory func(n int)

// CreateProcessor makes the processor of one shard.
func (f factory) CreateProcessor() kcl.IRecordProcessor { return &processor{handled: f} }

type processor struct{ handled func(n int) }

// Initialize is called when a shard begins.
func (*processor) Initialize(*kcl.InitializationInput) {}

// ProcessRecords handles a page.
func (p *processor) ProcessRecords(in *kcl.ProcessRecordsInput) {
	if len(in.Records) == 0 {
		return
	}
	// A position that is not saved is saved with the next page.
	_ = in.Checkpointer.Checkpoint(in.Records[len(in.Records)-1].SequenceNumber)
	p.handled(len(in.Records))
}

// Shutdown is called when a shard ends or is given up.
func (*processor) Shutdown(in *kcl.ShutdownInput) {
	if in.ShutdownReason == kcl.TERMINATE {
		_ = in.Checkpointer.Checkpoint(nil) // else its children wait
	}
}
