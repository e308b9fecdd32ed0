package localstream

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/vfs"
)

// However much waits to be delivered, little of it is in memory.
func TestDeliveryNeedsLittleMemory(t *testing.T) {
	disk := &weighed{}
	dir, err := vfs.OpenOS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	disk.FS = dir
	h := open(t, Config{fs: disk, ChannelFreshness: time.Hour, Durability: Async})
	h.onDemand("s")
	ch := h.channel(toS3())
	const pages, each = 4, 8 << 20
	for range pages {
		in := &kinesis.PutRecordsInput{StreamName: aws.String("s")}
		for i := range 16 {
			in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprint(i)), Data: bytes.Repeat([]byte{'a'}, each/16)})
		}
		_, err := h.client.PutRecords(t.Context(), in)
		h.must(err)
	}
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	disk.on.Store(true)
	h.must(h.server.deliverAll((*h.server.channels.Load())[*ch.ChannelId]))
	disk.on.Store(false)
	written := int64(0)
	for _, o := range objectsIn(t, dir, folderDir) {
		written += int64(len(o.body))
	}
	if written < pages*each || disk.most.Load() == 0 {
		t.Errorf("%d bytes were written", written)
	}
	if most := int64(disk.most.Load()) - int64(before.HeapAlloc); most > 12<<20 {
		t.Errorf("a delivery of %d MiB took %d MiB", pages*each>>20, most>>20)
	}
}

// weighed is a file system that looks now and then, while on is set, how much
// memory is in use when an object is written.
type weighed struct {
	vfs.FS
	on     atomic.Bool
	writes atomic.Int64
	most   atomic.Uint64
}

func (w *weighed) Create(name string) (vfs.File, error) {
	f, err := w.FS.Create(name)
	if err != nil || !strings.HasPrefix(name, folderDir) {
		return f, err
	}
	return weighedFile{f, w}, nil
}

type weighedFile struct {
	vfs.File
	fs *weighed
}

func (f weighedFile) Write(p []byte) (int, error) {
	if f.fs.on.Load() && f.fs.writes.Add(1)%16 == 0 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		f.fs.most.Store(max(f.fs.most.Load(), m.HeapAlloc))
	}
	return f.File.Write(p)
}
