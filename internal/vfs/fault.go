package vfs

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
)

// FaultKind is what goes wrong.
type FaultKind uint8

// The faults.
const (
	// FailEIO fails the operation with EIO; nothing of it happens.
	FailEIO FaultKind = iota + 1
	// ShortWrite writes half of the bytes, then fails with EIO. Operations that
	// are no writes fail as with FailEIO.
	ShortWrite
	// NoSpace writes half of the bytes, then fails with ENOSPC. Operations that
	// are no writes fail with ENOSPC and do nothing.
	NoSpace
	// LostSync fails the sync of a file with EIO, and leaves what was to be
	// synced as Linux does: seen by all who read the file, but taken for
	// written, so that later syncs succeed and do not write it. In a clone of a
	// [Crash] it is missing, until it is written anew. Other operations fail as
	// with FailEIO.
	LostSync
	// CrashBefore stops the process before the operation: it and all later ones
	// fail with [ErrCrashed] and do nothing.
	CrashBefore
	// CrashAfter stops the process after the operation, whose success nobody
	// hears of.
	CrashAfter
)

// FaultKinds are all of them.
func FaultKinds() []FaultKind {
	return []FaultKind{FailEIO, ShortWrite, NoSpace, LostSync, CrashBefore, CrashAfter}
}

// String names the fault.
func (k FaultKind) String() string {
	switch k {
	case FailEIO:
		return "EIO"
	case ShortWrite:
		return "short write"
	case NoSpace:
		return "ENOSPC"
	case LostSync:
		return "lost sync"
	case CrashBefore:
		return "crash before"
	case CrashAfter:
		return "crash after"
	default:
		return fmt.Sprintf("fault(%d)", uint8(k))
	}
}

// ErrCrashed is the error of operations after a crash that was asked for.
var ErrCrashed = errors.New("the process has crashed")

// Plan says which operation of a [Faulty] fails, and how. The zero Plan fails
// none.
type Plan struct {
	// Kind is the fault.
	Kind FaultKind
	// At is the number of the operation, counted from 1: of those that change
	// the file system, or with Reads of those that read file contents.
	At int
	// Reads counts reads instead of changes.
	Reads bool
}

// Faulty is a file system of which one operation fails.
type Faulty struct {
	FS

	// mu guards everything below.
	mu      sync.Mutex
	plan    Plan
	changes int
	reads   int
	trace   []string
	fired   bool
	crashed bool
}

// Fault makes one operation of fsys fail.
func Fault(fsys FS, plan Plan) *Faulty { return &Faulty{FS: fsys, plan: plan} }

// Changes is how many operations changed the file system, or tried to: a run
// without a fault tells how many there are to fail.
func (f *Faulty) Changes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changes
}

// Reads is how many times file contents were read.
func (f *Faulty) Reads() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads
}

// Fired reports whether the planned operation was reached.
func (f *Faulty) Fired() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fired
}

// Operation describes the change with a number, for messages.
func (f *Faulty) Operation(n int) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n < 1 || n > len(f.trace) {
		return "none"
	}
	return f.trace[n-1]
}

// decide counts an operation, and returns the fault that it meets, or 0.
func (f *Faulty) decide(op, name string, read bool) FaultKind {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return CrashBefore
	}
	n := &f.changes
	if read {
		n = &f.reads
	} else {
		f.trace = append(f.trace, op+" "+name)
	}
	*n++
	if f.plan.Kind == 0 || read != f.plan.Reads || *n != f.plan.At {
		return 0
	}
	f.fired = true
	f.crashed = f.plan.Kind == CrashBefore || f.plan.Kind == CrashAfter
	return f.plan.Kind
}

// do runs an operation that changes the file system, or the fault in its place.
func (f *Faulty) do(op, name string, run func() error) error {
	kind := f.decide(op, name, false)
	switch kind {
	case 0:
		return run()
	case CrashAfter:
		// Whether it worked does not matter: nobody hears of it.
		_ = run()
	}
	return kind.err(op, name)
}

