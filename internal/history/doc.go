// Package history records what happened to the records of a run (put, acked,
// delivered, handled) and judges it: what was lost, repeated, reordered,
// altered or invented. The demo and the end-to-end tests put their runs
// through it.
package history
