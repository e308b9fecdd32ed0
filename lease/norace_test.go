//go:build !race

package lease_test

const (
	modelDefault   = 200 // sequences of calls in which the stores are compared
	plansDefault   = 100 // random fleets in each test of plans
	outagesDefault = 40  // outages by which calls hang
	chaosDefault   = 12  // lives of workers that come and go
)
