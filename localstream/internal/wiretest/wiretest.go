// Package wiretest has the requests and answers that the AWS SDK is tested with,
// and turns requests of JSON into requests of CBOR, so that a test can ask the
// same in both encodings.
package wiretest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/shardrun/shardrun/internal/cbor"
)

// CBOR gives a JSON body in CBOR, member by member, whatever it asks for: names
// that occur twice do so again. The type is the input struct of the operation.
// It says which strings are blobs, and which numbers times; a blob that is not
// base64 stays a string. The error is that of a body that is not JSON.
func CBOR(input reflect.Type, body []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	return appendValue(nil, d, input)
}

func appendValue(dst []byte, d *json.Decoder, t reflect.Type) ([]byte, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch v := token.(type) {
	case json.Delim:
		if v == '{' {
			return appendObject(dst, d, t)
		}
		return appendList(dst, d, t)
	case string:
		if t == reflect.TypeFor[[]byte]() {
			if blob, err := base64.StdEncoding.Strict().DecodeString(v); err == nil {
				return cbor.AppendBytes(dst, blob), nil
			}
		}
		return cbor.AppendText(dst, v), nil
	case json.Number:
		return appendNumber(dst, v, t), nil
	case bool:
		return cbor.AppendBool(dst, v), nil
	case nil:
		return cbor.AppendNull(dst), nil
	}
	return nil, fmt.Errorf("unexpected token %v", token)
}

func appendNumber(dst []byte, v json.Number, t reflect.Type) []byte {
	f, _ := v.Float64() // out of range gives ±Inf
	if t == reflect.TypeFor[time.Time]() {
		const bound = 1 << 52 // far behind any time that is allowed, and still exact
		ms := min(max(math.Round(f*1000), -bound), bound)
		return cbor.AppendTaggedTime(dst, time.UnixMilli(int64(ms)))
	}
	if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
		return cbor.AppendInt(dst, n)
	}
	return cbor.AppendFloat(dst, f)
}

func appendObject(dst []byte, d *json.Decoder, t reflect.Type) ([]byte, error) {
	dst = cbor.AppendOpenMap(dst)
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := key.(string) // the only kind of key that d gives
		if dst, err = appendValue(cbor.AppendText(dst, name), d, memberType(t, name)); err != nil {
			return nil, err
		}
	}
	_, err := d.Token() // the end
	return cbor.AppendBreak(dst), err
}

func appendList(dst []byte, d *json.Decoder, t reflect.Type) ([]byte, error) {
	elem := reflect.TypeFor[any]()
	if t.Kind() == reflect.Slice {
		elem = t.Elem()
	}
	dst = cbor.AppendOpenArray(dst)
	for d.More() {
		var err error
		if dst, err = appendValue(dst, d, elem); err != nil {
			return nil, err
		}
	}
	_, err := d.Token() // the end
	return cbor.AppendBreak(dst), err
}

// memberType is what is expected of a member of an object, any if the object is
// not expected itself.
func memberType(t reflect.Type, name string) reflect.Type {
	switch t.Kind() {
	case reflect.Map:
		return t.Elem()
	case reflect.Struct:
		if f, ok := t.FieldByName(name); ok && f.IsExported() {
			return f.Type
		}
	}
	return reflect.TypeFor[any]()
}
