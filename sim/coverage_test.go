package sim

import (
	"maps"
	"slices"
	"testing"
)

// What is reached too seldom is named.
func TestFloor(t *testing.T) {
	enough := floor()
	if got := missing(enough); len(got) > 0 {
		t.Errorf("missing %q where all is reached", got)
	}
	for what, n := range enough {
		less := maps.Clone(enough)
		less[what] = n - 1
		if got := missing(less); len(got) != 1 {
			t.Errorf("missing %q where %s is", got, what)
		}
	}
	if got := missing(nil); len(got) != len(enough) || !slices.IsSorted(got) {
		t.Errorf("missing %q where nothing is reached", got)
	}
}
