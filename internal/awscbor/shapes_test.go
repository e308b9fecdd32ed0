package awscbor

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	"github.com/aws/smithy-go/prelude"

	"github.com/shardrun/shardrun/internal/cbor"
	"github.com/shardrun/shardrun/internal/cborshape"
)

// operation is a method of the client for an operation of the API.
type operation struct {
	name    string
	in, out reflect.Type // structs
}

// call makes a call.
func (o operation) call(client *kinesis.Client, in any) (any, error) {
	results := reflect.ValueOf(client).MethodByName(o.name).Call([]reflect.Value{
		reflect.ValueOf(context.Background()), reflect.ValueOf(in),
	})
	err, _ := reflect.TypeAssert[error](results[1])
	return results[0].Interface(), err
}

// operations are all operations that the client has.
func operations(t *testing.T) []operation {
	t.Helper()
	var all []operation
	for client, i := reflect.TypeFor[*kinesis.Client](), 0; i < client.NumMethod(); i++ {
		m := client.Method(i)
		if m.Type.NumIn() == 4 && m.Type.NumOut() == 2 && strings.HasSuffix(m.Type.In(2).String(), m.Name+"Input") {
			all = append(all, operation{name: m.Name, in: m.Type.In(2).Elem(), out: m.Type.Out(0).Elem()})
		}
	}
	if len(all) < 45 {
		t.Fatalf("%d operations", len(all))
	}
	return all
}

// filled makes a value with something in all of its fields.
func filled(t reflect.Type) any {
	v := reflect.New(t)
	fill(v.Elem(), "")
	return v.Interface()
}

func fill(v reflect.Value, name string) {
	switch t := v.Type(); t.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		fill(v.Elem(), name)
	case reflect.String:
		v.SetString("the " + name + " of “all” \x7f")
		if strings.HasSuffix(name, "ARN") || strings.HasSuffix(name, "Arn") {
			v.SetString("arn:aws:kinesis:us-east-1:123456789012:stream/s")
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(-1 - int64(len(name))<<16)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte("a blob\x00\xff" + name))
			return
		}
		v.Set(reflect.MakeSlice(t, 3, 3))
		for i := range 3 {
			fill(v.Index(i), name+string(rune('a'+i)))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
		v.SetMapIndex(reflect.ValueOf("one"), reflect.ValueOf("1"))
		v.SetMapIndex(reflect.ValueOf(""), reflect.ValueOf(""))
	case reflect.Struct:
		switch t {
		case reflect.TypeFor[time.Time]():
			v.Set(reflect.ValueOf(time.UnixMilli(946684800125).UTC()))
			return
		case reflect.TypeFor[middleware.Metadata]():
			return
		}
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() {
				fill(v.Field(i), f.Name)
			}
		}
	}
}

// service answers calls in the encoding that they are made in.
type service struct {
	request *http.Request
	body    []byte // of the request
	answer  func(content string) []byte
}

func (s *service) Do(r *http.Request) (*http.Response, error) {
	s.request = r
	s.body, _ = io.ReadAll(r.Body)
	content := r.Header.Get(headerContentType)
	body := s.answer(content)
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{headerContentType: {content}}, Request: r,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}

// values is what a message in CBOR says, in the way that encoding/json has it.
func values(t *testing.T, r *cbor.Reader) any {
	t.Helper()
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	switch r.Kind() {
	case cbor.Int, cbor.Float:
		n, err := r.Float()
		fail(err)
		return n
	case cbor.Tag:
		ms, err := r.Millis()
		fail(err)
		return float64(ms) / 1000
	case cbor.Bytes:
		b, err := r.Bytes()
		fail(err)
		return base64.StdEncoding.EncodeToString(b)
	case cbor.Text:
		s, err := r.Text()
		fail(err)
		return string(s)
	case cbor.Bool:
		b, err := r.Bool()
		fail(err)
		return b
	case cbor.Null:
		r.Null()
		return nil
	case cbor.Array:
		list := []any{}
		items, err := r.Array()
		fail(err)
		for {
			more, err := r.More(&items)
			fail(err)
			if !more {
				return list
			}
			list = append(list, values(t, r))
		}
	case cbor.Map:
		object := map[string]any{}
		items, err := r.Map()
		fail(err)
		for {
			more, err := r.More(&items)
			fail(err)
			if !more {
				return object
			}
			key, err := r.Text()
			fail(err)
			object[string(key)] = values(t, r)
		}
	}
	t.Fatalf("at byte %d: kind %d", r.Offset(), r.Kind())
	return nil
}

