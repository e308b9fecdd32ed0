//go:build unix && !linux

package main

import "syscall"

// apart keeps a child from the signals of our terminal. Outside of Linux one
// outlives a run that is itself killed.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
