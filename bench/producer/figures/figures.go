// Package figures is what the programs that measure producers and codecs have
// in common: what they are asked to do, and what they answer. Each library runs
// in a program of its own, because two of them cannot be linked into one.
package figures

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"time"
)

// AggregateBytes is the length of the aggregates that codecs make, the KPL's
// default.
const AggregateBytes = 50 << 10

// Figures are what a program measured.
type Figures struct {
	Records int64
	Seconds float64
	// Allocs are allocations per record.
	Allocs float64
}

// Task is what a program is asked to do.
type Task struct {
	// Size is the length of a user record's data.
	Size int
	// Time is how long to work.
	Time time.Duration
	// Endpoint is where to send records to, empty for codecs.
	Endpoint string
}

// Args are the arguments for a program that is to do the work of that name.
func (t Task) Args(work string) []string {
	return []string{work, strconv.Itoa(t.Size), t.Time.String(), t.Endpoint}
}

// Main does the work that the arguments name and writes its figures.
func Main(ctx context.Context, args []string, out io.Writer, works map[string]func(context.Context, Task) (Figures, error)) error {
	if len(args) != 4 || works[args[0]] == nil {
		return fmt.Errorf("arguments %q: want a work, a size, a time and an endpoint", args)
	}
	size, err := strconv.Atoi(args[1])
	if err != nil {
		return fmt.Errorf("size: %w", err)
	}
	d, err := time.ParseDuration(args[2])
	if err != nil {
		return fmt.Errorf("time: %w", err)
	}
	f, err := works[args[0]](ctx, Task{Size: size, Time: d, Endpoint: args[3]})
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return json.NewEncoder(out).Encode(f)
}

// Data is a record's data.
func Data(size int) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte('a' + i%26)
	}
	return data
}

// Key is one of 1,000 partition keys.
func Key(n int) string { return keys[n%len(keys)] }

var keys = func() [1000]string {
	var names [1000]string
	for i := range names {
		names[i] = fmt.Sprintf("customer-%06d", i)
	}
	return names
}()

// Loop repeats op, which handles that many records, for a time, after a tenth
// of it for warming up.
func Loop(d time.Duration, records int, op func()) Figures {
	for began := time.Now(); time.Since(began) < d/10; {
		op()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began, ops := time.Now(), 0
	for ; time.Since(began) < d; ops++ {
		op()
	}
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	n := int64(ops) * int64(records)
	return Figures{Records: n, Seconds: took.Seconds(), Allocs: float64(after.Mallocs-before.Mallocs) / float64(n)}
}
