//go:build unix

package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/shardrun/shardrun/reliability/ledger"
)

func main() {
	cfg := config{redisServer: redisServer()}
	flag.DurationVar(&cfg.duration, "for", time.Minute, "how long processes are killed and held")
	flag.Uint64Var(&cfg.seed, "seed", 0, "the plan is drawn from it (default: another one each time)")
	flag.IntVar(&cfg.workers, "workers", 4, "workers")
	flag.IntVar(&cfg.producers, "producers", 2, "producers; the first, third, … keep the order of their keys")
	flag.IntVar(&cfg.shards, "shards", 3, "shards at the start")
	flag.IntVar(&cfg.rate, "rate", 200, "records a second of each producer")
	flag.DurationVar(&cfg.ttl, "lease-ttl", time.Second, "lease time")
	flag.DurationVar(&cfg.pause, "pause", 0, "time between two faults, about (default: the lease time)")
	flag.Func("only", "faults to inflict, with commas: "+strings.Join(faultNames(), ", ")+" (default: all)", func(s string) error {
		cfg.only = strings.Split(s, ",")
		return nil
	})
	flag.DurationVar(&cfg.settle, "settle", 0, "how long everything may take to be handled in the end (default: a minute more than -for)")
	flag.StringVar(&cfg.dir, "dir", "", "directory for the files of the run (default: a new one)")
	flag.StringVar(&cfg.programs, "programs", "", "directory with the programs shardrun and node, with the race detector in them, say (default: built for the run)")
	flag.BoolVar(&cfg.keep, "keep", false, "keep the files of a run without violations too")
	check := flag.String("check", "", "judge the kept files in this directory again, and run nothing")
	verbose := flag.Bool("v", false, "print the timeline")
	totals := flag.String("ledger", "", "file with the totals to add this run to (default none)")
	flag.Parse()
	cfg = cfg.withDefaults()
	if cfg.seed == 0 {
		cfg.seed = rand.Uint64()>>32 + 1 // short enough to type
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var ok bool
	var err error
	if *check != "" {
		ok, err = recheck(cfg, *check, *verbose)
	} else {
		ok, err = report(ctx, cfg, *verbose, *totals)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "processes:", err)
	}
	if !ok || err != nil {
		stop()
		os.Exit(1)
	}
}

// redisServer is the program, empty when there is none.
func redisServer() string {
	path, _ := exec.LookPath("redis-server") // that it is missing is told by validate
	return path
}

// report makes a run and says what came of it.
func report(ctx context.Context, cfg config, verbose bool, totals string) (ok bool, err error) {
	if err := cfg.validate(); err != nil {
		return false, err
	}
	if cfg.dir == "" {
		if cfg.dir, err = os.MkdirTemp("", "shardrun-processes-"); err != nil {
			return false, err
		}
	} else if err := makeEmpty(cfg.dir); err != nil {
		return false, err
	}
	o, err := execute(ctx, cfg, cfg.dir)
	if err != nil {
		return false, fmt.Errorf("%w (files are in %s)", err, cfg.dir)
	}
	if err := show(o, cfg, verbose); err != nil {
		return false, err
	}
	if totals != "" {
		if err := ledger.Add(totals, o.result(cfg)); err != nil {
			return false, err
		}
	}
	if !o.ok() || cfg.keep {
		fmt.Printf("files are in %s\n", cfg.dir)
		return o.ok(), nil
	}
	return true, os.RemoveAll(cfg.dir)
}

// show prints what came of a run.
func show(o *outcome, cfg config, verbose bool) error {
	o.print(os.Stdout, cfg)
	if !verbose {
		return nil
	}
	return o.history.Timeline(os.Stdout)
}

// makeEmpty makes a directory, or takes one in which nothing is.
func makeEmpty(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("-dir %s: want an empty directory", dir)
	}
	return err
}

// recheck judges the histories of an earlier run.
func recheck(cfg config, dir string, verbose bool) (ok bool, err error) {
	o, err := judge(cfg, dir)
	if err != nil {
		return false, err
	}
	return o.ok(), show(o, cfg, verbose)
}

// result is what the ledger is told.
func (o *outcome) result(cfg config) ledger.Result {
	suite := "processes"
	if len(cfg.only) > 0 {
		suite += ", " + strings.Join(cfg.only, " and ")
	}
	r := ledger.Result{Suite: suite, Runs: 1, Counts: map[string]uint64{
		"records": uint64(o.verdict.Sent), "kills": uint64(o.counts.kills), "holds": uint64(o.counts.holds),
		"reshards": uint64(o.counts.reshards), "losses of the store": uint64(o.counts.losses),
		"seconds": uint64(o.took.Seconds()),
	}}
	if !o.ok() {
		r.Failures = 1
	}
	return r
}
