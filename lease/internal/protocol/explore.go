package protocol

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math/bits"
	"slices"
	"strings"
	"unsafe"
)

// Result is what an exploration found.
type Result struct {
	// States is how many there are, Steps how many were taken between them, and
	// Depth is the length of the longest of the shortest ways to a state.
	States, Steps, Depth int
	// Exhaustive tells that there are no more states within the bounds.
	Exhaustive bool
	// Violation is the first that was met, on the shortest way to one, and Trace
	// is that way.
	Violation violation
	Trace     []string
	// Bytes is the memory that the states took.
	Bytes int
	// Settled is from how many states a fair schedule without faults was tried.
	Settled int
}

// Explore visits all states, breadth first, and stops at the first violation.
func (m *Model) Explore() Result {
	e := newExplorer(m)
	return e.run()
}

// explorer is one exploration. The states stand packed behind each other in chunks,
// in the order in which they were found, so that they are their own queue.
type explorer struct {
	m      *Model
	seed   maphash.Seed
	table  []uint64 // by hash: the hash above, the state's number + 1 below
	chunks [][]byte
	at     []uint32 // where each state stands, from the begin of the first chunk
	parent []uint32
	packed [2 * size]byte
	result Result
	from   uint32
	bad    int    // the state of the violation
	why    string // how it does not settle
}

// size is that of a world.
const size = int(unsafe.Sizeof(world{}))

// chunk is how many bytes of states stand together.
const chunk = 1 << 22

func newExplorer(m *Model) *explorer {
	m.prepare()
	return &explorer{m: m, seed: maphash.MakeSeed(), table: make([]uint64, 1<<16), bad: -1}
}

func (e *explorer) run() Result {
	w := e.m.initial()
	e.add(step{}, &w)
	most := e.m.Most
	levelEnd := 1
	next := 0
	for ; next < len(e.at); next++ { // more are found meanwhile
		if next == levelEnd {
			e.result.Depth++
			levelEnd = len(e.at)
		}
		if most > 0 && len(e.at) > most {
			break
		}
		e.from = uint32(next)
		e.unpack(next, &w)
		e.m.next(&w, e.add)
		if e.bad >= 0 {
			break
		}
	}
	e.result.States = len(e.at)
	e.result.Exhaustive = next == len(e.at)
	e.result.Bytes = chunk*len(e.chunks) + 4*cap(e.at) + 4*cap(e.parent) + 8*len(e.table)
	if e.bad >= 0 {
		e.result.Trace = e.trace(e.bad)
		if e.why != "" {
			e.result.Trace = append(e.result.Trace, e.why)
		}
	}
	return e.result
}

// add takes a state that was reached, if it is new.
func (e *explorer) add(_ step, w *world) {
	if e.bad >= 0 {
		return
	}
	e.result.Steps++
	order(w)
	packed := pack(w, e.packed[:0])
	hash := maphash.Bytes(e.seed, packed) >> 32
	slot := e.find(packed, hash)
	if e.table[slot] != 0 {
		return
	}
	number := len(e.at)
	e.table[slot] = hash<<32 | uint64(number+1)
	e.store(packed)
	e.parent = append(e.parent, e.from)
	if v := e.m.broken(w); v != none {
		e.result.Violation, e.bad = v, number
	} else if n := e.m.Sample; n > 0 && int(hash)%n == 0 {
		e.result.Settled++
		if why := e.m.unsettled(w); why != "" {
			e.result.Violation, e.bad, e.why = neverSettles, number, why
		}
	}
	if 4*len(e.at) > 3*len(e.table) {
		e.grow()
	}
}

// find is the slot of a state, or the empty one where it belongs.
func (e *explorer) find(packed []byte, hash uint64) int {
	mask := len(e.table) - 1
	for slot := int(hash) & mask; ; slot = (slot + 1) & mask {
		n := e.table[slot]
		if n == 0 || n>>32 == hash && string(e.bytes(int(uint32(n)-1))) == string(packed) {
			return slot
		}
	}
}

