//go:build race

package localstream

// programsDefault is how many programs are run. The race detector makes them slow; the
// long suite runs 1,000 without it.
const programsDefault = 8