func valuesOf(t *testing.T, body []byte) any {
	t.Helper()
	r := cbor.NewReader(body)
	v := values(t, &r)
	if err := r.End(); err != nil {
		t.Fatal(err)
	}
	return v
}

// form is one of the ways in which the same answer may be written.
type form struct {
	definite bool // lengths in front, and no breaks
	time     func(dst []byte, ms int64) []byte
	pieces   bool // strings in pieces
	strange  bool // members that the API does not have
}

var forms = map[string]form{
	"as requests are":                  {time: func(b []byte, ms int64) []byte { return cbor.AppendTaggedTime(b, fromMillis(ms)) }},
	"with lengths and bare times":      {definite: true, time: cbor.AppendInt},
	"with times that have a fraction":  {time: func(b []byte, ms int64) []byte { return cbor.AppendFloat(b, float64(ms)+0.25) }},
	"with strings in pieces":           {time: cbor.AppendInt, pieces: true},
	"with members that are new, nulls": {time: cbor.AppendInt, strange: true},
}

// rewrite copies the next item of r, in another form.
func (f form) rewrite(t *testing.T, r *cbor.Reader, dst []byte) []byte {
	t.Helper()
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	switch r.Kind() {
	case cbor.Tag:
		ms, err := r.Millis()
		fail(err)
		return f.time(dst, ms)
	case cbor.Text, cbor.Bytes:
		text := r.Kind() == cbor.Text
		read, add := r.Bytes, cbor.AppendBytes
		if text {
			read, add = r.Text, cbor.AppendText[[]byte]
		}
		b, err := read()
		fail(err)
		if !f.pieces {
			return add(dst, b)
		}
		dst = append(dst, add(nil, nil)[0]|0x1f)
		return append(add(add(add(dst, b[:len(b)/2]), nil), b[len(b)/2:]), 0xff)
	case cbor.Array, cbor.Map:
		isMap := r.Kind() == cbor.Map
		enter := r.Array
		if isMap {
			enter = r.Map
		}
		n, err := enter()
		fail(err)
		var inner []byte
		count, tags := 0, false
		for ; ; count++ {
			more, err := r.More(&n)
			fail(err)
			if !more {
				break
			}
			if isMap {
				key, err := r.Text()
				fail(err)
				tags = tags || string(key) == "one" // its keys are data
				inner = cbor.AppendText(inner, key)
			}
			inner = f.rewrite(t, r, inner)
		}
		if f.strange && isMap && !tags {
			inner = append(cbor.AppendText(inner, "NotOfTheAPI"), 0xbf, 0x61, 'a', 0x9f, 0x01, 0xf9, 0, 0, 0xff, 0xff)
			inner = cbor.AppendNull(cbor.AppendText(inner, "Records"))
			inner = cbor.AppendNull(cbor.AppendText(inner, "Tags"))
			count += 3
		}
		switch {
		case isMap && f.definite:
			return append(cbor.AppendMap(dst, count), inner...)
		case isMap:
			return cbor.AppendBreak(append(cbor.AppendOpenMap(dst), inner...))
		case f.definite:
			return append(cbor.AppendArray(dst, count), inner...)
		}
		return cbor.AppendBreak(append(cbor.AppendOpenArray(dst), inner...))
	}
	if r.Kind() == cbor.Bool {
		b, err := r.Bool()
		fail(err)
		return cbor.AppendBool(dst, b)
	}
	n, err := r.Int()
	fail(err)
	return cbor.AppendInt(dst, n)
}

