package history

import "strings"

// table numbers texts. Number 0 is "".
type table struct {
	texts []string
	index map[string]uint32
}

func (t *table) number(s string) uint32 {
	if n, ok := t.index[s]; ok {
		return n
	}
	if t.index == nil {
		t.index = map[string]uint32{"": 0}
		t.texts = []string{""}
		if s == "" {
			return 0
		}
	}
	n := uint32(len(t.texts))
	s = strings.Clone(s) // it may be a part of something large
	t.texts = append(t.texts, s)
	t.index[s] = n
	return n
}

func (t *trace) name(s string) uint32 { return t.names.number(s) }

// same gives an equal text that is kept once.
func (t *trace) same(s string) string { return t.names.texts[t.names.number(s)] }

// place gives an id its number.
func (t *trace) place(id ID) uint32 {
	p := place{t.seqs.number(id.Sequence), uint32(min(id.Subsequence, 1<<32-1))}
	if n, ok := t.placeOf[p]; ok {
		return n
	}
	if t.placeOf == nil {
		t.placeOf = map[place]uint32{}
	}
	n := uint32(len(t.places))
	t.places = append(t.places, p)
	t.placeOf[p] = n
	return n
}

// find is the number of an id that was told of before.
func (t *trace) find(id ID) (uint32, bool) {
	seq, ok := t.seqs.index[id.Sequence]
	if !ok {
		return 0, false
	}
	n, ok := t.placeOf[place{seq, uint32(min(id.Subsequence, 1<<32-1))}]
	return n, ok
}

func (t *trace) tenure(worker, lease string, epoch uint64) uint32 {
	u := tenure{t.name(worker), t.name(lease), epoch}
	if n, ok := t.tenOf[u]; ok {
		return n
	}
	if t.tenOf == nil {
		t.tenOf = map[tenure]uint32{}
	}
	n := uint32(len(t.tenures))
	t.tenures = append(t.tenures, u)
	t.tenOf[u] = n
	return n
}

// id is the id of a place.
func (t *trace) id(n uint32) ID {
	p := t.places[n]
	return ID{Sequence: t.seqs.texts[p.seq], Subsequence: uint64(p.sub)}
}

func (t *trace) text(name uint32) string { return t.names.texts[name] }
