package cmdline

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// read reads a command line as a program does.
func read(args ...string) error {
	f := New("program", "The program does things.")
	f.Int("rate", 1, "records a second")
	f.Bool("list", false, "list things")
	f.Uint64("seed", 0, "the seed")
	f.Bool("v", false, "tell more")
	if err := f.Read(args); err != nil {
		return err
	}
	if err := f.Without("seed", "v"); err != nil {
		return err
	}
	if f.Lookup("list").Value.String() == "true" {
		return f.Only("-list", "v", "seed")
	}
	return nil
}

func TestWhatIsRefusedAndWhy(t *testing.T) {
	for line, want := range map[string]string{
		"-rate many":       `invalid value "many" for flag -rate: parse error`,
		"-fast":            "flag provided but not defined: -fast",
		"-list now":        `"now" is not a flag; there are no other arguments`,
		"now":              `"now" is not a flag; there are no other arguments`,
		"-list -rate 2":    "-rate does nothing with -list, which takes -v, -seed only",
		"-v":               "-v does nothing without -seed",
		"-v -seed 1":       "",
		"-list -seed 1 -v": "",
		"":                 "",
	} {
		var out, problems strings.Builder
		status := Status("program", read(strings.Fields(line)...), &out, &problems)
		wantStatus, wantText := 2, "program: "+want+"\n-help lists the flags.\n"
		if want == "" {
			wantStatus, wantText = 0, ""
		}
		if status != wantStatus || problems.String() != wantText || out.String() != "" {
			t.Errorf("%q: status %d, %q, %q; want %d, %q", line, status, problems.String(), out.String(), wantStatus, wantText)
		}
	}
}

func TestHelpIsNoFailure(t *testing.T) {
	for _, line := range []string{"-help", "--help", "-h", "-v -help"} {
		var out, problems strings.Builder
		status := Status("program", read(strings.Fields(line)...), &out, &problems)
		if status != 0 || problems.Len() > 0 || !strings.HasPrefix(out.String(), "The program does things.\n\nFlags:\n") ||
			!strings.Contains(out.String(), "-rate int") {
			t.Errorf("%s: status %d, %q, %q", line, status, out.String(), problems.String())
		}
	}
}

func TestAFailureIsNoMisuse(t *testing.T) {
	var out, problems strings.Builder
	if status := Status("program", errors.New("disk full"), &out, &problems); status != 1 || problems.String() != "program: disk full\n" {
		t.Errorf("status %d, %q", status, problems.String())
	}
	if status := Status("program", fmt.Errorf("add: %w", Wrong("no")), &out, &problems); status != 2 {
		t.Errorf("status %d of a wrapped error", status)
	}
}

func TestWritableLeavesFilesAsTheyAre(t *testing.T) {
	dir := t.TempDir()
	file, other := filepath.Join(dir, "file"), filepath.Join(dir, "other")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, other} {
		if err := Writable(name); err != nil {
			t.Error(err)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "text" {
		t.Errorf("the file is now %q, %v", b, err)
	}
	if _, err := os.Stat(other); err == nil {
		t.Error("a file was left behind")
	}
	for _, name := range []string{dir, filepath.Join(dir, "no", "file")} {
		if Writable(name) == nil {
			t.Errorf("%s can be written", name)
		}
	}
}

func TestFlagsThatAreNeeded(t *testing.T) {
	f := New("program", "")
	f.String("to", "", "where to")
	f.String("from", "here", "where from")
	if err := f.Need("from"); err != nil {
		t.Error(err)
	}
	if err := f.Need("from", "to"); err == nil || err.Error() != "-to is missing: where to" {
		t.Errorf("it is %v", err)
	}
}
