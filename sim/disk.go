package sim

import (
	"time"

	"github.com/shardrun/shardrun/internal/vfs"
)

// The time that a disk takes to sync a file or a directory. A power failure
// meanwhile finds what was to be synced written, in part, or not at all.
const (
	leastSync = 50 * time.Microsecond
	mostSync  = 4 * time.Millisecond
)

// slowDisk is a file system of which syncs take time.
type slowDisk struct {
	vfs.FS
	source *source
	begun  func() // called when a sync begins: what it is for is written
}

func (d slowDisk) wait(name string) {
	d.begun()
	time.Sleep(d.source.until(d.source.dice(key("sync", name)), leastSync, mostSync))
}

// Create implements [vfs.FS].
func (d slowDisk) Create(name string) (vfs.File, error) {
	f, err := d.FS.Create(name)
	return &slowFile{f, d, name}, err
}

// Open implements [vfs.FS].
func (d slowDisk) Open(name string) (vfs.File, error) {
	f, err := d.FS.Open(name)
	return &slowFile{f, d, name}, err
}

// SyncDir implements [vfs.FS].
func (d slowDisk) SyncDir(dir string) error {
	d.wait(dir)
	return d.FS.SyncDir(dir)
}

// slowFile is a file of a [slowDisk].
type slowFile struct {
	vfs.File
	disk slowDisk
	name string
}

// Sync implements [vfs.File].
func (f *slowFile) Sync() error {
	f.disk.wait(f.name)
	return f.File.Sync()
}
