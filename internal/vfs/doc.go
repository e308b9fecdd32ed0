// Package vfs is the file system under the log: the few operations that a
// durable log needs, and nothing else.
//
// [OpenOS] is the real one. [Memory] keeps files in memory for a server
// without a disk. [Crash] is memory too, but knows for each sector and each
// directory entry whether it was synced, and can be cloned into what a power
// failure may leave. [Fault] wraps any of them and fails a chosen operation.
//
// Names are slash-separated paths relative to the root of the file system; "."
// is the root. The errors of a missing and of an existing file match
// [io/fs.ErrNotExist] and [io/fs.ErrExist].
package vfs
