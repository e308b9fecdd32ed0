//go:build !unix

package main

import "os/exec"

// group returns what kills a command that is to be started; what it has started
// in turn goes on.
func group(cmd *exec.Cmd) (kill func() error) {
	return func() error { return cmd.Process.Kill() }
}
