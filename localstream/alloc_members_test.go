//go:build !race

package localstream

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shardrun/shardrun/internal/cbor"
	"github.com/shardrun/shardrun/localstream/internal/wire"
)

// hostileSize is about how long the bodies are, in bytes of JSON.
const hostileSize = 1 << 17

// Whatever is in a member of a request, of any operation and in both encodings,
// the server allocates no more than sixteen times its size and a mebibyte.
func TestNoMemberOfARequestAllocatesOutOfProportion(t *testing.T) {
	h := start(t, 1)
	for _, op := range operations() {
		for _, hostile := range hostileBodies(op.input, "", asObject) {
			for e, body := range map[wire.Encoding]string{wire.AsJSON: hostile.json, wire.AsCBOR: hostile.cbor} {
				r := httptest.NewRequest(http.MethodPost, "http://localhost/", strings.NewReader(body))
				r.Header.Set("Content-Type", e.ContentType())
				r.Header.Set("X-Amz-Target", targetPrefix+op.name)
				r.Header.Set("X-Amz-Date", "x")
				r.Header.Set("Authorization", auth)
				what := fmt.Sprintf("%s, %s in %s", op.name, hostile.what, e.ContentType())
				status, allocated := h.allocated(r)
				if status == http.StatusRequestEntityTooLarge || status >= http.StatusInternalServerError {
					t.Errorf("%s: status %d", what, status)
				}
				if most := uint64(16*len(body) + 1<<20); allocated > most {
					t.Errorf("%s: %d bytes allocated for a request of %d", what, allocated, len(body))
				}
			}
		}
	}
}

// hostile is a body of a request, or a part of one, in both encodings.
type hostile struct{ what, json, cbor string }

// hostileBodies gives bodies for each member of an input struct, and of the
// structs in it. Wrap makes a body of a member.
func hostileBodies(input reflect.Type, path string, wrap func(member hostile) hostile) (all []hostile) {
	for f := range input.Fields() {
		if !f.IsExported() {
			continue
		}
		here := path + "." + f.Name
		add := func(what string, members hostile) {
			body := wrap(members)
			body.what = here + ": " + what
			all = append(all, body)
		}
		element := small(f.Type)
		add("a long text", asMember(f.Name, asText(strings.Repeat("<", hostileSize))))
		add("a text of escapes", asMember(f.Name, asText(strings.Repeat("\x01", hostileSize/6))))
		add("a long list", asMember(f.Name, asList(again(element, hostileSize/(len(element.json)+1)))))
		add("an object of many keys", asMember(f.Name, asObject(manyKeys(hostileSize/14))))
		for what, value := range map[string]hostile{"texts": asText(""), "objects": asObject(hostile{}), "lists": asList(again(element, 500))} {
			m := asMember(f.Name, value)
			add(what+" again and again", again(m, hostileSize/(len(m.json)+1)))
		}
		inner, lists := f.Type, 0
		for ; inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice; inner = inner.Elem() {
			if inner.Kind() == reflect.Slice {
				lists++
			}
		}
		if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[time.Time]() {
			all = append(all, hostileBodies(inner, here, func(m hostile) hostile {
				value := asObject(m)
				for range lists {
					value = asList(value)
				}
				return wrap(asMember(f.Name, value))
			})...)
		}
	}
	return all
}

// small is the shortest value of the type of a member, or of its elements.
func small(t reflect.Type) hostile {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice && t != reflect.TypeFor[[]byte]() {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return asObject(hostile{})
	case reflect.Bool:
		return hostile{json: "true", cbor: string(cbor.AppendBool(nil, true))}
	case reflect.Int32, reflect.Int64, reflect.Float64:
		return hostile{json: "1", cbor: string(cbor.AppendInt(nil, 1))}
	}
	return asText("")
}

func asText(s string) hostile {
	return hostile{json: strings.ReplaceAll(strconv.Quote(s), `\x01`, `\u0001`), cbor: string(cbor.AppendText(nil, s))}
}

func asMember(name string, value hostile) hostile {
	return hostile{json: `"` + name + `":` + value.json, cbor: string(cbor.AppendText(nil, name)) + value.cbor}
}

func asObject(members hostile) hostile {
	return hostile{json: "{" + members.json + "}", cbor: string(cbor.AppendOpenMap(nil)) + members.cbor + string(cbor.AppendBreak(nil))}
}

func asList(elements hostile) hostile {
	return hostile{json: "[" + elements.json + "]", cbor: string(cbor.AppendOpenArray(nil)) + elements.cbor + string(cbor.AppendBreak(nil))}
}

// again repeats a member of an object, or an element of a list.
func again(one hostile, times int) hostile {
	return hostile{json: strings.TrimSuffix(strings.Repeat(one.json+",", times), ","), cbor: strings.Repeat(one.cbor, times)}
}

// manyKeys are members with names that all differ.
func manyKeys(n int) hostile {
	var asJSON, asCBOR strings.Builder
	for i := range n {
		m := asMember(fmt.Sprintf("%08d", i), asText(""))
		asJSON.WriteString("," + m.json)
		asCBOR.WriteString(m.cbor)
	}
	return hostile{json: asJSON.String()[1:], cbor: asCBOR.String()}
}
