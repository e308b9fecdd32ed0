package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// mostLine is the longest line that put reads, the greatest record of the API.
const mostLine = 10 << 20

// lineInput is where the lines come from.
type lineInput struct {
	io.Reader
	file   *os.File // to be closed, or nil
	unseen bool     // nobody types it
}

// input opens the file, or standard input without a name.
func (a *app) input(name string) (*lineInput, error) {
	if name == "" {
		return &lineInput{Reader: a.in, unseen: !isTerminal(a.in)}, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return &lineInput{Reader: file, file: file, unseen: true}, nil
}

// close closes what input opened.
func (in *lineInput) close() {
	if in.file != nil {
		_ = in.file.Close() // which was only read
	}
}

// eachArgument puts each argument until one cannot be. next is the number of
// the first that was not put, 0 if all were.
func eachArgument(data []string, put func(number int, record []byte) error) (next int, err error) {
	for i, d := range data {
		if err := put(i+1, []byte(d)); err != nil {
			return i + 1, fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	return 0, nil
}

// eachLine puts each line until one cannot be, or ctx ends. next is the number
// of the first that was not put, 0 if all were.
func eachLine(ctx context.Context, in io.Reader, put func(number int, record []byte) error) (next int, err error) {
	lines := make(chan []byte, 256) // some read ahead
	var readErr error               // set before lines is closed
	go func() {                     // ends with the input, or with the program: a read of a terminal cannot be ended
		defer close(lines)
		readErr = readLines(ctx, in, lines)
	}()
	for n := 1; ; n++ {
		select {
		case line, more := <-lines:
			if !more && readErr != nil {
				return n, fmt.Errorf("line %d: %w", n, readErr)
			}
			if !more {
				return 0, nil
			}
			if err := put(n, line); err != nil {
				return n, fmt.Errorf("line %d: %w", n, err)
			}
		case <-ctx.Done():
			return n, context.Cause(ctx)
		}
	}
}

// readLines sends the lines of in until it ends or ctx does.
func readLines(ctx context.Context, in io.Reader, lines chan<- []byte) error {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, mostLine)
	for scanner.Scan() {
		select {
		case lines <- bytes.Clone(scanner.Bytes()):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return scanner.Err()
}

// failedFile is where the records are kept that were not put; a nil one keeps
// none.
type failedFile struct {
	file *os.File
	w    *bufio.Writer
	kept int
}

// newFailedFile makes a file that must not be there yet; without a name there
// is none.
func newFailedFile(name string) (*failedFile, error) {
	if name == "" {
		return nil, nil
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // somebody's data
	if err != nil {
		return nil, usagef("--failed: %w", err)
	}
	return &failedFile{file: file, w: bufio.NewWriter(file)}, nil
}

// keep writes a record, which has no line feed in it, so that readLines gives it as
// it is; close tells what went wrong.
func (f *failedFile) keep(record []byte) {
	if f == nil {
		return
	}
	f.kept++
	_, _ = f.w.Write(record) // the writer remembers its first error
	if bytes.HasSuffix(record, []byte("\r")) {
		_ = f.w.WriteByte('\r') // who reads takes one for a part of the line's end
	}
	_ = f.w.WriteByte('\n')
}

// close ends the file, and removes it when it is empty.
func (f *failedFile) close() error {
	if f == nil {
		return nil
	}
	err := errors.Join(f.w.Flush(), f.file.Close())
	if f.kept == 0 {
		err = errors.Join(err, os.Remove(f.file.Name()))
	}
	if err != nil {
		return fmt.Errorf("--failed: %w", err)
	}
	return nil
}
