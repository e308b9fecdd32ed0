package state

import (
	"testing"
	"time"
)

// A merged shard's numbers are above those of both parents, also when one parent
// is younger than the other, and than the clock.
func TestNumbersOfAMergedShardAreAboveBothParents(t *testing.T) {
	st := testStream(2)
	for i, at := range []time.Duration{time.Hour, 2 * time.Hour} { // shard 1 is split twice, and its children are younger
		young := st.Open()[1+i]
		st = do(t, st, split(young.Number, young.Range.Middle()), testTime.Add(at))
	}
	now := testTime.Add(-time.Hour) // the clock was set back
	for len(st.Open()) > 1 {
		low, high := st.Open()[0], st.Open()[1]
		st = do(t, st, merge(low.Number, high.Number), now)
		child := st.Open()[0]
		for _, number := range []uint32{low.Number, high.Number} {
			parent, _ := st.Shard(number)
			if parent.End().String() >= child.Start().String() {
				t.Errorf("shard %d ends with %s, above the start %s of its child", number, parent.End(), child.Start())
			}
		}
	}
}
