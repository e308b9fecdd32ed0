package redis_test

import (
	"context"
	"fmt"
	"log"

	"github.com/alicebob/miniredis/v2"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
	leaseredis "github.com/shardrun/shardrun/lease/redis"
)

// A worker of one's own, without the consumer: it shares the shards of a stream with
// all others of its group, wherever they run, and goes on where the one before it was.
func Example() {
	server, err := miniredis.Run() // in the process here; yours is a Redis or a Valkey
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	store, err := leaseredis.New(leaseredis.Config{Addr: server.Addr()})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = store.Close() }()

	ctx, cancel := context.WithCancel(context.Background())
	const stream = "123456789012:eu-west-1:orders:1790000000000" // the last part is when it was made
	manager, err := lease.NewManager(lease.Config{
		Store: store, Group: "billing", Streams: []string{stream},
		Discover: func(context.Context, string) ([]lease.Row, error) { // as ListShards says
			return []lease.Row{{Name: lease.Name(stream, "shardId-000000000000"), Position: checkpoint.Start()}}, nil
		},
		Run: func(ctx context.Context, h *lease.Held) error {
			fmt.Println("from", h.Entry().Position)
			h.Save(checkpoint.At("4961", 0), 0, nil) // all up to here was handled
			if err := h.Flush(ctx); err != nil {     // else it is saved soon, with others
				return err
			}
			fmt.Println("handled")
			cancel() // enough for an example; a service waits for SIGTERM
			select {
			case <-h.Draining(): // another worker wants it, or this one ends
				return nil
			case <-ctx.Done(): // the lease is lost
				return context.Cause(ctx)
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := manager.Run(ctx); err != nil {
		log.Fatal(err)
	}
	view, err := store.View(context.Background(), "billing")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the next one goes on at", view.Leases[0].Position)
	// Output:
	// from START
	// handled
	// the next one goes on at 4961:0
}
