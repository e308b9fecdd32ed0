//go:build race

package wal

// spoilFreed has memory cleared when it is given back. Whoever still reads it is
// found out, by what is read or by the race detector.
const spoilFreed = true
