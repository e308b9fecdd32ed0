package wire

import (
	"errors"
	"math"
	"reflect"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// Decoder reads request bodies. Its zero value is ready; it may be used by
// many goroutines, and remembers the shapes that it has met.
type Decoder struct {
	shapes sync.Map // reflect.Type of a struct → map[string]int, fields by member name
}

// Buffers are the memory that one request needs. They may be used again, when
// nothing refers to the input that was read with them any more.
type Buffers struct {
	Body    []byte // the request body
	blobs   []byte // the decoded blobs of a JSON body
	entries []types.PutRecordsRequestEntry
}

// Memory is how many bytes the body and the blobs take.
func (b *Buffers) Memory() int { return cap(b.Body) + cap(b.blobs) }

// Forget lets go of what was decoded, but for the memory.
func (b *Buffers) Forget() {
	clear(b.entries)
	b.entries = b.entries[:0]
}

// source reads the body from its begin.
func (b *Buffers) source(e Encoding) source {
	if e == AsCBOR {
		return newCBORSource(b.Body)
	}
	return &scanner{buf: b.Body, blobs: &b.blobs}
}

// Decode reads the body in b into in, a pointer to a zero input struct of the
// SDK. Blobs of the input point into b. Members that the input does not have
// are ignored, as is null. The error is always a *SerializationError.
func (d *Decoder) Decode(e Encoding, b *Buffers, in any) error {
	s := b.source(e)
	err := d.input(s, b, in)
	if err == nil {
		err = s.end()
	}
	if err == nil {
		return nil
	}
	// AWS parses the whole body before it looks at types.
	if typed, ok := errors.AsType[*SerializationError](err); ok && e.Valid(b.Body) {
		return typed
	}
	return &SerializationError{}
}

// input reads an input struct: by hand where that has to be fast, else by
// reflection.
func (d *Decoder) input(s source, b *Buffers, in any) error {
	switch in := in.(type) {
	case *kinesis.PutRecordsInput:
		return putRecords(s, b, in)
	case *kinesis.PutRecordInput:
		return putRecord(s, in)
	case *kinesis.GetRecordsInput:
		return getRecords(s, in)
	default:
		return d.structure(s, reflect.ValueOf(in).Elem())
	}
}

// maxElements is how many elements of a list or a map are kept. It is the
// longest that any operation takes; one more is kept to tell that there were
// too many, so that a request cannot make the server allocate without bound.
const maxElements = 500

// fields gives the fields of a struct type by member name. In the SDK, fields
// are named as the members are.
func (d *Decoder) fields(t reflect.Type) map[string]int {
	if f, ok := d.shapes.Load(t); ok {
		return f.(map[string]int)
	}
	f := map[string]int{}
	for i := range t.NumField() {
		if field := t.Field(i); field.IsExported() {
			f[field.Name] = i
		}
	}
	d.shapes.Store(t, f)
	return f
}

func (d *Decoder) structure(s source, v reflect.Value) error {
	ok, err := s.object(toStructure)
	if !ok || err != nil {
		return err
	}
	fields := d.fields(v.Type())
	for {
		name, ok, err := s.member()
		if !ok || err != nil {
			return err
		}
		if i, known := fields[string(name)]; known {
			err = d.value(s, v.Field(i))
		} else {
			err = s.skip()
		}
		if err != nil {
			return err
		}
	}
}

// value reads a value into v, whose type says what is expected. The last of
// members of the same name counts, as AWS has it. It takes over the memory of
// the one before, so that a request gains nothing by repeating one.
func (d *Decoder) value(s source, v reflect.Value) error {
	switch t := v.Type(); t.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(t.Elem()))
		} else {
			v.Elem().SetZero()
		}
		return d.value(s, v.Elem())
	case reflect.String:
		str, err := s.text()
		v.SetString(str)
		return err
	case reflect.Bool:
		b, err := s.boolean()
		v.SetBool(b)
		return err
	case reflect.Int32:
		n, err := s.integer(toInteger, math.MinInt32, math.MaxInt32)
		v.SetInt(n)
		return err
	case reflect.Int64:
		n, err := s.integer(toLong, math.MinInt64, math.MaxInt64)
		v.SetInt(n)
		return err
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			ts, err := s.timestamp()
			v.Set(reflect.ValueOf(ts))
			return err
		}
		return d.structure(s, v)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			blob, err := s.blob()
			v.SetBytes(blob)
			return err
		}
		return d.list(s, v)
	case reflect.Map:
		return d.mapping(s, v)
	default:
		return s.skip() // no input of the API has another type
	}
}

func (d *Decoder) list(s source, v reflect.Value) error {
	if err := s.list(); err != nil {
		return err
	}
	if v.IsNil() {
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	}
	v.SetLen(0)
	for {
		ok, err := s.element()
		if !ok || err != nil {
			return err
		}
		if v.Len() > maxElements {
			if err := s.skip(); err != nil {
				return err
			}
			continue
		}
		n := v.Len()
		if n == v.Cap() {
			v.Grow(1)
		}
		v.SetLen(n + 1)
		elem := v.Index(n)
		elem.SetZero()
		if s.null() {
			continue
		}
		if err := d.value(s, elem); err != nil {
			return err
		}
	}
}

func (d *Decoder) mapping(s source, v reflect.Value) error {
	ok, err := s.object(toMap)
	if !ok || err != nil {
		return err
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	v.Clear()
	elem := reflect.New(v.Type().Elem()).Elem()
	for {
		name, ok, err := s.member()
		if !ok || err != nil {
			return err
		}
		if v.Len() > maxElements {
			if err := s.skip(); err != nil {
				return err
			}
			continue
		}
		elem.SetZero()
		if err := d.value(s, elem); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(string(name)), elem)
	}
}
