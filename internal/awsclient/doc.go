// Package awsclient makes the Kinesis client of the command and the examples
// from what a person gives on a command line and in the environment. Programs
// of users load their own AWS configuration and need none of this.
package awsclient
