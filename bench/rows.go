package main

import (
	"maps"
	"slices"

	"github.com/shardrun/shardrun/bench/consumer"
	"github.com/shardrun/shardrun/bench/failover"
	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/bench/leases"
	"github.com/shardrun/shardrun/bench/peers"
	"github.com/shardrun/shardrun/bench/producer"
	"github.com/shardrun/shardrun/bench/scale"
	"github.com/shardrun/shardrun/bench/server"
	"github.com/shardrun/shardrun/bench/worker"
)

// rows are all rows, in the order of the table. full says that larger sizes
// are wanted.
func rows(full bool) []harness.Row {
	return slices.Concat(server.Rows(full), producer.Rows(), consumer.Rows(full), failover.Rows(full), leases.Rows(full), scale.Rows(full))
}

// roles are what this program can be beside the benchmark itself.
func roles() map[string]role {
	all := map[string]role{}
	for _, some := range []map[string]role{peers.Roles(), producer.Roles(), consumer.Roles(), worker.Roles(), scale.Roles()} {
		maps.Copy(all, some)
	}
	return all
}
