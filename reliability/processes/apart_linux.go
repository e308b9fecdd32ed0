package main

import "syscall"

// apart keeps a child from the signals of our terminal, and has it killed when
// we are, so that no server outlives a run.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
