package wire

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// Decoder reads request bodies. Its zero value is ready; it may be used by
// many goroutines, and remembers the shapes that it has met.
type Decoder struct {
	shapes sync.Map // reflect.Type of a struct → map[string]int, fields by member name
}

// Buffers are the memory that one request needs. They may be used again, when
// nothing refers to the input that was read with them any more.
type Buffers struct {
	Body  []byte // the request body
	blobs []byte // the decoded blobs of the body
}

// JSON reads the body in b into in, a pointer to an input struct of the SDK.
// Blobs of the input point into b. Members that the input does not have are
// ignored, as is null. The error is always a *SerializationError.
func (d *Decoder) JSON(b *Buffers, in any) error {
	s := &scanner{buf: b.Body}
	var err error
	switch in := in.(type) {
	case *kinesis.PutRecordsInput:
		err = s.putRecords(b, in)
	case *kinesis.PutRecordInput:
		err = s.putRecord(b, in)
	case *kinesis.GetRecordsInput:
		err = s.getRecords(in)
	default:
		err = d.structure(s, reflect.ValueOf(in).Elem())
	}
	if err == nil {
		err = s.end()
	}
	if err == nil {
		return nil
	}
	// AWS parses the whole body before it looks at types.
	if typed, ok := errors.AsType[*SerializationError](err); ok && json.Valid(b.Body) {
		return typed
	}
	return &SerializationError{}
}

// maxElements is how many elements of a list or a map are kept. It is the
// longest that any operation takes; one more is kept to tell that there were
// too many, so that a request cannot make the server allocate without bound.
const maxElements = 500

// members calls member for each member of an object that is not null. The name
// is member's only during the call.
func (s *scanner) members(member func(name []byte) error) error {
	if s.null() {
		return nil
	}
	if c := s.peek(); c != '{' {
		return mismatch(c, toStructure)
	}
	if err := s.open('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		ok, err := s.more('}', first)
		if !ok || err != nil {
			return err
		}
		name, err := s.key()
		if err != nil {
			return err
		}
		if s.null() {
			continue
		}
		if err := member(name); err != nil {
			return err
		}
	}
}

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

func (d *Decoder) structure(s *scanner, v reflect.Value) error {
	fields := d.fields(v.Type())
	return s.members(func(name []byte) error {
		i, ok := fields[string(name)]
		if !ok {
			return s.skip()
		}
		return d.value(s, v.Field(i))
	})
}

// value reads a value into v, whose type says what is expected. The last of
// members of the same name counts, as AWS has it. It takes over the memory of
// the one before, so that a request gains nothing by repeating one.
func (d *Decoder) value(s *scanner, v reflect.Value) error {
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
			_, blob, err := s.blob(nil)
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

func (d *Decoder) list(s *scanner, v reflect.Value) error {
	if c := s.peek(); c != '[' {
		return mismatch(c, toList)
	}
	if err := s.open('['); err != nil {
		return err
	}
	if v.IsNil() {
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	}
	v.SetLen(0)
	for first := true; ; first = false {
		ok, err := s.more(']', first)
		if err != nil {
			return err
		}
		if !ok {
			return nil
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

func (d *Decoder) mapping(s *scanner, v reflect.Value) error {
	if c := s.peek(); c != '{' {
		return mismatch(c, toMap)
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	v.Clear()
	elem := reflect.New(v.Type().Elem()).Elem()
	return s.members(func(name []byte) error {
		if v.Len() > maxElements {
			return s.skip()
		}
		elem.SetZero()
		if err := d.value(s, elem); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(string(name)), elem)
		return nil
	})
}
