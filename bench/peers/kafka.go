package peers

import (
	"context"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/shardrun/shardrun/bench/harness"
)

// kafkaRole is the name under which this program runs kfake.
const kafkaRole = "serve-kafka"

// Kafka starts kfake, the in-memory Kafka of franz-go, in a process of its own,
// with a topic of four partitions, and returns the process and its address.
func Kafka(ctx context.Context, env *harness.Env, topic string) (*harness.Process, string, error) {
	c := env.Self(kafkaRole, topic)
	c.Ready = func(line string) bool { return strings.HasPrefix(line, "127.0.0.1:") }
	p, err := env.Start(ctx, c)
	if err != nil {
		return nil, "", err
	}
	return p, p.ReadyLine, nil
}

// serveKafka is the process of kfake.
func serveKafka(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("arguments %q: want a topic", args)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, args[0]))
	if err != nil {
		return err
	}
	defer cluster.Close()
	fmt.Println(cluster.ListenAddrs()[0])
	<-ctx.Done()
	return nil
}
