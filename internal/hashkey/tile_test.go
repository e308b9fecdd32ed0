package hashkey

import "testing"

func eighths(start, end int) Range {
	all := Split(8)
	return Range{all[start].Start, all[end-1].End}
}

func TestTileAndCover(t *testing.T) {
	for name, test := range map[string]struct {
		ranges      []Range
		tile, cover bool
	}{
		"none":                 {nil, false, false},
		"one":                  {[]Range{Full}, true, true},
		"side by side":         {[]Range{eighths(3, 8), eighths(0, 3)}, true, true},
		"with a hole":          {[]Range{eighths(0, 3), eighths(4, 8)}, false, false},
		"overlapping":          {[]Range{eighths(0, 4), eighths(3, 8)}, false, true},
		"one inside another":   {[]Range{eighths(0, 6), eighths(1, 2), eighths(6, 8)}, false, true},
		"twice":                {[]Range{Full, Full}, false, true},
		"without the first":    {[]Range{eighths(1, 8)}, false, false},
		"without the last":     {[]Range{eighths(0, 7)}, false, false},
		"a hole behind an end": {[]Range{eighths(0, 4), eighths(1, 2), eighths(5, 8)}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Tile(test.ranges, Full); (err == nil) != test.tile {
				t.Errorf("Tile says %v", err)
			}
			if err := Cover(test.ranges, Full); (err == nil) != test.cover {
				t.Errorf("Cover says %v", err)
			}
		})
	}
	if err := Cover([]Range{eighths(0, 5)}, eighths(2, 4)); err != nil {
		t.Errorf("part of the range: %v", err)
	}
}

func TestOverlapsAndWithin(t *testing.T) {
	for _, test := range []struct {
		a, b, in Range
		overlap  bool
	}{
		{eighths(0, 4), eighths(3, 8), eighths(3, 4), true},
		{eighths(0, 4), eighths(4, 8), Range{}, false},
		{eighths(2, 3), eighths(0, 8), eighths(2, 3), true},
		{Range{Start: eighths(0, 4).End, End: Max}, eighths(0, 4), Range{eighths(0, 4).End, eighths(0, 4).End}, true},
	} {
		if test.a.Overlaps(test.b) != test.overlap || test.b.Overlaps(test.a) != test.overlap {
			t.Errorf("%v and %v: want %v", test.a, test.b, test.overlap)
		}
		if test.overlap && test.a.Within(test.b) != test.in {
			t.Errorf("%v within %v is %v, want %v", test.a, test.b, test.a.Within(test.b), test.in)
		}
	}
}
