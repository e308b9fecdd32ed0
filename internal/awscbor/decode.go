package awscbor

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"time"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/document"
	"github.com/aws/smithy-go/traits"

	"github.com/shardrun/shardrun/internal/cbor"
)

// decoder is what outputs of the SDK read themselves from. What it gives out is
// a copy of what is in the message. Members that a shape does not have are
// skipped, and so is null.
//
// The memory that an answer becomes is bounded by its size: reading charges
// estimates, from above, to an allowance.
type decoder struct {
	r         cbor.Reader
	size      int // of the message
	open      []level
	allowance int // bytes
}

// level is a structure, list or map that is being read.
type level struct {
	schema *smithy.Schema
	items  cbor.Items
}

var _ smithy.ShapeDeserializer = (*decoder)(nil)

func newDecoder(body []byte) *decoder {
	d := &decoder{r: cbor.NewReader(body), size: len(body), allowance: 12*len(body) + 768<<10}
	d.r.Chunks, d.r.MaxDepth = true, maxDepth
	return d
}

// What things take in memory, in bytes.
const (
	costField = 24  // of a structure: no kind of member is larger
	costValue = 16  // a number or the head of a string, on the heap
	costEntry = 160 // of a map, with what it takes to grow
	costGrow  = 5   // times the element: a list that grows by a quarter at a time
)

// maxDepth leaves room for members of a later API.
const maxDepth = 32

var errDisproportion = errors.New("the answer would take many times its size in memory")

func (d *decoder) charge(bytes int) error {
	if d.allowance -= bytes; d.allowance < 0 {
		return errDisproportion
	}
	return nil
}

func (d *decoder) push(s *smithy.Schema, items cbor.Items, err error) error {
	if err == nil {
		d.open = append(d.open, level{schema: s, items: items})
	}
	return err
}

// more reports whether what is being read has another element, and leaves it if
// not.
func (d *decoder) more() (bool, error) {
	more, err := d.r.More(&d.open[len(d.open)-1].items)
	if !more && err == nil {
		d.open = d.open[:len(d.open)-1]
	}
	return more, err
}

// ReadStruct enters a structure.
func (d *decoder) ReadStruct(s *smithy.Schema) error {
	if err := d.charge(costField * len(s.Members())); err != nil {
		return err
	}
	items, err := d.r.Map()
	return d.push(s, items, err)
}

// ReadStructMember gives the next member that has a value, or nil at the end.
func (d *decoder) ReadStructMember() (*smithy.Schema, error) {
	s := d.open[len(d.open)-1].schema
	for {
		more, err := d.more()
		if !more || err != nil {
			return nil, err
		}
		name, err := d.r.Text()
		if err != nil {
			return nil, err
		}
		member, ok := s.Members()[string(name)]
		if !ok && string(name) == "Message" && isError(s) {
			member, ok = s.Members()["message"]
		}
		switch {
		case d.r.Null():
		case !ok:
			if err := d.r.Skip(); err != nil {
				return nil, err
			}
		default:
			return member, nil
		}
	}
}

// isError reports whether a structure is an error. Services do not agree on how
// the text of one is spelled.
func isError(s *smithy.Schema) bool {
	_, ok := smithy.SchemaTrait[*traits.Error](s)
	return ok
}

// ReadList enters a list.
func (d *decoder) ReadList(s *smithy.Schema) error {
	items, err := d.r.Array()
	return d.push(s, items, err)
}

// ReadListItem reports whether there is another element. With an error it says
// yes: the SDK takes no for the end of the list, error or not.
func (d *decoder) ReadListItem(s *smithy.Schema) (bool, error) {
	more, err := d.more()
	if more && err == nil {
		cost := costValue
		if s != nil && s.Type() == smithy.ShapeTypeStructure {
			cost = costField * len(s.Members())
		}
		err = d.charge(costGrow * cost)
	}
	return more || err != nil, err
}

// ReadMap enters a map.
func (d *decoder) ReadMap(s *smithy.Schema) error {
	items, err := d.r.Map()
	return d.push(s, items, err)
}

// ReadMapKey gives the next key and reports whether there is one. With an error
// it says yes, see [decoder.ReadListItem].
func (d *decoder) ReadMapKey(*smithy.Schema) (string, bool, error) {
	more, err := d.more()
	if !more || err != nil {
		return "", err != nil, err
	}
	key, err := d.r.Text()
	if err == nil {
		err = d.charge(costEntry + len(key))
	}
	return string(key), true, err
}

