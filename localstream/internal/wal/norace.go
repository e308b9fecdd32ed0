//go:build !race

package wal

const spoilFreed = false
