package lease_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/lease"
)

const invoices = "000000000000:us-east-1:invoices:1700000000000"

// both declares two streams of four shards each; the second one is missing until
// there says otherwise.
func both(w *world, there func() bool) func(*lease.Config) {
	return func(c *lease.Config) {
		c.Streams = []string{stream, invoices}
		c.Discover = func(_ context.Context, s string) ([]lease.Row, error) {
			if s == stream {
				return w.shards, nil
			}
			if !there() {
				return nil, errors.New("stream not found")
			}
			var rows []lease.Row
			for i := range 4 {
				rows = append(rows, lease.Row{Name: lease.Name(invoices, fmt.Sprintf("bill-%d", i))})
			}
			return rows, nil
		}
	}
}

func always() bool { return true }

func TestWorkersShareTheStreamsThatTheyDeclare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lease.NewMemory(), 4)
		all := both(w, always)
		w.start("orders", all, func(c *lease.Config) { c.Streams = []string{stream} })
		w.start("invoices", all, func(c *lease.Config) { c.Streams = []string{invoices} })
		time.Sleep(2 * time.Second)
		owners := w.owners()
		for i := range 4 {
			if a, b := owners[fmt.Sprintf("shard-%03d", i)], owners[fmt.Sprintf("bill-%d", i)]; a != "orders" || b != "invoices" {
				t.Errorf("owners %v", owners)
			}
		}
		three := w.start("both", all)
		time.Sleep(20 * time.Second)
		if c := w.counts(); c["both"] < 2 || c["both"] > 3 || c["orders"] < 2 || c["invoices"] < 2 || c["orders"]+c["invoices"]+c["both"] != 8 {
			t.Errorf("counts %v, owners %v", c, w.owners())
		}
		if err := three.drain(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if c := w.counts(); c["orders"] != 4 || c["invoices"] != 4 {
			t.Errorf("counts %v after the third went", c)
		}
	})
}

func TestAStreamThatIsMissingHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lease.NewMemory(), 4)
		var there bool
		w.start("one", both(w, func() bool { w.mu.Lock(); defer w.mu.Unlock(); return there }))
		time.Sleep(time.Minute)
		if c := w.counts(); c["one"] != 4 {
			t.Errorf("counts %v", c)
		}
		w.mu.Lock()
		there = true
		w.mu.Unlock()
		time.Sleep(15 * time.Second)
		if c := w.counts(); c["one"] != 8 {
			t.Errorf("counts %v when the stream was there", c)
		}
	})
}

func TestEachStreamIsAudited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lease.NewMemory(), 4)
		listed := make(chan string, 100) // more than there are
		w.start("one", both(w, always), idle, func(c *lease.Config) {
			c.AuditInterval = 10 * time.Second
			c.List = func(_ context.Context, s string) (lease.Listing, error) {
				listed <- s
				return lease.Listing{}, errors.New("not now")
			}
		})
		time.Sleep(time.Minute)
		got := map[string]int{}
		for len(listed) > 0 {
			got[<-listed]++
		}
		if got[stream] < 4 || got[invoices] < 4 {
			t.Errorf("listed %v", got)
		}
	})
}
