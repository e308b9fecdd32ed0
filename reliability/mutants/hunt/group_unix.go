//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// group puts a command that is to be started into a process group of its own, and
// returns what kills the group.
func group(cmd *exec.Cmd) (kill func() error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
