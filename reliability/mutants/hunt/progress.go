package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// tellEvery is the least time between two lines of progress.
const tellEvery = 10 * time.Second

// tell says how far the hunt is, unless it said so a moment ago.
func (h *hunter) tell(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.told) < tellEvery-time.Second { // a tick may come early
		return
	}
	h.told = time.Now()
	fmt.Fprintf(h.progress, format+"\n", args...)
}

// say writes lines of what came of it, together.
func (h *hunter) say(lines ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = time.Now()
	fmt.Fprintln(h.out, strings.Join(lines, "\n"))
}

// working says which mutants are hunted at a moment, and for how long.
func working(begun map[string]time.Time, now time.Time) string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(begun)) {
		names = append(names, fmt.Sprintf("%s (%v)", name, now.Sub(begun[name]).Round(time.Second)))
	}
	return strings.Join(names, ", ")
}

// every calls f again and again, until stop is called, which waits for it.
func every(d time.Duration, f func()) (stop func()) {
	over := make(chan struct{})
	var caller sync.WaitGroup
	caller.Go(func() {
		tick := time.NewTicker(d)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				f()
			case <-over:
				return
			}
		}
	})
	return func() {
		close(over)
		caller.Wait()
	}
}

// lines tell the result of the n-th hunt of all.
func (h *hunter) lines(r result, n, all int) []string {
	lines := []string{fmt.Sprintf("%*d/%d  %-9s %6.1fs  %s: %s", len(strconv.Itoa(all)), n, all, mark(r.caught), r.took.Seconds(), r.mutant.Name, r.how)}
	if h.sim && r.caught {
		lines = append(lines, "          "+r.command)
	}
	return lines
}

func mark(caught bool) string {
	if caught {
		return "caught"
	}
	return "SURVIVED"
}
