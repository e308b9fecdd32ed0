// The ledger command shows and writes the total of what the reliability suites
// ran.
//
//	go run ./reliability/ledger/cmd table          print the table
//	go run ./reliability/ledger/cmd table -write   put it into README.md
//	go run ./reliability/ledger/cmd add -suite fuzz -runs 10 -count executions=123456
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/shardrun/shardrun/reliability/ledger"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "ledger:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("want table or add")
	}
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	file := flags.String("ledger", "reliability/totals.json", "file with the total")
	switch args[0] {
	case "table":
		write := flags.Bool("write", false, "put the table into the README instead of printing it")
		readme := flags.String("readme", "README.md", "file to put it into")
		_ = flags.Parse(args[1:]) // exits on an error
		return table(*file, *readme, *write)
	case "add":
		r := ledger.Result{Counts: counts{}}
		flags.StringVar(&r.Suite, "suite", "", "name of the suite")
		flags.Uint64Var(&r.Runs, "runs", 1, "runs made")
		flags.Uint64Var(&r.Failures, "failures", 0, "runs that found something wrong")
		flags.Var(counts(r.Counts), "count", "UNIT=N: how much was run (repeatable)")
		_ = flags.Parse(args[1:]) // exits on an error
		return ledger.Add(*file, r)
	}
	return fmt.Errorf("%q: want table or add", args[0])
}

func table(file, readme string, write bool) error {
	l, err := ledger.Read(file)
	if err != nil {
		return err
	}
	if !write {
		_, err := fmt.Print(l.Table())
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
	unit, number, ok := strings.Cut(s, "=")
	n, err := strconv.ParseUint(number, 10, 64)
	if !ok || unit == "" || err != nil {
		return fmt.Errorf("%q: want UNIT=N", s)
	}
	c[unit] += n
	return nil
}
