// Package cbor reads and writes the part of CBOR (RFC 8949) that
// application/x-amz-cbor-1.1 is made of: the protocol in which the AWS SDK for
// Java, the KCL and Flink talk to Kinesis. Client and server of this module
// share it.
//
// There is no reflection and no data model: append functions write one item
// each, and a [Reader] walks over a buffer item by item. What it returns points
// into that buffer. It takes any bytes: lengths are checked against what is
// left before anything is done with them, and nesting is bounded.
package cbor