func (e *explorer) grow() {
	old := e.table
	e.table = make([]uint64, 2*len(old))
	mask := len(e.table) - 1
	for _, n := range old {
		if n == 0 {
			continue
		}
		slot := int(n>>32) & mask
		for e.table[slot] != 0 {
			slot = (slot + 1) & mask
		}
		e.table[slot] = n
	}
}

// store appends a state, with its length before it.
func (e *explorer) store(packed []byte) {
	n := len(e.chunks)
	if n == 0 || len(e.chunks[n-1])+len(packed)+2 > chunk {
		e.chunks = append(e.chunks, make([]byte, 0, chunk))
		n++
	}
	c := &e.chunks[n-1]
	e.at = append(e.at, uint32((n-1)*chunk+len(*c)))
	*c = binary.LittleEndian.AppendUint16(*c, uint16(len(packed)))
	*c = append(*c, packed...)
}

func (e *explorer) bytes(n int) []byte {
	c, off := e.chunks[e.at[n]/chunk], e.at[n]%chunk
	length := binary.LittleEndian.Uint16(c[off:])
	return c[off+2 : off+2+uint32(length)]
}

func (e *explorer) unpack(n int, w *world) { unpack(e.bytes(n), w) }

// trace is the way to a state.
func (e *explorer) trace(n int) []string {
	var way []int
	for at := n; at != 0; at = int(e.parent[at]) {
		way = append(way, at)
	}
	var out []string
	from := 0
	var buf [2 * size]byte
	for _, to := range slices.Backward(way) {
		var w world
		e.unpack(from, &w)
		text := ""
		e.m.next(&w, func(s step, t *world) {
			order(t)
			if text == "" && string(pack(t, buf[:0])) == string(e.bytes(to)) {
				text = s.describe(&w)
			}
		})
		out = append(out, text)
		from = to
	}
	return out
}

// Text is the violation and the way to it, a line each step.
func (r *Result) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", r.Violation)
	for k, line := range r.Trace {
		fmt.Fprintf(&b, "%4d %s\n", k+1, line)
	}
	return b.String()
}

// order brings the calls into one order: theirs means nothing.
func order(w *world) {
	key := func(c *call) uint64 {
		return uint64(c.op)<<56 | uint64(c.state)<<48 | uint64(c.worker)<<40 | uint64(c.lease)<<32 |
			uint64(c.token)<<24 | uint64(c.pos)<<16 | uint64(c.inc)<<8 | uint64(c.status)
	}
	for i := 1; i < maxCalls; i++ {
		if w.calls[i].op == 0 {
			continue
		}
		for k := i; k > 0 && key(&w.calls[k]) > key(&w.calls[k-1]); k-- {
			w.calls[k], w.calls[k-1] = w.calls[k-1], w.calls[k]
		}
	}
}

// memory is a world's bytes.
func memory(w *world) *[size]byte { return (*[size]byte)(unsafe.Pointer(w)) }

// pack appends a world without its zeros: a bit for each group of eight bytes that
// is not zero, and for each of these a bit for each byte that is not, and the bytes.
func pack(w *world, out []byte) []byte {
	mem := memory(w)
	const groups = (size + 7) / 8
	head := len(out)
	out = out[:head+(groups+7)/8]
	clear(out[head:])
	for g := range groups {
		v := binary.LittleEndian.Uint64(mem[8*g:])
		if v == 0 {
			continue
		}
		out[head+g/8] |= 1 << (g % 8)
		n := len(out)
		out = append(out, 0)
		var tag byte
		for v != 0 {
			b := bits.TrailingZeros64(v) / 8
			tag |= 1 << b
			out = append(out, byte(v>>(8*b)))
			v &^= 0xff << (8 * b)
		}
		out[n] = tag
	}
	return out
}

// unpack is the reverse of pack.
func unpack(packed []byte, w *world) {
	*w = world{}
	mem := memory(w)
	const groups = (size + 7) / 8
	at := (groups + 7) / 8
	for g := range groups {
		if packed[g/8]&(1<<(g%8)) == 0 {
			continue
		}
		tag := packed[at]
		at++
		for tag != 0 {
			b := bits.TrailingZeros8(tag)
			mem[8*g+b] = packed[at]
			at++
			tag &= tag - 1
		}
	}
}
