package cmdline

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// ErrHelp is wrapped by the error of a command line that asks for help.
var ErrHelp = flag.ErrHelp

// Flags are the flags of a program, or of one of its subcommands.
type Flags struct {
	*flag.FlagSet
	// about stands above the flags in the help.
	about string
}

// New returns a set without flags for the command of that name. What about says
// stands above the flags in the help, and ends without a line break.
func New(name, about string) *Flags {
	f := &Flags{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError), about: about}
	f.SetOutput(io.Discard) // Status prints errors, once
	f.Usage = func() {}
	return f
}

// Read parses the arguments, all of which must be flags. It fails with
// [ErrHelp] when help was asked for, and with a [UsageError].
func (f *Flags) Read(args []string) error {
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return &helpError{f}
	case err != nil:
		return &UsageError{err.Error()}
	case f.NArg() > 0:
		return Wrong("%q is not a flag; there are no other arguments", f.Arg(0))
	}
	return nil
}

// Given are the names of the flags that stand on the command line, in order.
func (f *Flags) Given() []string {
	var names []string
	f.Visit(func(given *flag.Flag) { names = append(names, given.Name) })
	return names
}

// Only refuses flags that do nothing in a mode: mode is the flag, with its dash,
// that asks for it, and accepted are the names of the others that it takes.
func (f *Flags) Only(mode string, accepted ...string) error {
	for _, name := range f.Given() {
		if "-"+name != mode && !slices.Contains(accepted, name) {
			return Wrong("-%s does nothing with %s, which takes %s", name, mode, dashed(accepted))
		}
	}
	return nil
}

// Without refuses flags that do nothing unless another is given: needs is that
// one, without its dash.
func (f *Flags) Without(needs string, names ...string) error {
	given := f.Given()
	if slices.Contains(given, needs) {
		return nil
	}
	for _, name := range names {
		if slices.Contains(given, name) {
			return Wrong("-%s does nothing without -%s", name, needs)
		}
	}
	return nil
}

// Need refuses a command line without these flags, or with empty ones.
func (f *Flags) Need(names ...string) error {
	for _, name := range names {
		if f.Lookup(name).Value.String() == "" {
			return Wrong("-%s is missing: %s", name, f.Lookup(name).Usage)
		}
	}
	return nil
}

// Writable reports whether a file can be written, which it leaves as it is: who
// writes it at the end of a long run asks at the beginning.
func Writable(file string) error {
	_, err := os.Lstat(file)
	known := err == nil
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	err = f.Close()
	if !known {
		err = errors.Join(err, os.Remove(file))
	}
	return err
}

func dashed(names []string) string {
	if len(names) == 0 {
		return "no other flags"
	}
	return "-" + strings.Join(names, ", -") + " only"
}

// help writes what the command is, and its flags.
func (f *Flags) help(out io.Writer) {
	fmt.Fprintf(out, "%s\n\nFlags:\n", f.about)
	f.SetOutput(out)
	f.PrintDefaults()
	f.SetOutput(io.Discard)
}

// helpError is that somebody asked for help.
type helpError struct{ flags *Flags }

func (*helpError) Error() string { return flag.ErrHelp.Error() }
func (*helpError) Unwrap() error { return flag.ErrHelp }

// UsageError is something on the command line that cannot be done.
type UsageError struct{ text string }

func (e *UsageError) Error() string { return e.text }

// Wrong makes a [UsageError], which says what was wrong and what is accepted.
func Wrong(format string, args ...any) error {
	return &UsageError{fmt.Sprintf(format, args...)}
}

// Status tells what became of a command, and returns what to exit with: 0, 1
// after a failure, and 2 after a command line that was refused. Help goes to out,
// errors go to problems.
func Status(name string, err error, out, problems io.Writer) int {
	if err == nil {
		return 0
	}
	if help, ok := errors.AsType[*helpError](err); ok {
		help.flags.help(out)
		return 0
	}
	fmt.Fprintf(problems, "%s: %v\n", name, err)
	if _, ok := errors.AsType[*UsageError](err); ok {
		fmt.Fprintln(problems, "-help lists the flags.")
		return 2
	}
	return 1
}
