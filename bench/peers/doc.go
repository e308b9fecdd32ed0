// Package peers starts the servers that the rows need: ours, by the shardrun
// command, those that ours are compared with, and an HTTP echo that is the
// least a server can do. What is not installed is installed into the cache
// folder where a package registry has it; else it is [harness.ErrUnavailable].
package peers
