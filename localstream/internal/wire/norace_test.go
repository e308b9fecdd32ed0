//go:build !race

package wire

// raceEnabled says that the race detector is on, which allocates as well.
const raceEnabled = false
