package lineage

import (
	"slices"
	"testing"
)

func TestChildrenComeFirst(t *testing.T) {
	listing := map[string][]string{
		"S1": {"gone"}, "a": {"S1"}, "b": {"S1"}, "S2": nil, "c": {"S2"}, "d": {"S2"}, "m": {"b", "c"}, "other": nil,
	}
	names := []string{"S1", "S2", "other", "m", "a", "b", "c", "d"}
	order, children := Descending(names, func(i int) []string { return listing[names[i]] })
	if len(order) != len(names) {
		t.Fatalf("%d of %d shards", len(order), len(names))
	}
	at := map[string]int{}
	for i, n := range order {
		at[names[n]] = i
	}
	for name, parents := range listing {
		for _, p := range parents {
			if p != "gone" && at[p] < at[name] {
				t.Errorf("%s comes before its child %s", p, name)
			}
			if !slices.Contains(children[p], name) {
				t.Errorf("children of %s: %v", p, children[p])
			}
		}
	}
}

func TestACircleEnds(t *testing.T) {
	names := []string{"a", "b"}
	order, _ := Descending(names, func(i int) []string { return []string{names[1-i]} })
	if len(order) != 2 {
		t.Errorf("order %v", order)
	}
}
