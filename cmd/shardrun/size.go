package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// sizeFlag is a number of bytes on the command line: 1048576, 1024KiB, 1MiB, 2GiB.
type sizeFlag int64

func sizeUnits() []struct {
	suffix string
	shift  int
} {
	return []struct {
		suffix string
		shift  int
	}{{"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"", 0}}
}

// String writes the size in the largest unit that divides it.
func (s *sizeFlag) String() string {
	n := int64(*s)
	for _, u := range sizeUnits() {
		if n != 0 && n%(1<<u.shift) == 0 {
			return strconv.FormatInt(n>>u.shift, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

// Set reads a size.
func (s *sizeFlag) Set(text string) error {
	for _, u := range sizeUnits() {
		digits, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64>>u.shift {
			break
		}
		*s = sizeFlag(n << u.shift)
		return nil
	}
	return fmt.Errorf("%q: want a number of bytes, 0 or more, like 1048576, 512KiB, 64MiB or 10GiB", text)
}

// Type is what the help calls the value.
func (*sizeFlag) Type() string { return "size" }
