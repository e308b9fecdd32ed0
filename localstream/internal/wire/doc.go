// Package wire is the Kinesis protocol on the server's side, in JSON and in
// CBOR: it reads request bodies into the input structs of the AWS SDK and
// writes output structs as answer bodies. It knows the shape of the API and
// nothing of streams.
//
// Any input can be read through reflection, with the conversions and error
// texts of AWS. Any output describes itself to a smithy.ShapeSerializer. The
// operations that carry records, PutRecord, PutRecords and GetRecords, have
// codecs written by hand that take no detour through either. What is read is
// read in the same way from either [Encoding].
package wire
