// Package leases has the benchmarks of the lease store in Redis, call by call,
// and of what a group at rest costs.
package leases
