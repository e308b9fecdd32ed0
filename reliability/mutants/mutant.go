package mutants

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Mutant is one planted bug.
type Mutant struct {
	// Name says what was done, in a few words with hyphens.
	Name string
	// File is where, from the root of the module, with slashes.
	File string
	// Old occurs exactly once in the file and is replaced by New.
	Old, New string
	// Breaks is the promise that the mutant breaks.
	Breaks string
	// Test is the unit test that finds it, the narrowest there is.
	Test Test
	// Sim says that a simulation should find it too, from what users would see.
	Sim bool
	// Hangs says that the test finds it by not ending.
	Hangs bool
}

// Test is what to run of a package.
type Test struct {
	// Package is a path from the root of the module, as ./lease, and Run a
	// pattern of go test.
	Package, Run string
}

// SimSeeds is how many seeds the simulation has to find a mutant.
const SimSeeds = 500

// String is the command that runs the test.
func (t Test) String() string { return fmt.Sprintf("go test %s -run '%s'", t.Package, t.Run) }

// Simulation is the test that makes simulated runs, of the seeds that its flags
// say.
func Simulation() Test { return Test{"./sim", "TestSim$"} }

// Gallery is all mutants, room by room.
func Gallery() []Mutant {
	return slices.Concat(
		logMutants(), serverMutants(), leaseMutants(), auditMutants(), planMutants(), redisMutants(), mendingMutants(), seedMutants(), consumerMutants(), producerMutants(),
	)
}

// Source returns the text of the mutant's file with the bug in it, for the module
// at root.
func (m Mutant) Source(root string) (string, error) {
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.File)))
	if err != nil {
		return "", err
	}
	text := string(b)
	if n := strings.Count(text, m.Old); n != 1 {
		return "", fmt.Errorf("mutant %s: its text occurs %d times in %s, want once", m.Name, n, m.File)
	}
	return strings.Replace(text, m.Old, m.New, 1), nil
}