func clearMetadata(out any) any {
	if f := reflect.ValueOf(out).Elem().FieldByName("ResultMetadata"); f.IsValid() {
		f.SetZero()
	}
	return out
}

// Every operation is asked for the same in CBOR as in the SDK's JSON, and is
// understood to answer the same.
func TestEveryOperationSaysTheSameInBothEncodings(t *testing.T) {
	for _, op := range operations(t) {
		if op.name == "SubscribeToShard" { // see events_test.go
			continue
		}
		t.Run(op.name, func(t *testing.T) {
			in, want := filled(op.in), filled(op.out).(smithy.Serializable)
			s := &service{answer: func(content string) []byte {
				if content == contentCBOR {
					return cborOf(want)
				}
				return jsonOf(t, want)
			}}
			outJSON, err := op.call(newTestClient(s), in)
			if err != nil {
				t.Fatal(err)
			}
			var inJSON any
			if err := json.Unmarshal(s.body, &inJSON); err != nil {
				t.Fatal(err)
			}
			target := s.request.Header.Get(headerTarget)

			client := newTestClient(s, Use)
			outCBOR, err := op.call(client, in)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.request.Header.Get(headerContentType); got != contentCBOR {
				t.Errorf("asked in %s", got)
			}
			if got := s.request.Header.Get(headerTarget); got != target {
				t.Errorf("asked for %s, want %s", got, target)
			}
			if s.request.Method != http.MethodPost || s.request.URL.Path != "/" || s.request.ContentLength != int64(len(s.body)) {
				t.Errorf("%s %s with %d bytes", s.request.Method, s.request.URL.Path, s.request.ContentLength)
			}
			if got := valuesOf(t, s.body); !reflect.DeepEqual(got, inJSON) {
				t.Errorf("asked\n%v\nand in JSON\n%v", got, inJSON)
			}
			clearMetadata(outJSON)
			if !reflect.DeepEqual(clearMetadata(outCBOR), outJSON) {
				t.Errorf("read\n%+v\nand in JSON\n%+v", outCBOR, outJSON)
			}
			if !isVoidOutput(op) && !reflect.DeepEqual(outCBOR, any(want)) {
				t.Errorf("read\n%+v\nwant\n%+v", outCBOR, want)
			}

			plain := cborOf(want)
			for name, f := range forms {
				r := cbor.NewReader(plain)
				body := f.rewrite(t, &r, nil)
				s.answer = func(string) []byte { return body }
				out, err := op.call(client, in)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if !reflect.DeepEqual(clearMetadata(out), outJSON) {
					t.Errorf("%s: read\n%+v\nwant\n%+v", name, out, outJSON)
				}
			}
		})
	}
}

func isVoidOutput(op operation) bool { return op.out.NumField() <= 2 }

// What is in an input and what is not goes over as it is: the zero value of a
// field is not the same as none.
func TestAnInputHasTheMembersThatAreSet(t *testing.T) {
	for _, op := range operations(t) {
		in := reflect.New(op.in).Interface().(smithy.Serializable)
		p := newProtocol(nil)
		if got := valuesOf(t, p.encode(in).data); !reflect.DeepEqual(got, map[string]any{}) {
			t.Errorf("an empty %s is %v", op.in, got)
		}
		// One at a time.
		for i := range op.in.NumField() {
			f := op.in.Field(i)
			if !f.IsExported() {
				continue
			}
			v := reflect.New(op.in)
			fill(v.Elem().Field(i), f.Name)
			one := v.Interface().(smithy.Serializable)
			var want any
			if err := json.Unmarshal(jsonOf(t, one), &want); err != nil {
				t.Fatal(err)
			}
			if got := valuesOf(t, p.encode(one).data); !reflect.DeepEqual(got, want) {
				t.Errorf("%s with %s is %v, want %v", op.in, f.Name, got, want)
			}
		}
	}
}

