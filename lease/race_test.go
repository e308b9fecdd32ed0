//go:build race

package lease_test

// modelDefault is how many sequences of calls the stores are compared in.
const modelDefault = 30
