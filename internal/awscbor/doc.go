// Package awscbor is the client's side of application/x-amz-cbor-1.1, the
// protocol in which the AWS SDK for Java and the KCL talk to Kinesis, for the
// official Go client. In it blobs are bytes, where the client's own JSON has
// base64; that, and codecs written by hand for the calls that carry records,
// make it several times as fast.
//
// [Use] gives it to a client, which stays a *kinesis.Client: endpoints,
// signing, retries and middleware are those of the SDK. PutRecord and
// PutRecords are written, and the answers of PutRecords, GetRecords and
// SubscribeToShard read, straight from and into the SDK's structs; everything
// else goes through the SDK's schemas. A service that does not take CBOR is
// talked to in JSON from then on, see refusal.go.
package awscbor
