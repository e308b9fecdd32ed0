//go:build !linux

package harness

import (
	"os"
	"syscall"
)

// Elsewhere than on Linux processor time, memory and other load are not known,
// and shown as none.

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
func processCPU(int) float64           { return 0 }
func statusBytes(int, string) int64    { return 0 }
func peakOf(*os.ProcessState) int64    { return 0 }
func resetPeak(int)                    {}
func readLoad() (load, bool)           { return load{}, false }
func cpuModel() string                 { return "" }
