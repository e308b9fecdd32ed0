package consumer

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/lease"
)

var _ Kinesis = (*kinesis.Client)(nil)

func validConfig() Config {
	return Config{
		Group: "g", Stream: "s", Client: newFake(1), Store: lease.NewMemory(),
		Handler: BatchFunc(func(context.Context, *Batch) error { return nil }),
	}
}

func TestConfigIsChecked(t *testing.T) {
	for field, change := range map[string]func(*Config){
		"Group":              func(c *Config) { c.Group = "" },
		"Stream":             func(c *Config) { c.Stream = "" },
		"Client":             func(c *Config) { c.Client = nil },
		"Store":              func(c *Config) { c.Store = nil },
		"Handler":            func(c *Config) { c.Handler = nil },
		"BatchSize":          func(c *Config) { c.BatchSize = 10_001 },
		"BatchWindow":        func(c *Config) { c.BatchWindow = 301 * time.Second },
		"MaxBatchBytes":      func(c *Config) { c.MaxBatchBytes = -1 },
		"HandlerTimeout":     func(c *Config) { c.HandlerTimeout = -1 },
		"MaxAttempts":        func(c *Config) { c.MaxAttempts = -2 },
		"MaxRecordAge":       func(c *Config) { c.MaxRecordAge = -1 },
		"RetryDelay":         func(c *Config) { c.RetryDelay, c.MaxRetryDelay = 2, 1 },
		"PageSize":           func(c *Config) { c.PageSize = 10_001 },
		"IdleDelay":          func(c *Config) { c.IdleDelay, c.MaxIdleDelay = 2, 1 },
		"MemoryBudget":       func(c *Config) { c.MemoryBudget = 1000 },
		"LeaseTTL":           func(c *Config) { c.LeaseTTL = time.Millisecond },
		"CheckpointInterval": func(c *Config) { c.CheckpointInterval = -1 },
		"DrainTimeout":       func(c *Config) { c.DrainTimeout = -1 },
		"HandoffTime":        func(c *Config) { c.HandoffTime = -1 },
		"StartTimeout":       func(c *Config) { c.StartTimeout = -1 },
		"Capacity":           func(c *Config) { c.Capacity = -1 },
		"MaxLeases":          func(c *Config) { c.MaxLeases = -1 },
		"StartAt":            func(c *Config) { c.StartAt = AtTimestamp(time.Now().Add(time.Hour)) },
		"StartAt is HALT":    func(c *Config) { c.StartAt = Halt() },
		"OnStateLoss":        func(c *Config) { c.OnStateLoss = AtTimestamp(time.Now().Add(time.Hour)) },
		"is LATEST, it must": func(c *Config) { c.OnStateLoss = Latest() },
	} {
		cfg := validConfig()
		change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("a bad %s gives the error %v", field, err)
		}
	}
	if _, err := New(validConfig()); err != nil {
		t.Error(err)
	}
}

func TestConfigDefaults(t *testing.T) {
	c := validConfig().withDefaults()
	if c.BatchSize != 100 || c.MaxBatchBytes != 6<<20 || c.MaxAttempts != -1 || c.PageSize != 1000 ||
		c.ReadsPerSecond != 5 || c.ReadBytesPerSecond != 2<<20 || c.LeaseTTL != 10*time.Second ||
		c.MemoryBudget != 256<<20 || c.IdleDelay != 200*time.Millisecond || c.MaxIdleDelay != time.Second || c.WorkerName == "" {
		t.Errorf("defaults %+v", c)
	}
	if other := validConfig().withDefaults(); other.WorkerName == c.WorkerName {
		t.Errorf("two workers are named %s", c.WorkerName)
	}
	d := validConfig()
	d.OnFailure, d.ReadsPerSecond, d.IdleDelay, d.RetryDelay = Drop, -1, time.Minute, time.Hour
	d = d.withDefaults()
	if d.MaxAttempts != 10 || d.ReadBytesPerSecond != -1 || d.MaxIdleDelay != time.Minute || d.MaxRetryDelay != time.Hour {
		t.Errorf("defaults that depend on others %+v", d)
	}
	if err := d.validate(); err != nil {
		t.Error(err)
	}
}
