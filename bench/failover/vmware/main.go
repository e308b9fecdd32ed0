// Command vmware is a worker of vmware-go-kcl-v2, tuned to take over as fast as
// it can. It is a program of its own because its dependencies and those of
// others register the same protobuf messages.
package main

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/config"
	kcl "github.com/vmware/vmware-go-kcl-v2/clientlibrary/interfaces"
	vmware "github.com/vmware/vmware-go-kcl-v2/clientlibrary/worker"
	"github.com/vmware/vmware-go-kcl-v2/logger"

	"github.com/shardrun/shardrun/bench/child"
	"github.com/shardrun/shardrun/bench/peers"
	"github.com/shardrun/shardrun/bench/worker"
)

func main() { child.Main(child.As(play)) }

const (
	// syncPause is the pause between two looks for shards to take (a minute by
	// default), readPause the one after a read that found nothing (a second).
	syncPause = 100 * time.Millisecond
	readPause = 200 * time.Millisecond
)

func play(ctx context.Context, say *child.Speaker, cfg worker.Config) error {
	say.Say(struct{}{})
	ttl := int(cfg.TTL.Milliseconds())
	creds := credentials.NewStaticCredentialsProvider("000000000000", "local", "")
	settings := config.NewKinesisClientLibConfigWithCredential(cfg.Group, cfg.Stream, "us-east-1", cfg.Name, creds).
		WithKinesisEndpoint(cfg.Endpoint).WithDynamoDBEndpoint(cfg.DynamoDB).WithTableName(cfg.Group).
		WithInitialPositionInStream(config.TRIM_HORIZON).WithMaxRecords(1000).
		WithFailoverTimeMillis(ttl).WithLeaseRefreshWaitTime(ttl / 4).WithLeaseRefreshPeriodMillis(ttl / 2).
		WithShardSyncIntervalMillis(int(syncPause.Milliseconds())).
		WithIdleTimeBetweenReadsInMillis(int(readPause.Milliseconds())).
		WithLogger(logger.NewLogrusLoggerWithConfig(logger.Configuration{ConsoleLevel: logger.Error}))
	w := vmware.NewWorker(factory{cfg, say}, settings)
	w.WithKinesis(peers.Client(cfg.Endpoint))
	if err := w.Start(); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	say.Say(worker.Event{Worker: cfg.Name, Kind: worker.Ready, At: worker.Now()})
	<-ctx.Done()
	w.Shutdown()
	return nil
}

// factory makes the processors of shards.
type factory struct {
	cfg worker.Config
	say *child.Speaker
}

// CreateProcessor makes the processor of one shard.
func (f factory) CreateProcessor() kcl.IRecordProcessor { return &processor{factory: f} }

// processor tells of the records of a shard, and saves its position after each
// page.
type processor struct {
	factory

	shard string
}

// Initialize is called when the shard begins.
func (p *processor) Initialize(in *kcl.InitializationInput) { p.shard = in.ShardId }

// ProcessRecords handles a page.
func (p *processor) ProcessRecords(in *kcl.ProcessRecordsInput) {
	e := worker.Event{Worker: p.cfg.Name, Kind: worker.Batch, Shard: p.shard, At: worker.Now()}
	for _, r := range in.Records {
		e.Records = append(e.Records, worker.Number(r.Data))
	}
	if len(e.Records) == 0 {
		return
	}
	e.Done = worker.Now()
	p.say.Say(e)
	// A position that is not saved is saved with the next page.
	_ = in.Checkpointer.Checkpoint(in.Records[len(in.Records)-1].SequenceNumber)
}

// Shutdown is called when the shard ends or is given up.
func (p *processor) Shutdown(in *kcl.ShutdownInput) {
	if in.ShutdownReason == kcl.TERMINATE {
		_ = in.Checkpointer.Checkpoint(nil) // else its children wait
	}
}
