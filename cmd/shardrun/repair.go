package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/shardrun/shardrun/localstream"
)

func (a *app) repairCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "repair DIR",
		Short: "Make a damaged data directory one that serves again, with all that is intact",
		Long: `Say what of a damaged data directory of shardrun serve is lost, and with --yes make it
one that serves again. No server may run on it meanwhile.

Damaged files are replaced by ones with all that is intact in them; their original bytes
are kept beside them, in files whose names end in .damaged. Files without damage are not
touched. Sequence numbers that were given out are never given to other records. A repair
may be interrupted, and run again. shardrun verify says what is damaged.`,
		Example: `  shardrun repair ./shardrun-data          # what it would do
  shardrun repair ./shardrun-data --yes`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.repair(args[0], yes) },
	}
	c.Flags().BoolVar(&yes, "yes", false, "do it")
	return c
}

func (a *app) repair(dir string, yes bool) error {
	act := localstream.PlanRepair
	if yes {
		act = localstream.Repair
	}
	r, err := act(dir)
	if err != nil {
		return err
	}
	if a.json {
		err = printJSON(a.out, r)
	} else {
		a.printRepair(r)
	}
	if err == nil && !r.Done && len(r.Files) > 0 {
		fmt.Fprintln(a.err, "shardrun: nothing was changed: say --yes to repair")
		err = exitError(exitUsage)
	}
	return err
}

func (a *app) printRepair(r *localstream.RepairReport) {
	if len(r.Files) == 0 {
		fmt.Fprintln(a.out, "nothing is damaged")
		return
	}
	for _, f := range r.Files {
		switch {
		case f.Kept > 0:
			fmt.Fprintf(a.out, "%s: made anew with the %d that are intact; the original is kept as %s\n", f.File, f.Kept, cmp.Or(f.Saved, f.File+".damaged"))
		case f.Saved != "":
			fmt.Fprintf(a.out, "%s: made anew without records; the original is kept as %s\n", f.File, f.Saved)
		default:
			fmt.Fprintf(a.out, "%s: is missing, made without records\n", f.File)
		}
	}
	for _, l := range r.Lost {
		where := plain(cmp.Or(l.ARN, l.Directory)) + " " + l.ShardID
		if l.Exact {
			fmt.Fprintf(a.out, "lost: %s: %d records, from %s to %s\n", where, l.Records, l.From, l.To)
			continue
		}
		fmt.Fprintf(a.out, "lost: %s: whatever there was after %s and before %s\n",
			where, cmp.Or(l.From, "its beginning"), cmp.Or(l.To, "its end"))
	}
	for _, c := range r.LostChanges {
		fmt.Fprintf(a.out, "lost: %s\n", plain(c))
	}
	if r.Done {
		fmt.Fprintln(a.out, "repaired")
	}
}