// err is the error of an operation that met the fault.
func (k FaultKind) err(op, name string) error {
	err := error(syscall.EIO)
	switch k {
	case NoSpace:
		err = syscall.ENOSPC
	case CrashBefore, CrashAfter:
		err = ErrCrashed
	}
	return fmt.Errorf("%s %s: %w", op, name, err)
}

// dead returns the error of operations that are not counted.
func (f *Faulty) dead(op, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return CrashBefore.err(op, name)
	}
	return nil
}

// Create implements [FS].
func (f *Faulty) Create(name string) (File, error) {
	var file File
	err := f.do("create", name, func() (err error) {
		file, err = f.FS.Create(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return faultyFile{file, f, name}, nil
}

// Open implements [FS].
func (f *Faulty) Open(name string) (File, error) {
	if err := f.dead("open", name); err != nil {
		return nil, err
	}
	file, err := f.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return faultyFile{file, f, name}, nil
}

// Rename implements [FS].
func (f *Faulty) Rename(from, to string) error {
	return f.do("rename", from, func() error { return f.FS.Rename(from, to) })
}

// Rewrite implements [FS].
func (f *Faulty) Rewrite(name string, p []byte, off int64) error {
	return f.do("rewrite", name, func() error { return f.FS.Rewrite(name, p, off) })
}

// Remove implements [FS].
func (f *Faulty) Remove(name string) error {
	return f.do("remove", name, func() error { return f.FS.Remove(name) })
}

// Mkdir implements [FS].
func (f *Faulty) Mkdir(name string) error {
	return f.do("mkdir", name, func() error { return f.FS.Mkdir(name) })
}

// SyncDir implements [FS].
func (f *Faulty) SyncDir(dir string) error {
	return f.do("sync directory", dir, func() error { return f.FS.SyncDir(dir) })
}

// List implements [FS].
func (f *Faulty) List(dir string) ([]Entry, error) {
	if err := f.dead("list", dir); err != nil {
		return nil, err
	}
	return f.FS.List(dir)
}

// Stat implements [FS].
func (f *Faulty) Stat(name string) (Entry, error) {
	if err := f.dead("stat", name); err != nil {
		return Entry{}, err
	}
	return f.FS.Stat(name)
}

// Lock implements [FS].
func (f *Faulty) Lock(name string) (io.Closer, error) {
	if err := f.dead("lock", name); err != nil {
		return nil, err
	}
	return f.FS.Lock(name)
}

// faultyFile is an open file of a [Faulty].
type faultyFile struct {
	File
	fs   *Faulty
	name string
}

// Write implements [io.Writer].
func (f faultyFile) Write(p []byte) (int, error) {
	kind := f.fs.decide("write", f.name, false)
	n, part := 0, p
	switch kind {
	case FailEIO, LostSync, CrashBefore:
		part = nil
	case ShortWrite, NoSpace:
		part = p[:len(p)/2]
	}
	var err error
	if len(part) > 0 {
		n, err = f.File.Write(part)
	}
	if kind != 0 {
		err = kind.err("write", f.name)
	}
	return n, err
}

// Truncate implements [File].
func (f faultyFile) Truncate(size int64) error {
	return f.fs.do("truncate", f.name, func() error { return f.File.Truncate(size) })
}

// Sync implements [File].
func (f faultyFile) Sync() error {
	kind := f.fs.decide("sync", f.name, false)
	switch kind {
	case 0:
		return f.File.Sync()
	case LostSync:
		if file, ok := f.File.(interface{ loseUnsynced() }); ok {
			file.loseUnsynced()
		}
	case CrashAfter:
		// Whether it worked does not matter: nobody hears of it.
		_ = f.File.Sync()
	}
	return kind.err("sync", f.name)
}

// ReadAt implements [io.ReaderAt].
func (f faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if kind := f.fs.decide("read", f.name, true); kind != 0 {
		return 0, kind.err("read", f.name)
	}
	return f.File.ReadAt(p, off)
}
