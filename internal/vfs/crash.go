package vfs

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
)

// Crash is a file system in memory that knows what a power failure would leave
// of it: each file and each directory has what is durable beside what is seen.
// It is for tests, and copies more than [Memory] does. Make one with [NewCrash].
type Crash struct {
	// mu guards everything below, and all nodes.
	mu    sync.Mutex
	root  *crashNode
	locks map[string]bool
}

var _ FS = (*Crash)(nil)

// NewCrash returns an empty file system.
func NewCrash() *Crash {
	return &Crash{root: newCrashDir(), locks: map[string]bool{}}
}

// crashNode is a file or a directory.
type crashNode struct {
	dir bool

	// Of a file: what is seen, what is durable, and whether what is seen is the
	// durable part with something appended.
	data, durable []byte
	appended      bool
	lost          []span // what is seen, and no sync writes any more; in order

	// Of a directory: what is seen, what is durable, and the changes between.
	names, durableNames map[string]*crashNode
	pending             []nameChange
}

// span is a piece of a file.
type span struct{ from, to int }

// nameChange is a change to a directory that was not synced: node gets the name
// to, unless that is empty, and loses the name from, unless that is empty.
type nameChange struct {
	from, to string
	node     *crashNode
}

func (c nameChange) apply(names map[string]*crashNode) {
	if c.from != "" {
		delete(names, c.from)
	}
	if c.to != "" {
		names[c.to] = c.node
	}
}

func newCrashDir() *crashNode {
	return &crashNode{dir: true, names: map[string]*crashNode{}, durableNames: map[string]*crashNode{}}
}

func (n *crashNode) change(c nameChange) {
	c.apply(n.names)
	n.pending = append(n.pending, c)
}

// find returns what has a name. mu is held.
func (c *Crash) find(op, name string) (*crashNode, error) {
	n := c.root
	if name = path.Clean(name); name == "." {
		return n, nil
	}
	for elem := range strings.SplitSeq(name, "/") {
		if n = n.names[elem]; n == nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
	}
	return n, nil
}

// parent returns the directory of a name, and its last element. mu is held.
func (c *Crash) parent(op, name string) (*crashNode, string, error) {
	name = path.Clean(name)
	d, err := c.find(op, path.Dir(name))
	if err == nil && !d.dir {
		err = &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return d, path.Base(name), err
}

func (c *Crash) add(op, name string, n *crashNode) (*crashNode, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, base, err := c.parent(op, name)
	if err != nil {
		return nil, err
	}
	if d.names[base] != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrExist}
	}
	d.change(nameChange{to: base, node: n})
	return n, nil
}

// Create implements [FS].
func (c *Crash) Create(name string) (File, error) {
	n, err := c.add("create", name, &crashNode{appended: true})
	if err != nil {
		return nil, err
	}
	return crashFile{c, n}, nil
}

// Mkdir implements [FS].
func (c *Crash) Mkdir(name string) error {
	_, err := c.add("mkdir", name, newCrashDir())
	return err
}

// Open implements [FS].
func (c *Crash) Open(name string) (File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.find("open", name)
	if err == nil && n.dir {
		err = &fs.PathError{Op: "open", Path: name, Err: errors.New("is a directory")}
	}
	if err != nil {
		return nil, err
	}
	return crashFile{c, n}, nil
}

// Rename implements [FS].
func (c *Crash) Rename(from, to string) error {
	from, to = path.Clean(from), path.Clean(to)
	if path.Dir(from) != path.Dir(to) {
		return &fs.PathError{Op: "rename", Path: from, Err: fmt.Errorf("%s is in another directory", to)}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	d, base, err := c.parent("rename", from)
	if err != nil {
		return err
	}
	n := d.names[base]
	if n == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	d.change(nameChange{from: base, to: path.Base(to), node: n})
	return nil
}

// Rewrite implements [FS].
func (c *Crash) Rewrite(name string, p []byte, off int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.find("rewrite", name)
	if err != nil {
		return err
	}
	if off < 0 || off+int64(len(p)) > int64(len(n.data)) {
		return fmt.Errorf("rewrite %d bytes at %d of a file of %d", len(p), off, len(n.data))
	}
	n.rewrite(p, int(off))
	return nil
}

// Remove implements [FS].
func (c *Crash) Remove(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, base, err := c.parent("remove", name)
	if err != nil {
		return err
	}
	switch n := d.names[base]; {
	case n == nil:
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	case n.dir && len(n.names) > 0:
		return &fs.PathError{Op: "remove", Path: name, Err: errNotEmpty}
	}
	d.change(nameChange{from: base})
	return nil
}

// List implements [FS].
func (c *Crash) List(dir string) ([]Entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, err := c.find("list", dir)
	if err == nil && !d.dir {
		err = &fs.PathError{Op: "list", Path: dir, Err: errors.New("not a directory")}
	}
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(d.names))
	for name, n := range d.names {
		entries = append(entries, n.entry(name))
	}
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
	return entries, nil
}

// Stat implements [FS].
func (c *Crash) Stat(name string) (Entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.find("stat", name)
	if err != nil {
		return Entry{}, err
	}
	return n.entry(path.Base(name)), nil
}

func (n *crashNode) entry(name string) Entry {
	return Entry{Name: name, Dir: n.dir, Size: int64(len(n.data))}
}

// SyncDir implements [FS].
func (c *Crash) SyncDir(dir string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, err := c.find("sync", dir)
	if err != nil {
		return err
	}
	d.durableNames, d.pending = maps.Clone(d.names), nil
	return nil
}

// Lock implements [FS].
func (c *Crash) Lock(name string) (io.Closer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.locks[name] {
		return nil, fmt.Errorf("lock %s: %w: it is in use", name, ErrLocked)
	}
	c.locks[name] = true
	return closeFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.locks, name)
	}), nil
}

// Free implements [FS]. Memory does not know its bounds.
func (c *Crash) Free() (int64, error) {
	return 0, fmt.Errorf("free space in memory: %w", errors.ErrUnsupported)
}

// ReadFile returns a copy of what is seen of a file.
func (c *Crash) ReadFile(name string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.find("read", name)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(n.data), nil
}

// Damage changes a file behind the back of those who use it, as a bad disk
// does: what damage returns is seen and durable.
func (c *Crash) Damage(name string, damage func(data []byte) []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.find("damage", name)
	if err != nil {
		return err
	}
	n.data = damage(bytes.Clone(n.data))
	n.durable, n.appended, n.lost = bytes.Clone(n.data), true, nil
	return nil
}
