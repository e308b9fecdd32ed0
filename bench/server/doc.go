// Package server has the rows that measure localstream, run by the shardrun
// command in a process of its own, beside other Kinesis servers for local use,
// an HTTP echo that answers the same requests from prepared texts, and other
// logs. All speak to the AWS SDK's client, so the echo is what a server can
// reach at most.
package server
