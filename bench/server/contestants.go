package server

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/bench/peers"
)

// The names of the contestants.
const (
	oursAsync    = "shardrun async"
	oursSync     = "shardrun sync"
	echo         = "echo"
	kinesalite   = "kinesalite"
	kinesisLocal = "kinesis-local"
	redis        = "Redis Streams"
	nats         = "NATS JetStream"
)

// stream is the name of the stream in all rows.
const stream = "bench"

// server starts a Kinesis server and returns its process and URL.
type server func(context.Context, *harness.Env) (*harness.Process, string, error)

// shardrun is our server with a durability.
func shardrun(durability string) server {
	return func(ctx context.Context, env *harness.Env) (*harness.Process, string, error) {
		return peers.Shardrun(ctx, env, durability, "")
	}
}

// kinesisServers are the servers that speak the Kinesis API, ours first.
func kinesisServers() []contender {
	return []contender{
		{name: oursAsync, start: shardrun("async")},
		{name: oursSync, start: shardrun("sync"), ours: true},
		{name: echo, start: peers.Echo},
		{name: kinesalite, start: peers.Kinesalite},
		{name: kinesisLocal, start: peers.KinesisLocal},
	}
}

// fastServers are ours, asked by our own client.
func fastServers() []contender {
	return []contender{
		{name: oursAsync, start: shardrun("async"), fast: true},
		{name: oursSync, start: shardrun("sync"), ours: true, fast: true},
	}
}

// contender is a Kinesis server that takes part.
type contender struct {
	name  string
	ours  bool
	start server
	fast  bool // asked by our own client, in place of the SDK's
}

// client is the client that asks the server.
func (c contender) client(url string) *kinesis.Client {
	if c.fast {
		return peers.FastClient(url)
	}
	return peers.Client(url)
}

// work is what a row does to a Kinesis server.
type work struct {
	shards int // of the stream that is made
	warm   func(context.Context, *kinesis.Client) error
	run    func(context.Context, *kinesis.Client) (harness.Sample, error)
}

// contestant lets the server do the work on a fresh stream.
func (c contender) contestant(w work) harness.Contestant {
	return harness.Contestant{
		Name: c.name, Ours: c.ours,
		Setup: func(ctx context.Context, env *harness.Env) (harness.Bench, error) {
			process, url, err := c.start(ctx, env)
			if err != nil {
				return harness.Bench{}, err
			}
			client := c.client(url)
			if err := peers.CreateStream(ctx, client, stream, w.shards); err != nil {
				return harness.Bench{}, err
			}
			return harness.Bench{
				Servers: []*harness.Process{process},
				Warm:    func(ctx context.Context) error { return w.warm(ctx, client) },
				Run:     func(ctx context.Context) (harness.Sample, error) { return w.run(ctx, client) },
			}, nil
		},
	}
}

// contestants let all of them do it.
func contestants(all []contender, w work) []harness.Contestant {
	var list []harness.Contestant
	for _, c := range all {
		list = append(list, c.contestant(w))
	}
	return list
}
