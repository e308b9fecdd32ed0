package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/shardrun/shardrun/cmd/shardrun/internal/plural"
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
may be interrupted, and run again. shardrun verify says what is damaged.

Exits with 0 when nothing is damaged, or all of it was repaired, with 1 when it failed, and
with 3 when something is to be repaired and --yes is missing.`,
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
		err = exitError(exitPlan)
	}
	return err
}

func (a *app) printRepair(r *localstream.RepairReport) {
	if len(r.Files) == 0 {
		fmt.Fprintln(a.out, "nothing is damaged")
		return
	}
	made, is, lost := "would be made", "would be", "would be lost"
	if r.Done {
		made, is, lost = "made", "is", "lost"
	}
	for _, f := range r.Files {
		switch {
		case f.Kept > 0:
			fmt.Fprintf(a.out, "%s: %s anew with the %d that are intact; the original %s kept as %s\n", f.File, made, f.Kept, is, cmp.Or(f.Saved, f.File+".damaged"))
		case f.Saved != "":
			fmt.Fprintf(a.out, "%s: %s anew without records; the original %s kept as %s\n", f.File, made, is, f.Saved)
		default:
			fmt.Fprintf(a.out, "%s: is missing, %s without records\n", f.File, made)
		}
	}
	for _, l := range r.Lost {
		where := plain(cmp.Or(l.ARN, l.Directory)) + " " + l.ShardID
		if l.Exact {
			fmt.Fprintf(a.out, "%s: %s: %s, from %s to %s\n", lost, where, plural.Of(l.Records, "record", "records"), l.From, l.To)
			continue
		}
		fmt.Fprintf(a.out, "%s: %s: whatever there was after %s and before %s\n",
			lost, where, cmp.Or(l.From, "its beginning"), cmp.Or(l.To, "its end"))
	}
	for _, c := range r.LostChanges {
		fmt.Fprintf(a.out, "%s: %s\n", lost, plain(c))
	}
	if r.Done {
		fmt.Fprintln(a.out, "repaired")
	}
}