// ReadUnion fails: no answer of the API has a union outside of its events.
func (d *decoder) ReadUnion(*smithy.Schema) (*smithy.Schema, error) { return nil, errNoUse }

// ReadNil skips null, and reports whether it was there.
func (d *decoder) ReadNil(*smithy.Schema) (bool, error) { return d.r.Null(), nil }

// readInt reads a number of the range from least to most.
func readInt[T int8 | int16 | int32 | int64](d *decoder, v *T, least, most int64) error {
	n, err := d.r.Int()
	switch {
	case err != nil:
		return err
	case n < least || n > most:
		return fmt.Errorf("%d is not in the range from %d to %d", n, least, most)
	}
	*v = T(n)
	return d.charge(costValue)
}

// ReadInt8 reads a number.
func (d *decoder) ReadInt8(_ *smithy.Schema, v *int8) error {
	return readInt(d, v, math.MinInt8, math.MaxInt8)
}

// ReadInt16 reads a number.
func (d *decoder) ReadInt16(_ *smithy.Schema, v *int16) error {
	return readInt(d, v, math.MinInt16, math.MaxInt16)
}

// ReadInt32 reads a number.
func (d *decoder) ReadInt32(_ *smithy.Schema, v *int32) error {
	return readInt(d, v, math.MinInt32, math.MaxInt32)
}

// ReadInt64 reads a number. One that does not fit is clamped.
func (d *decoder) ReadInt64(_ *smithy.Schema, v *int64) error {
	return readInt(d, v, math.MinInt64, math.MaxInt64)
}

// ReadFloat32 reads a number.
func (d *decoder) ReadFloat32(_ *smithy.Schema, v *float32) error {
	n, err := d.r.Float()
	*v = float32(n)
	return errors.Join(err, d.charge(costValue))
}

// ReadFloat64 reads a number.
func (d *decoder) ReadFloat64(_ *smithy.Schema, v *float64) error {
	n, err := d.r.Float()
	*v = n
	return errors.Join(err, d.charge(costValue))
}

// ReadBool reads true or false.
func (d *decoder) ReadBool(_ *smithy.Schema, v *bool) error {
	b, err := d.r.Bool()
	*v = b
	return errors.Join(err, d.charge(costValue))
}

// ReadString reads a string.
func (d *decoder) ReadString(_ *smithy.Schema, v *string) error {
	text, err := d.r.Text()
	if err != nil {
		return err
	}
	if err := d.charge(2*costValue + len(text)); err != nil {
		return err
	}
	*v = string(text)
	return nil
}

// ReadBlob reads bytes.
func (d *decoder) ReadBlob(_ *smithy.Schema, v *[]byte) error {
	b, err := d.r.Bytes()
	if err != nil {
		return err
	}
	if err := d.charge(costField + len(b)); err != nil {
		return err
	}
	*v = bytes.Clone(b)
	return nil
}

// ReadTime reads a time.
func (d *decoder) ReadTime(_ *smithy.Schema, v *time.Time) error {
	ms, err := d.r.Millis()
	*v = fromMillis(ms)
	return errors.Join(err, d.charge(costField))
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// ReadBigInt fails: the API has no such numbers.
func (d *decoder) ReadBigInt(*smithy.Schema, *big.Int) error { return errNoUse }

// ReadBigFloat fails: the API has no such numbers.
func (d *decoder) ReadBigFloat(*smithy.Schema, *big.Float) error { return errNoUse }

// ReadDocument fails: the API has no documents.
func (d *decoder) ReadDocument(*smithy.Schema, *document.Value) error { return errNoUse }

// members calls member for each member of a structure that is not null, by its
// name, which is member's only during the call.
func (d *decoder) members(member func(name []byte) error) error {
	items, err := d.r.Map()
	if err != nil {
		return err
	}
	for {
		more, err := d.r.More(&items)
		if !more || err != nil {
			return err
		}
		name, err := d.r.Text()
		if err != nil {
			return err
		}
		if d.r.Null() {
			continue
		}
		if err := member(name); err != nil {
			return err
		}
	}
}
