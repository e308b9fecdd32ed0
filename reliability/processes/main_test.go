//go:build unix

package main

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	goredis "github.com/redis/go-redis/v9"
)

// built are the programs, for all tests that run them.
var built struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	goredis.SetLogger(silent{})
	status := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(filepath.Dir(built.dir)) // it is a temporary one
	}
	os.Exit(status)
}

// programs is a directory with the programs that a run starts.
func programs(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "shardrun-programs-"); built.err == nil {
			built.dir = filepath.Join(built.dir, "bin")
			built.err = buildPrograms(context.Background(), built.dir)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.dir
}
