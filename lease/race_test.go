//go:build race

package lease_test

// Under the race detector what is tried at random is tried less often: it is ten times
// as slow, and most of it decides without a second goroutine.
const (
	modelDefault   = 30
	plansDefault   = 25
	outagesDefault = 10
	chaosDefault   = 6
)
