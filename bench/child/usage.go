package child

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Usage is what this process has used since its start.
type Usage struct {
	// CPU is processor time in seconds, user and system.
	CPU float64 `json:"cpu"`
	// PeakRSS is the greatest resident memory in bytes, 0 when it is not known.
	PeakRSS int64 `json:"peak_rss"`
}

// UsageNow measures this process.
func UsageNow() Usage {
	var u Usage
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) == nil {
		u.CPU = time.Duration(r.Utime.Nano() + r.Stime.Nano()).Seconds()
	}
	// Not of rusage: there it begins with the memory of the process that
	// started this one.
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			u.PeakRSS = kib << 10
		}
	}
	return u
}
