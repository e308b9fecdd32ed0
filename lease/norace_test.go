//go:build !race

package lease_test

// modelDefault is how many sequences of calls the stores are compared in. Under the
// race detector they are fewer.
const modelDefault = 200
