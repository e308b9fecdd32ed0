// Package cmdline reads the command lines of the programs that test and measure
// shardrun. Some of them run for hours, so nothing that a person wrote may be
// misread or ignored: an argument that is not understood, a value that makes no
// sense and a flag that does nothing in the mode asked for end the program at
// once, with status 2 and a text that says what is accepted.
package cmdline
