// Package localstream is a Kinesis Data Streams server on an embedded, durable
// log. It runs in a process of its own or inside another one, as for tests:
//
//	srv := localstream.NewT(t)
//	client := srv.Client() // a *kinesis.Client, without a socket
//
// Streams survive a restart, and a record whose put was acknowledged survives
// what [Config.Durability] says. The server gives real sequence numbers,
// reshards while records are written and read, and answers errors with the
// types and texts of AWS. README.md lists which operations it emulates.
//
// Clients are authenticated only with Config.Auth. There is one trust domain:
// the account of a request is a way to keep streams apart, not a boundary.
package localstream
