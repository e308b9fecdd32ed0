// The ledger command shows and writes the total of what the reliability suites
// ran.
//
//	go run ./reliability/ledger/cmd table          print the table
//	go run ./reliability/ledger/cmd table -write   put it into README.md
//	go run ./reliability/ledger/cmd add -suite fuzz -runs 10 -count executions=123456
//	go run ./reliability/ledger/cmd check          find out whether something could be added
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/shardrun/shardrun/reliability/cmdline"
	"github.com/shardrun/shardrun/reliability/ledger"
)

func main() {
	os.Exit(cmdline.Status("ledger", run(os.Args[1:], os.Stdout), os.Stdout, os.Stderr))
}

const about = `ledger: the total of what the reliability suites ran.

  go run ./reliability/ledger/cmd table          print the table
  go run ./reliability/ledger/cmd table -write   put it into README.md
  go run ./reliability/ledger/cmd add -suite fuzz -runs 10 -count executions=123456
  go run ./reliability/ledger/cmd check          whether something could be added: ask
                                                 before a long run`

// run does what the command line says.
func run(args []string, out io.Writer) error {
	verb := ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	flags := cmdline.New("ledger "+verb, about)
	file := flags.String("ledger", "reliability/totals.json", "`file` with the total")
	switch verb {
	case "table":
		write := flags.Bool("write", false, "put the table into the README instead of printing it")
		readme := flags.String("readme", "README.md", "with -write: `file` to put it into")
		if err := errors.Join(flags.Read(args), flags.Without("write", "readme")); err != nil {
			return err
		}
		return located(flags, table(*file, *readme, *write, out))
	case "add":
		return located(flags, add(flags, file, args))
	case "check":
		if err := flags.Read(args); err != nil {
			return err
		}
		return located(flags, ledger.Check(*file))
	}
	if verb == "" {
		return cmdline.Wrong("the first argument is missing; want table, add or check")
	}
	if err := flags.Read([]string{verb}); errors.Is(err, cmdline.ErrHelp) {
		return err
	}
	return cmdline.Wrong("the first argument is %q; want table, add or check", verb)
}

// located adds to the error of a total that is not there where it is looked for.
func located(flags *cmdline.Flags, err error) error {
	if errors.Is(err, fs.ErrNotExist) && !slices.Contains(flags.Given(), "ledger") {
		return fmt.Errorf("%w: run this at the root of the checkout, or give -ledger", err)
	}
	return err
}

// add adds to the total.
func add(flags *cmdline.Flags, file *string, args []string) error {
	r := ledger.Result{Counts: counts{}}
	r.Runs = 1
	flags.StringVar(&r.Suite, "suite", "", "name of the suite, in lower case")
	flags.Var(number{&r.Runs, 1}, "runs", "runs made, as a `number`")
	flags.Var(number{&r.Failures, 0}, "failures", "runs that found something wrong, as a `number`")
	flags.Var(counts(r.Counts), "count", "`UNIT=N`: how much was run (repeatable)")
	if err := flags.Read(args); err != nil {
		return err
	}
	if err := flags.Need("suite"); err != nil {
		return err
	}
	switch err := ledger.CheckName(r.Suite); {
	case err != nil:
		return cmdline.Wrong("-suite %q: %v", r.Suite, err)
	case r.Failures > r.Runs:
		return cmdline.Wrong("-failures %d: want at most -runs, %d", r.Failures, r.Runs)
	}
	return ledger.Add(*file, r)
}

func table(file, readme string, write bool, out io.Writer) error {
	if _, err := os.Stat(file); err != nil {
		return err // Read takes none for an empty total
	}
	l, err := ledger.Read(file)
	if err != nil {
		return err
	}
	if !write {
		_, err := fmt.Fprint(out, l.Table())
		return err
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	changed, err := ledger.Put(string(text), l.Table())
	if err != nil {
		return fmt.Errorf("%s: %w", readme, err)
	}
	return os.WriteFile(readme, []byte(changed), 0o644)
}

// counts is a flag that collects UNIT=N.
type counts map[string]uint64

func (c counts) String() string { return "" }

func (c counts) Set(s string) error {
	unit, many, ok := strings.Cut(s, "=")
	n, err := strconv.ParseUint(many, 10, 64)
	if !ok || unit == "" || err != nil {
		return errors.New("want UNIT=N, as in executions=123456")
	}
	if err := ledger.CheckName(unit); err != nil {
		return fmt.Errorf("the unit %q: %w", unit, err)
	}
	c[unit] += n
	return nil
}

// number is a flag for how many there are of something, at least a few.
type number struct {
	n     *uint64
	least uint64
}

func (f number) String() string {
	if f.n == nil { // as package flag asks for what is no default
		return "0"
	}
	return strconv.FormatUint(*f.n, 10)
}

func (f number) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n < f.least {
		return fmt.Errorf("want a whole number, at least %d", f.least)
	}
	*f.n = n
	return nil
}