// A member that a later version of the SDK has is not lost: its shape is not
// written by hand any more.
func TestAShapeWithNewMembersIsLeftToItsSchema(t *testing.T) {
	shape := func(members ...string) *smithy.Schema {
		s := smithy.NewSchema(smithy.ShapeID{Name: "Shape"}, smithy.ShapeTypeStructure, len(members))
		for _, m := range members {
			s.AddMember(m, prelude.String)
		}
		return s
	}
	if !consistsOf(shape("A", "B"), "B", "A") {
		t.Error("the members are those")
	}
	if consistsOf(shape("A", "B", "C"), "A", "B") || consistsOf(shape("A", "C"), "A", "B") {
		t.Error("there is a new member")
	}
	if got, want := ourShapes(), (handwritten{true, true, true, true, true}); got != want {
		t.Errorf("%+v: the SDK has members that the codecs written by hand do not", got)
	}
}

// The SDK takes "no more elements" for the end even with an error beside it.
func TestAListThatIsCutOffDoesNotEnd(t *testing.T) {
	d := newDecoder([]byte{0x9f})
	if err := d.ReadList(nil); err != nil {
		t.Fatal(err)
	}
	if more, err := d.ReadListItem(nil); !more || err == nil {
		t.Errorf("%v, %v", more, err)
	}
	d = newDecoder([]byte{0xbf})
	if err := d.ReadMap(nil); err != nil {
		t.Fatal(err)
	}
	if _, more, err := d.ReadMapKey(nil); !more || err == nil {
		t.Errorf("%v, %v", more, err)
	}
}

// The kinds of values that the API has no use for yet.
func TestValuesOfOtherKinds(t *testing.T) {
	e := cborshape.NewWriter(nil, true)
	e.WriteList(nil)
	e.WriteInt8(nil, -1)
	e.WriteInt16(nil, 300)
	e.WriteFloat32(nil, 1.5)
	e.WriteFloat64(nil, 2.25)
	e.WriteNil(nil)
	e.WriteBigInt(nil, nil)
	e.WriteBigFloat(nil, nil)
	e.WriteDocument(nil, nil)
	e.WriteUnion(nil, smithy.NewSchema(smithy.ShapeID{Name: "U"}, smithy.ShapeTypeUnion, 1).AddMember("Only", prelude.String))
	e.WriteBool(nil, true)
	e.CloseUnion()
	e.WriteMap(nil)
	e.WriteKey(nil, "key")
	e.WriteString(nil, "value")
	e.CloseMap()
	e.CloseList()
	want := []any{-1., 300., 1.5, 2.25, nil, nil, nil, nil, map[string]any{"Only": true}, map[string]any{"key": "value"}}
	if got := valuesOf(t, e.Bytes()); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}

	d := newDecoder(e.Bytes())
	var (
		i8  int8
		i16 int16
		f32 float32
		f64 float64
	)
	if err := errors.Join(d.ReadList(nil), d.ReadInt8(nil, &i8), d.ReadInt16(nil, &i16), d.ReadFloat32(nil, &f32), d.ReadFloat64(nil, &f64)); err != nil {
		t.Fatal(err)
	}
	if i8 != -1 || i16 != 300 || f32 != 1.5 || f64 != 2.25 {
		t.Error(i8, i16, f32, f64)
	}
	_, err := d.ReadUnion(nil)
	for _, err := range []error{err, d.ReadBigInt(nil, nil), d.ReadBigFloat(nil, nil), d.ReadDocument(nil, nil)} {
		if !errors.Is(err, errNoUse) {
			t.Error(err)
		}
	}
	d = newDecoder(cbor.AppendInt(nil, 300))
	if err := d.ReadInt8(nil, &i8); err == nil || !strings.Contains(err.Error(), "from -128 to 127") {
		t.Error(err)
	}
}
