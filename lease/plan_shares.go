package lease

import "math"

const (
	// fillSweeps is how often the leases of several kinds are divided anew, each
	// on top of the others. One kind needs one.
	fillSweeps = 24
	// fillSteps is the precision of a level, in bits.
	fillSteps = 48
)

// block are leases that exactly the same workers may take, of however many
// streams.
type block struct {
	seats []*seat
	mass  float64   // leases
	part  []float64 // of each seat
}

// shares computes the exact share of every worker, in leases: in proportion to
// the capacities as far as streams and MaxLeases let it be. Where all workers
// may take the same leases, that is one division; else the blocks are divided
// in turn, each over what the others gave, until all are level.
func (p *planner) shares() {
	blocks := p.blocks()
	sweeps := fillSweeps
	if len(blocks) == 1 {
		sweeps = 1
	}
	for range sweeps {
		for _, b := range blocks {
			b.fill()
		}
	}
}

// blocks joins kinds that the same workers may take.
func (p *planner) blocks() []*block {
	var out []*block
	known := map[string]*block{}
	for _, k := range p.kinds {
		if len(k.seats) == 0 || k.count == 0 {
			continue
		}
		who := make([]byte, len(p.seats))
		for i, st := range p.seats {
			if st.may[k.index] {
				who[i] = 1
			}
		}
		b := known[string(who)]
		if b == nil {
			b = &block{seats: k.seats, part: make([]float64, len(k.seats))}
			known[string(who)] = b
			out = append(out, b)
		}
		b.mass += float64(k.count)
	}
	return out
}

// fill divides a block's leases among its workers, over what they have of other
// blocks, as water finds its level.
func (b *block) fill() {
	for i, st := range b.seats {
		st.share -= b.part[i]
	}
	low, high := 0.0, 0.0
	for _, st := range b.seats {
		high = max(high, (st.share+b.mass)/st.capacity())
	}
	for range fillSteps {
		if level := (low + high) / 2; b.holds(level) < b.mass {
			low = level
		} else {
			high = level
		}
	}
	for i, st := range b.seats {
		b.part[i] = st.below(high)
		st.share += b.part[i]
	}
}

// holds is how many leases the block's workers take up to a level.
func (b *block) holds(level float64) float64 {
	sum := 0.0
	for _, st := range b.seats {
		sum += st.below(level)
	}
	return sum
}

// below is how many leases a worker takes up to a level, in leases for a
// capacity of 1.
func (st *seat) below(level float64) float64 {
	top := level * st.capacity()
	if st.session.MaxLeases > 0 {
		top = math.Min(top, float64(st.session.MaxLeases))
	}
	return math.Max(top-st.share, 0)
}
