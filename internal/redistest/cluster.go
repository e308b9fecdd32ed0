package redistest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// slots are the hash slots of every cluster.
const slots = 16384

// Cluster are the nodes of a Redis Cluster on loopback.
type Cluster struct {
	// Primaries have a third of the slots each, at the start.
	Primaries []*Process
	// Replicas has one of each of the primaries, if they were asked for.
	Replicas []*Process

	t testing.TB
}

// StartCluster starts three primaries, and a replica of each if replicas is
// set. A primary that is silent for a second is replaced by its replica; without
// replicas it is waited for, because a machine may have much else to do.
func StartCluster(t testing.TB, replicas bool, settings ...string) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	silence := patient
	if replicas {
		silence = time.Second
	}
	node := func() *Process {
		return Start(t, append([]string{
			"--cluster-enabled", "yes", "--cluster-node-timeout", strconv.FormatInt(silence.Milliseconds(), 10), "--repl-diskless-sync-delay", "0",
		}, settings...)...)
	}
	for i := range 3 {
		p := node()
		add := []any{"CLUSTER", "ADDSLOTS"}
		for slot := i * slots / 3; slot < (i+1)*slots/3; slot++ {
			add = append(add, slot)
		}
		p.Do(add...)
		p.Do("CLUSTER", "SET-CONFIG-EPOCH", i+1)
		c.Primaries = append(c.Primaries, p)
		c.meet(p)
	}
	if replicas {
		for range 3 {
			p := node()
			c.Replicas = append(c.Replicas, p)
			c.meet(p)
		}
	}
	c.agreed()
	for i, p := range c.Replicas {
		primary := c.Primaries[i].ID()
		within(t, "a replica to know its primary", func(ctx context.Context) error {
			client := p.Client()
			defer func() { _ = client.Close() }() // it was only for this
			return client.ClusterReplicate(ctx, primary).Err()
		})
	}
	for _, p := range c.Replicas {
		within(t, "replica "+p.Addr+" to be in sync", func(context.Context) error {
			if info := p.Do("INFO", "replication").String(); !strings.Contains(info, "master_link_status:up") {
				return fmt.Errorf("%s", info)
			}
			return nil
		})
	}
	if replicas {
		c.agreed()
	}
	return c
}

func (c *Cluster) meet(p *Process) {
	c.t.Helper()
	host, port, err := net.SplitHostPort(p.Addr)
	if err != nil {
		c.t.Fatal(err)
	}
	if p != c.Primaries[0] {
		c.Primaries[0].Do("CLUSTER", "MEET", host, port)
	}
}

// agreed waits until every node has all slots served and knows all nodes.
func (c *Cluster) agreed() {
	c.t.Helper()
	want := fmt.Sprintf("cluster_known_nodes:%d\r", len(c.Primaries)+len(c.Replicas))
	for _, p := range slices.Concat(c.Replicas, c.Primaries) {
		within(c.t, "the nodes to agree", func(context.Context) error {
			if info := p.Do("CLUSTER", "INFO").String(); !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, want) {
				return fmt.Errorf("%s", info)
			}
			return nil
		})
	}
}

// Addrs are those of all nodes.
func (c *Cluster) Addrs() []string {
	var out []string
	for _, p := range slices.Concat(c.Replicas, c.Primaries) {
		out = append(out, p.Addr)
	}
	return out
}

// ID is the identity of a node of a cluster.
func (p *Process) ID() string { return p.Do("CLUSTER", "MYID").Val().(string) }

// Owner is the index of the primary that has the slot of a key, at the start.
func (c *Cluster) Owner(key string) int {
	slot := c.Slot(key)
	for i := range c.Primaries {
		if slot < int64((i+1)*slots/3) {
			return i
		}
	}
	return 0
}

// Slot is the slot of a key.
func (c *Cluster) Slot(key string) int64 {
	return c.Primaries[0].Do("CLUSTER", "KEYSLOT", key).Val().(int64)
}

// Move moves the slot of a key, with all that is in it, to another primary, as
// a resharding does.
func (c *Cluster) Move(key string, from, to *Process) {
	c.t.Helper()
	slot := c.Slot(key)
	host, port, err := net.SplitHostPort(to.Addr)
	if err != nil {
		c.t.Fatal(err)
	}
	to.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", from.ID())
	from.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", to.ID())
	client := from.Client()
	defer func() { _ = client.Close() }() // it was only for this
	keys, err := client.ClusterGetKeysInSlot(c.t.Context(), int(slot), 1000).Result()
	if err != nil {
		c.t.Fatal(err)
	}
	if len(keys) > 0 {
		move := []any{"MIGRATE", host, port, "", 0, 5000, "KEYS"}
		for _, k := range keys {
			move = append(move, k)
		}
		from.Do(move...)
	}
	for _, p := range append([]*Process{to, from}, c.Primaries...) {
		p.Do("CLUSTER", "SETSLOT", slot, "NODE", to.ID())
	}
}

// Client is a client of the cluster, which ends with the test.
func (c *Cluster) Client() *redis.ClusterClient {
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs()})
	c.t.Cleanup(func() { _ = client.Close() }) // the test is over
	return client
}
