// Package lineage orders the shards of a listing.
package lineage

import "slices"

// Descending returns the numbers of shards in an order in which every shard comes
// after all its children, and for each shard, by its number, the names of its
// children. Names are those of the shards, and parents those of each; parents that
// are not among names have no number, and children all the same. A listing with a
// circle, which Kinesis does not make, is in some order.
func Descending(names []string, parents func(i int) []string) (order []int, children map[string][]string) {
	children = map[string][]string{}
	number := make(map[string]int, len(names))
	for i, name := range names {
		number[name] = i
		for _, parent := range parents(i) {
			children[parent] = append(children[parent], name)
		}
	}
	order = make([]int, 0, len(names))
	done := make([]bool, len(names))
	var visit func(i int)
	visit = func(i int) {
		if done[i] {
			return
		}
		done[i] = true
		for _, child := range children[names[i]] {
			visit(number[child])
		}
		order = append(order, i)
	}
	for i := range names {
		visit(i)
	}
	return slices.Clip(order), children
}
