package vfs

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sync"
)

// chunkSize is how a file in memory grows once it is larger than that: in
// pieces, so that appending copies nothing that is already there.
const chunkSize = 256 << 10

// Memory is a file system without a disk. Nothing outlives the process, and
// syncing does nothing. Make one with [NewMemory].
type Memory struct {
	// mu guards names, locks.
	mu    sync.RWMutex
	names map[string]*memNode // by cleaned path; "." is always there
	locks map[string]bool
}

var _ FS = (*Memory)(nil)

// NewMemory returns an empty file system.
func NewMemory() *Memory {
	return &Memory{names: map[string]*memNode{".": {dir: true}}, locks: map[string]bool{}}
}

// memNode is a file or directory.
type memNode struct {
	dir bool

	// mu guards chunks, size. All chunks but the last are chunkSize long.
	mu     sync.RWMutex
	chunks [][]byte
	size   int64
}

// Create implements [FS].
func (m *Memory) Create(name string) (File, error) { return m.add("create", name, &memNode{}) }

// Mkdir implements [FS].
func (m *Memory) Mkdir(name string) error {
	_, err := m.add("mkdir", name, &memNode{dir: true})
	return err
}

func (m *Memory) add(op, name string, n *memNode) (File, error) {
	name = path.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if parent := m.names[path.Dir(name)]; parent == nil || !parent.dir {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	if m.names[name] != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrExist}
	}
	m.names[name] = n
	return memFile{n}, nil
}

// Open implements [FS].
func (m *Memory) Open(name string) (File, error) {
	n := m.node(name)
	if n == nil || n.dir {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return memFile{n}, nil
}

func (m *Memory) node(name string) *memNode {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.names[path.Clean(name)]
}

// Rename implements [FS].
func (m *Memory) Rename(from, to string) error {
	from, to = path.Clean(from), path.Clean(to)
	if path.Dir(from) != path.Dir(to) {
		return &fs.PathError{Op: "rename", Path: from, Err: fmt.Errorf("%s is in another directory", to)}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.names[from]
	if n == nil || n.dir {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	delete(m.names, from)
	m.names[to] = n
	return nil
}

// Rewrite implements [FS].
func (m *Memory) Rewrite(name string, p []byte, off int64) error {
	n := m.node(name)
	if n == nil || n.dir {
		return &fs.PathError{Op: "rewrite", Path: name, Err: fs.ErrNotExist}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if off < 0 || off+int64(len(p)) > n.size {
		return fmt.Errorf("rewrite %d bytes at %d of a file of %d", len(p), off, n.size)
	}
	for len(p) > 0 {
		k := copy(n.chunks[off/chunkSize][off%chunkSize:], p)
		p, off = p[k:], off+int64(k)
	}
	return nil
}

// Remove implements [FS].
func (m *Memory) Remove(name string) error {
	name = path.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if name == "." || m.names[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	if m.names[name].dir && len(m.children(name)) > 0 {
		return &fs.PathError{Op: "remove", Path: name, Err: errNotEmpty}
	}
	delete(m.names, name)
	return nil
}

var errNotEmpty = errors.New("directory not empty")

// children are the paths in dir, sorted. mu is held.
func (m *Memory) children(dir string) []string {
	var names []string
	for name := range maps.Keys(m.names) {
		if name != "." && path.Dir(name) == dir {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, cmp.Compare)
	return names
}

// List implements [FS].
func (m *Memory) List(dir string) ([]Entry, error) {
	dir = path.Clean(dir)
	m.mu.RLock()
	defer m.mu.RUnlock()
	if n := m.names[dir]; n == nil || !n.dir {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: fs.ErrNotExist}
	}
	names := m.children(dir)
	entries := make([]Entry, 0, len(names))
	for _, name := range names {
		entries = append(entries, m.names[name].entry(name))
	}
	return entries, nil
}

// Stat implements [FS].
func (m *Memory) Stat(name string) (Entry, error) {
	n := m.node(name)
	if n == nil {
		return Entry{}, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	return n.entry(name), nil
}

func (n *memNode) entry(name string) Entry {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return Entry{Name: path.Base(name), Dir: n.dir, Size: n.size}
}

// SyncDir implements [FS].
func (m *Memory) SyncDir(dir string) error {
	if n := m.node(dir); n == nil || !n.dir {
		return &fs.PathError{Op: "sync", Path: dir, Err: fs.ErrNotExist}
	}
	return nil
}

// Lock implements [FS].
func (m *Memory) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks[name] {
		return nil, fmt.Errorf("lock %s: %w: it is in use", name, ErrLocked)
	}
	m.locks[name] = true
	return closeFunc(sync.OnceFunc(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.locks, name)
	})), nil
}

// closeFunc is an io.Closer that cannot fail.
type closeFunc func()

func (f closeFunc) Close() error { f(); return nil }

// Free implements [FS]. Memory does not know its bounds.
func (m *Memory) Free() (int64, error) {
	return 0, fmt.Errorf("free space in memory: %w", errors.ErrUnsupported)
}

// memFile is an open file of [Memory].
type memFile struct{ *memNode }

// ReadAt implements [io.ReaderAt].
func (f memFile) ReadAt(p []byte, off int64) (int, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	n := 0
	for n < len(p) && off < f.size {
		k := copy(p[n:], f.chunks[off/chunkSize][off%chunkSize:])
		n, off = n+k, off+int64(k)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Write implements [io.Writer].
func (f memFile) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for rest := p; len(rest) > 0; {
		last := len(f.chunks) - 1
		if last < 0 || len(f.chunks[last]) == chunkSize {
			f.chunks = append(f.chunks, nil)
			last++
		}
		k := min(len(rest), chunkSize-len(f.chunks[last]))
		f.chunks[last] = append(f.chunks[last], rest[:k]...)
		rest = rest[k:]
	}
	f.size += int64(len(p))
	return len(p), nil
}

// Truncate implements [File].
func (f memFile) Truncate(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if size < 0 || size > f.size {
		return fmt.Errorf("truncate a file of %d bytes to %d", f.size, size)
	}
	full := size / chunkSize
	f.chunks = f.chunks[:min(len(f.chunks), int(full)+1)]
	if int(full) < len(f.chunks) {
		f.chunks[full] = slices.Clip(f.chunks[full][:size%chunkSize])
	}
	f.size = size
	return nil
}

// Sync implements [File].
func (f memFile) Sync() error { return nil }

// Size implements [File].
func (f memFile) Size() (int64, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.size, nil
}

// Close implements [io.Closer].
func (f memFile) Close() error { return nil }
