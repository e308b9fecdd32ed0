package main

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/shardrun/shardrun/cmd/shardrun/internal/plural"
	"github.com/shardrun/shardrun/localstream"
)

func (a *app) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify DIR",
		Short: "Read and check everything in the data directory of a server that does not run",
		Long: `Read and check everything in a data directory of shardrun serve: metadata, records, and
the indexes of records. No server may run on it meanwhile. Nothing is changed, and the
directory may be one that cannot be written to.

Exits with 0 when all is intact, and with 1 when something is damaged, or could not be
read. A write that a crash left unfinished is no damage: the next start cuts it off.

A file of records that is gone is missed in the middle of a log, and when nothing is left
of a log. The oldest files of a log may as well have expired, and the newest never have been
written: their loss is not seen, or told as a doubt, which is no damage. The objects that
channels have delivered are not looked at.`,
		Example: `  shardrun verify ./shardrun-data
  shardrun verify ./shardrun-data --json | jq '.streams[].damage[]'`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.verify(args[0]) },
	}
}

func (a *app) verify(dir string) error {
	v, err := localstream.Verify(dir)
	if err != nil {
		return err
	}
	if a.json {
		err = printJSON(a.out, v)
	} else {
		err = a.printVerification(v)
	}
	if err == nil && v.Damaged {
		err = exitError(exitFail)
	}
	return err
}

// printVerification prints a table for each stream, and a line for each damage.
func (a *app) printVerification(v *localstream.Verification) error {
	fmt.Fprintf(a.out, "journal: %s, %s%s\n", plural.Of(v.Journal.Entries, "entry", "entries"), plural.Of(v.Journal.Bytes, "byte", "bytes"), tornText(v.Journal.TornBytes))
	a.printDamage(v.Journal.Damage, "the server does not open")
	for i := range v.Streams {
		s := &v.Streams[i]
		fmt.Fprintf(a.out, "\n%s in %s: %s, %s%s\n",
			plain(cmp.Or(s.ARN, "no stream")), s.Directory, plural.Of(s.Records, "record", "records"), plural.Of(s.Bytes, "byte", "bytes"), tornText(s.TornBytes))
		t := newTable(a.out, "SEGMENT", "SHARD", "RECORDS", "BYTES", "")
		for _, seg := range s.Segments {
			t.row(seg.File, "", strconv.FormatUint(seg.Records, 10), strconv.FormatInt(seg.Bytes, 10), tornText(seg.TornBytes))
			for _, sh := range seg.Shards {
				t.row("", sh.ShardID, strconv.FormatUint(sh.Records, 10), strconv.FormatInt(sh.Bytes, 10), damagedText(sh.Damaged))
			}
		}
		for _, sh := range s.Shards {
			t.row("all", sh.ShardID, strconv.FormatUint(sh.Records, 10), strconv.FormatInt(sh.Bytes, 10), damagedText(sh.Damaged))
		}
		if err := t.flush(); err != nil {
			return err
		}
		a.printDamage(s.Damage, "whose records are there is not known: all shards refuse to serve")
		for _, d := range s.Doubts {
			fmt.Fprintf(a.out, "doubt: %s\n", d)
		}
	}
	if v.Damaged {
		fmt.Fprintf(a.out, "\nDAMAGED. See what a repair would do: shardrun repair %s\n", v.DataDir)
	} else {
		fmt.Fprintln(a.out, "\nall is intact")
	}
	return nil
}

// printDamage says what is damaged, and what follows from it: where it is about
// no shard in particular, that.
func (a *app) printDamage(damage []localstream.Damage, that string) {
	for _, d := range damage {
		follows := that
		switch {
		case d.Harmless:
			follows = "nothing is lost by it"
		case d.ShardID != "":
			follows = d.ShardID + " refuses to serve"
		}
		fmt.Fprintf(a.out, "damage: %s at offset %d: %s (%s)\n", d.File, d.Offset, plain(d.Reason), follows)
	}
}

func damagedText(damaged bool) string {
	if damaged {
		return "damaged"
	}
	return ""
}

func tornText(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d of a write that was never finished)", bytes)
}
