package cbor

// Items is how many items of an array, or pairs of a map, are still to come.
// [Reader.More] counts them.
type Items struct {
	left uint64
	open bool // until the break
}

// Len is how many items an array or map says that it has; 0 if it does not say.
// No more than a buffer can hold: it is safe to allocate by.
func (n Items) Len() int { return int(n.left) }

// Array enters an array.
func (r *Reader) Array() (Items, error) {
	if r.Kind() != Array {
		return Items{}, r.bad("want a list")
	}
	return r.enter(1)
}

// Map enters a map. Each pair is a [Reader.Text] and a value.
func (r *Reader) Map() (Items, error) {
	if r.Kind() != Map {
		return Items{}, r.bad("want a map")
	}
	return r.enter(2)
}

// enter begins an array or a map, whose elements take least bytes or more.
func (r *Reader) enter(least uint64) (Items, error) {
	at := r.pos
	first, n, err := r.head()
	if err != nil {
		return Items{}, err
	}
	switch {
	case r.depth >= r.MaxDepth:
		r.pos = at
		return Items{}, r.bad("nested too deeply")
	case n > uint64(len(r.buf)-r.pos)/least:
		r.pos = at
		return Items{}, r.bad("more elements than the message has room for")
	}
	r.depth++
	return Items{left: n, open: first&0x1f == infoOpen}, nil
}

// More reports whether the array or map that n is of has another element, and
// counts that. At the end it leaves the array or map.
func (r *Reader) More(n *Items) (bool, error) {
	if n.open {
		if r.pos < len(r.buf) && r.buf[r.pos] < majorSimple {
			return true, nil
		}
		switch r.Kind() {
		case Break:
			r.pos++
		case Invalid:
			return false, r.bad("unexpected end")
		default:
			return true, nil
		}
	} else if n.left > 0 {
		n.left--
		return true, nil
	}
	r.depth--
	return false, nil
}

// Skip skips the next item, whatever it is.
func (r *Reader) Skip() error {
	switch r.Kind() {
	case Array:
		return r.skipItems(r.Array)
	case Map:
		return r.skipPairs()
	case Text, Bytes:
		_, err := r.str()
		return err
	case Int:
		_, err := r.Int()
		return err
	case Float:
		_, err := r.Float()
		return err
	case Bool, Null:
		r.pos++
		return nil
	case Tag:
		if r.depth >= r.MaxDepth {
			return r.bad("nested too deeply")
		}
		if _, _, err := r.head(); err != nil {
			return err
		}
		r.depth++
		err := r.Skip()
		r.depth--
		return err
	case Invalid, Break:
	}
	return r.bad("want a value")
}

func (r *Reader) skipItems(enter func() (Items, error)) error {
	n, err := enter()
	if err != nil {
		return err
	}
	for {
		more, err := r.More(&n)
		if !more || err != nil {
			return err
		}
		if err := r.Skip(); err != nil {
			return err
		}
	}
}

func (r *Reader) skipPairs() error {
	n, err := r.Map()
	if err != nil {
		return err
	}
	for {
		more, err := r.More(&n)
		if !more || err != nil {
			return err
		}
		if err := r.Skip(); err != nil { // the key
			return err
		}
		if err := r.Skip(); err != nil {
			return err
		}
	}
}
