package hashkey

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Tile reports why ranges do not make up the whole range exactly once. It sorts
// ranges.
func Tile(ranges []Range, whole Range) error {
	slices.SortFunc(ranges, func(a, b Range) int {
		return cmp.Or(a.Start.Compare(b.Start), a.End.Compare(b.End))
	})
	switch {
	case len(ranges) == 0:
		return errors.New("no shards")
	case ranges[0].Start != whole.Start:
		return fmt.Errorf("the shards leave hash keys uncovered: they start at %v, not at %v", ranges[0].Start, whole.Start)
	}
	for i, r := range ranges[1:] {
		if before := ranges[i]; !before.Adjacent(r) {
			return fmt.Errorf("the shards leave hash keys uncovered or cover them twice: %v follows %v", r.Start, before.End)
		}
	}
	if end := ranges[len(ranges)-1].End; end != whole.End {
		return fmt.Errorf("the shards leave hash keys uncovered: they end at %v, not at %v", end, whole.End)
	}
	return nil
}

// Cover reports why ranges leave keys of the whole range out. It sorts ranges.
func Cover(ranges []Range, whole Range) error {
	slices.SortFunc(ranges, func(a, b Range) int { return a.Start.Compare(b.Start) })
	next := whole.Start
	for _, r := range ranges {
		switch {
		case r.Start.Compare(next) > 0:
			return fmt.Errorf("hash keys from %v to %v are not covered", next, r.Start.Prev())
		case r.End.Compare(whole.End) >= 0:
			return nil
		case r.End.Compare(next) >= 0:
			next = r.End.Next()
		}
	}
	return fmt.Errorf("hash keys from %v to %v are not covered", next, whole.End)
}

// Overlaps reports whether two ranges have a key in common.
func (r Range) Overlaps(o Range) bool {
	return r.Start.Compare(o.End) <= 0 && o.Start.Compare(r.End) <= 0
}

// Within is the part of the range that lies in another, which it overlaps.
func (r Range) Within(whole Range) Range {
	if r.Start.Compare(whole.Start) < 0 {
		r.Start = whole.Start
	}
	if r.End.Compare(whole.End) > 0 {
		r.End = whole.End
	}
	return r
}
