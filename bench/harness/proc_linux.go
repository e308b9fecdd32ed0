package harness

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// clockTick is the unit of processor time in /proc: USER_HZ, which Linux fixes
// at 100 for programs.
const clockTick = 0.01

// attributes of a child: a process group of its own, so that an interrupt from
// the terminal does not reach it, and an end when this program is killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// procStat is what is needed of /proc/PID/stat; times in ticks.
type procStat struct {
	pid, parent int
	self        float64 // by the process itself
	reaped      float64 // by children that it waited for
}

// readStat reads /proc/PID/stat. The name in it may contain spaces and
// brackets, so fields are counted from the last bracket.
func readStat(path string) (procStat, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return procStat{}, false
	}
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return procStat{}, false
	}
	fields := strings.Fields(string(text[end+1:])) // from field 3, the state, on
	if len(fields) < 15 {
		return procStat{}, false
	}
	number := func(i int) float64 { v, _ := strconv.ParseFloat(fields[i-3], 64); return v }
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text[:open])))
	return procStat{
		pid: pid, parent: int(number(4)),
		self:   number(14) + number(15),
		reaped: number(16) + number(17),
	}, pid > 0
}

// processCPU is the processor time of a process in seconds.
func processCPU(pid int) float64 {
	s, _ := readStat(fmt.Sprintf("/proc/%d/stat", pid))
	return s.self * clockTick
}

// statusBytes reads a size from /proc/PID/status.
func statusBytes(pid int, name string) int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// peakOf is the greatest resident memory of a process that has ended, in bytes.
func peakOf(state *os.ProcessState) int64 {
	if u, ok := state.SysUsage().(*syscall.Rusage); ok {
		return u.Maxrss << 10
	}
	return 0
}

// resetPeak sets VmHWM to VmRSS.
func resetPeak(pid int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

// readLoad takes a look at who uses the processors.
func readLoad() (load, bool) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return load{}, false
	}
	first, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(first)
	if len(fields) < 9 {
		return load{}, false
	}
	var l load
	for i, field := range fields[1:9] { // user nice system idle iowait irq softirq steal
		v, _ := strconv.ParseFloat(field, 64)
		l.total += v
		switch i {
		case 0, 1, 2, 7: // interrupts are left out: they serve our own packets
			l.busy += v
		}
	}
	paths, _ := filepath.Glob("/proc/[0-9]*/stat")
	stats := make(map[int]procStat, len(paths))
	for _, path := range paths {
		if s, ok := readStat(path); ok {
			stats[s.pid] = s
		}
	}
	for pid, s := range stats {
		switch {
		case s.parent == 2: // a kernel thread: it writes back what we wrote
			l.exempt += s.self
		case descends(stats, pid, os.Getpid()):
			l.exempt += s.self + s.reaped
		}
	}
	return l, true
}

// descends reports whether the process is root or one of its descendants.
func descends(stats map[int]procStat, pid, root int) bool {
	for range 64 { // deeper than any real tree
		if pid == root {
			return true
		}
		s, ok := stats[pid]
		if !ok {
			return false
		}
		pid = s.parent
	}
	return false
}

// cpuModel is the processor's name, as the kernel says it.
func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
