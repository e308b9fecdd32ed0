package wal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/shardrun/shardrun/internal/vfs"
)

const (
	segmentSuffix = ".log"
	// newSuffix marks a file that is being made. It has its name only once it
	// holds a header that was synced, so what has the name always has that.
	newSuffix = ".new"
)

// segment is one file of the log. Its fields are guarded by Log.mu, but for name
// and header, which stay, and gone.
type segment struct {
	name   string // path in the file system
	header segmentHeader

	size    int64  // of what was committed, with header and footer
	last    uint64 // number of the last batch, once sealed
	arrival int64  // the latest of its records

	gone atomic.Bool // trimmed: neither its file nor its index is kept any more
}

func segmentName(first uint64) string { return fmt.Sprintf("%016x%s", first, segmentSuffix) }

// segmentFirst is the first batch number that a file name stands for.
func segmentFirst(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	first, err := strconv.ParseUint(digits, 16, 64)
	return first, err == nil && segmentName(first) == name
}

func newSalt() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return le.Uint64(b[:])
}

// newFile is a file that is being made in two steps, so that after a crash it is
// there with all of its first content, or not at all. Until it is published, it
// can be discarded as if it had never been.
type newFile struct {
	fs         vfs.FS
	dir        string
	name, temp string // paths
	durability Durability
	file       vfs.File
}

// prepareFile makes a file that begins with content, and has no name yet.
func prepareFile(fsys vfs.FS, dir, name string, content []byte, d Durability) (*newFile, error) {
	n := &newFile{fs: fsys, dir: dir, name: path.Join(dir, name), temp: path.Join(dir, name+newSuffix), durability: d}
	if err := fsys.Remove(n.temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove %s: %w", n.temp, err)
	}
	var err error
	if n.file, err = fsys.Create(n.temp); err != nil {
		return nil, fmt.Errorf("create %s: %w", n.temp, err)
	}
	if _, err = n.file.Write(content); err != nil {
		err = fmt.Errorf("write %s: %w", n.temp, err)
	} else if err = syncFile(n.file, d); err != nil {
		err = fmt.Errorf("sync %s: %w", n.temp, err)
	}
	if err != nil {
		return nil, errors.Join(err, n.discard())
	}
	return n, nil
}

// publish gives the file its name, durably. What had the name is replaced. After
// an error the file is closed, and it is not known which of the two has the name.
func (n *newFile) publish() error {
	err := n.fs.Rename(n.temp, n.name)
	if err != nil {
		err = fmt.Errorf("rename %s: %w", n.temp, err)
	} else {
		err = syncDir(n.fs, n.dir, n.durability)
	}
	if err != nil {
		return errors.Join(err, n.file.Close())
	}
	return nil
}

// discard removes the file. One that stays all the same is removed at the next
// opening.
func (n *newFile) discard() error {
	err := n.file.Close()
	_ = n.fs.Remove(n.temp)
	return err
}

// makeDurable syncs a file of which all before synced is known to be on the
// disk. Its bytes from there to end were found by reading, which proves nothing:
// a sync of the process before may have failed, and the operating system then
// takes them for written. So they are written once more.
func makeDurable(fsys vfs.FS, f vfs.File, name string, synced, end int64) error {
	b := make([]byte, min(windowBytes, max(0, end-synced)))
	for at := synced; at < end; at += int64(len(b)) {
		b = b[:min(int64(len(b)), end-at)]
		if err := readFull(f, b, at); err != nil {
			return err
		}
		if err := fsys.Rewrite(name, b, at); err != nil {
			return fmt.Errorf("write the end of %s anew: %w", name, err)
		}
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", name, err)
	}
	return nil
}

// syncFile syncs a file that is on a disk.
func syncFile(f vfs.File, d Durability) error {
	if d == Memory {
		return nil
	}
	return f.Sync()
}

// syncDir syncs a directory that is on a disk.
func syncDir(fsys vfs.FS, dir string, d Durability) error {
	if d == Memory {
		return nil
	}
	if err := fsys.SyncDir(dir); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}

func (l *Log) syncDir() error { return syncDir(l.cfg.FS, l.cfg.Dir, l.cfg.Durability) }

// maxIdleFiles is how many sealed segments of a log stay open between reads.
const maxIdleFiles = 2

// files holds the open files of segments.
type files struct {
	fs vfs.FS

	// mu guards everything below, and the fields of the handles.
	mu     sync.Mutex
	open   map[*segment]*handle
	uses   uint64
	closed bool
}

// handle is an open file. It is closed when nobody uses it and it was dropped.
type handle struct {
	vfs.File
	users   int
	lastUse uint64
	dropped bool
}

func newFiles(fsys vfs.FS) *files { return &files{fs: fsys, open: map[*segment]*handle{}} }

// add hands over the file of the active segment. The caller is a user of it.
func (c *files) add(seg *segment, f vfs.File) *handle {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.uses++
	h := &handle{File: f, users: 1, lastUse: c.uses}
	c.open[seg] = h
	return h
}

// get opens the file of a segment, or shares it with its other users. Each get
// is followed by one put.
func (c *files) get(seg *segment) (*handle, error) {
	if h, err := c.share(seg, nil); h != nil || err != nil {
		return h, err
	}
	f, err := c.fs.Open(seg.name)
	if err != nil {
		return nil, err
	}
	h, err := c.share(seg, f)
	if err != nil || h.File != f { // closed, or somebody else was faster
		return h, errors.Join(err, f.Close())
	}
	return h, nil
}

// share returns the open handle of a segment, or else makes one of f, or else
// nil.
func (c *files) share(seg *segment, f vfs.File) (*handle, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	h := c.open[seg]
	if h == nil {
		if f == nil {
			return nil, nil
		}
		h = &handle{File: f, dropped: seg.gone.Load()}
		if !h.dropped { // nobody would close it
			c.open[seg] = h
		}
	}
	h.users++
	c.uses++
	h.lastUse = c.uses
	return h, nil
}

// put ends a use.
func (c *files) put(h *handle) error {
	c.mu.Lock()
	h.users--
	unused := c.evict()
	if h.dropped && h.users == 0 {
		unused = append(unused, h)
	}
	c.mu.Unlock()
	return closeAll(unused)
}

// evict takes out the files that are open for longest without a user, down to
// maxIdleFiles. mu is held.
func (c *files) evict() []*handle {
	var out []*handle
	for {
		idle := 0
		var oldest *segment
		for seg, h := range c.open {
			if h.users > 0 {
				continue
			}
			if idle++; oldest == nil || h.lastUse < c.open[oldest].lastUse {
				oldest = seg
			}
		}
		if idle <= maxIdleFiles {
			return out
		}
		out = append(out, c.open[oldest])
		delete(c.open, oldest)
	}
}

// drop closes the file of a segment as soon as nobody uses it.
func (c *files) drop(seg *segment) error {
	c.mu.Lock()
	h := c.open[seg]
	delete(c.open, seg)
	if h != nil {
		h.dropped = true
	}
	unused := h != nil && h.users == 0
	c.mu.Unlock()
	if !unused {
		return nil
	}
	return h.Close()
}

// close refuses further use, and closes each file as soon as nobody uses it.
func (c *files) close() error {
	c.mu.Lock()
	c.closed = true
	var unused []*handle
	for _, h := range c.open {
		if h.dropped = true; h.users == 0 {
			unused = append(unused, h)
		}
	}
	clear(c.open)
	c.mu.Unlock()
	return closeAll(unused)
}

func closeAll(hs []*handle) error {
	var err error
	for _, h := range hs {
		err = errors.Join(err, h.Close())
	}
	return err
}
