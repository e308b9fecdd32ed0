package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/shardrun/shardrun/localstream"
)

// warnOfDataDir warns of a data directory that will not be used, or that has
// other things in it.
func (f serveFlags) warnOfDataDir(a *app, cfg localstream.Config) {
	if cfg.Durability == localstream.Memory {
		if f.dirGiven {
			fmt.Fprintf(a.err, "shardrun: warning: --data-dir %s is not used: with --durability memory nothing is kept\n", cfg.DataDir)
		}
		return
	}
	entries, err := os.ReadDir(cfg.DataDir)
	if err != nil {
		return // it is new; or it cannot be used, which Open says better
	}
	if _, err := os.Stat(filepath.Join(cfg.DataDir, "meta", "journal")); !errors.Is(err, fs.ErrNotExist) {
		return // a server has had it before
	}
	if others := foreign(entries); len(others) > 0 {
		fmt.Fprintf(a.err, "shardrun: warning: data directory %s has other things in it (%s): the data goes beside them; --data-dir with a directory of its own keeps it apart\n",
			cfg.DataDir, strings.Join(others, ", "))
	}
}

// foreign names the first entries of a data directory that are none of a
// server's, nor such as file systems and containers put there.
func foreign(entries []fs.DirEntry) (names []string) {
	for _, e := range entries {
		name := e.Name()
		switch {
		case slices.Contains([]string{"lock", "meta", "streams", "s3", "lost+found"}, name), strings.HasPrefix(name, "."), strings.HasPrefix(name, "tls-"):
		case len(names) == 3:
			return append(names, "…")
		default:
			names = append(names, plain(name))
		}
	}
	return names
}

// tellOfDamage says once what to do about damaged records.
func tellOfDamage(w io.Writer) func(*localstream.DamagedError) {
	var once sync.Once
	return func(e *localstream.DamagedError) {
		once.Do(func() {
			fmt.Fprintf(w, "shardrun: records in %[1]s are damaged: their shards refuse to serve, the others work. Stop this server, then: "+
				"shardrun verify %[1]s says what is damaged, shardrun repair %[1]s what can be kept\n", e.DataDir)
		})
	}
}
