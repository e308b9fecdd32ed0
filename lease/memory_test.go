package lease_test

import (
	"testing"
	"testing/synctest"

	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/lease/leasetest"
)

func TestMemory(t *testing.T) {
	leasetest.Run(t, func(t *testing.T, test func(*testing.T, lease.Store)) {
		synctest.Test(t, func(t *testing.T) { test(t, lease.NewMemory()) })
	})
}
