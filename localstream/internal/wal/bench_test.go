package wal

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/shardrun/shardrun/internal/vfs"
)

// benchRecords makes records of random data, spread over the shards in turn.
func benchRecords(n, size, shards int) []Record {
	recs := make([]Record, n)
	for i := range recs {
		recs[i] = Record{Shard: uint32(i % shards), Key: fmt.Sprintf("key-%010d", i), Data: make([]byte, size)}
		for k := range recs[i].Data {
			recs[i].Data[k] = byte(rand.Uint32())
		}
	}
	return recs
}

func benchLog(b *testing.B, d Durability, shards int) *Log {
	b.Helper()
	var fsys vfs.FS = vfs.NewMemory()
	if d != Memory {
		osfs, err := vfs.OpenOS(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		fsys = osfs
	}
	l, err := Open(Config{FS: fsys, Dir: "stream", Durability: d})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	for s := range shards {
		l.OpenShard(uint32(s), 0)
	}
	return l
}

func BenchmarkAppend(b *testing.B) {
	for _, d := range []Durability{Sync, Async, Memory} {
		for _, c := range []struct {
			name                          string
			callers, records, size, shard int
		}{
			{"4x500x1KiB_1shard", 4, 500, 1 << 10, 1},
			{"4x500x1KiB", 4, 500, 1 << 10, 4},
			{"4x500x1KiB_100shards", 4, 500, 1 << 10, 100},
			{"4x500x1KiB_1000shards", 4, 500, 1 << 10, 1000},
			{"16x1x100B", 16, 1, 100, 4},
			{"1x1x100B", 1, 1, 100, 4},
		} {
			b.Run(fmt.Sprintf("%s/%s", d, c.name), func(b *testing.B) {
				l := benchLog(b, d, c.shard)
				b.SetBytes(int64(c.records * c.size))
				b.ReportAllocs()
				calls := make(chan struct{}, c.callers) // a token for each append that is left
				var callers sync.WaitGroup
				b.ResetTimer()
				for range c.callers {
					callers.Go(func() {
						recs := benchRecords(c.records, c.size, c.shard)
						for range calls {
							if err := l.Append(recs); err != nil {
								b.Error(err)
							}
						}
					})
				}
				for b.Loop() {
					calls <- struct{}{}
				}
				close(calls)
				callers.Wait()
			})
		}
	}
}

func BenchmarkRead(b *testing.B) {
	for _, c := range []struct {
		name   string
		size   int
		shards int
	}{{"1KiB", 1 << 10, 1}, {"1KiB_4shards", 1 << 10, 4}, {"100B_4shards", 100, 4}} {
		b.Run(c.name, func(b *testing.B) {
			l := benchLog(b, Async, c.shards)
			recs := benchRecords(500, c.size, c.shards)
			for range (100 << 20) / (500 * c.size) {
				if err := l.Append(recs); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			b.SetBytes(100 << 20 / int64(c.shards))
			for b.Loop() {
				for next := uint64(0); ; {
					p, err := l.Read(0, next, 0, 10_000, 10<<20)
					if err != nil {
						b.Fatal(err)
					}
					if next = p.Next; p.Behind == 0 {
						break
					}
				}
			}
		})
	}
}

// BenchmarkSyncOverFiles is what decided for one log a stream: 500 KiB appended
// to as many files as there are shards, in equal parts, and every file synced.
// The syncs of a round run at the same time, as those of many logs would.
func BenchmarkSyncOverFiles(b *testing.B) {
	for _, files := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(files), func(b *testing.B) {
			disk, err := vfs.OpenOS(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			defer disk.Close()
			open := make([]vfs.File, files)
			for i := range open {
				if open[i], err = disk.Create(fmt.Sprint(i)); err != nil {
					b.Fatal(err)
				}
				defer open[i].Close()
			}
			part := make([]byte, 500<<10/files)
			b.SetBytes(500 << 10)
			for b.Loop() {
				var writers sync.WaitGroup
				turns := make(chan vfs.File, files) // one element for each file
				for _, f := range open {
					turns <- f
				}
				close(turns)
				for range min(files, 16) {
					writers.Go(func() {
						for f := range turns {
							_, err := f.Write(part)
							if err == nil {
								err = f.Sync()
							}
							if err != nil {
								b.Error(err)
							}
						}
					})
				}
				writers.Wait()
			}
		})
	}
}

// BenchmarkAppendBesideWaiters is an append of one record while others wait for
// changes of other shards.
func BenchmarkAppendBesideWaiters(b *testing.B) {
	for _, waiters := range []int{0, 10_000} {
		b.Run(fmt.Sprint(waiters), func(b *testing.B) {
			l := benchLog(b, Memory, 1+waiters)
			var waiting sync.WaitGroup
			for s := range waiters {
				changed := l.Changed(uint32(1 + s))
				waiting.Go(func() { <-changed })
			}
			recs := benchRecords(1, 100, 1)
			b.ReportAllocs()
			for b.Loop() {
				if err := l.Append(recs); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			if err := l.Close(); err != nil {
				b.Fatal(err)
			}
			waiting.Wait()
		})
	}
}
