package consumer

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/shardrun/shardrun/internal/cbor"
)

// The encodings of the page server.
const (
	asJSON = "application/x-amz-json-1.1"
	asCBOR = "application/x-amz-cbor-1.1"
)

// readRequest reads the members of a request that are strings.
func readRequest(content string, body io.Reader) (request, error) {
	if content != asCBOR {
		var in request
		return in, json.NewDecoder(body).Decode(&in)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return request{}, err
	}
	members := map[string]string{}
	r := cbor.NewReader(b)
	n, err := r.Map()
	for more := err == nil; more; {
		var name, value []byte
		if more, err = r.More(&n); !more {
			break
		}
		if name, err = r.Text(); err != nil {
			return request{}, err
		}
		if r.Kind() != cbor.Text {
			err = r.Skip()
		} else if value, err = r.Text(); err == nil {
			members[string(name)] = string(value)
		}
		if err != nil {
			return request{}, err
		}
	}
	return request{
		ShardID: members["ShardId"], ShardIterator: members["ShardIterator"], ShardIteratorType: members["ShardIteratorType"],
		StartingSequenceNumber: members["StartingSequenceNumber"], NextToken: members["NextToken"],
	}, err
}

// encode is an answer, which is made of what encoding/json makes, in an encoding.
func encode(content string, answer any) ([]byte, error) {
	if content != asCBOR {
		return json.Marshal(answer)
	}
	return appendCBOR(nil, answer)
}

// appendCBOR appends a value. Numbers are whole, and times milliseconds.
func appendCBOR(dst []byte, v any) ([]byte, error) {
	var err error
	switch v := v.(type) {
	case string:
		return cbor.AppendText(dst, v), nil
	case int:
		return cbor.AppendInt(dst, int64(v)), nil
	case seconds:
		return cbor.AppendInt(dst, int64(v)*1000), nil
	case []any:
		dst = cbor.AppendArray(dst, len(v))
		for _, item := range v {
			if dst, err = appendCBOR(dst, item); err != nil {
				return nil, err
			}
		}
		return dst, nil
	case map[string]string:
		dst = cbor.AppendMap(dst, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			dst = cbor.AppendText(cbor.AppendText(dst, name), v[name])
		}
		return dst, nil
	case map[string]any:
		dst = cbor.AppendMap(dst, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if dst, err = appendCBOR(cbor.AppendText(dst, name), v[name]); err != nil {
				return nil, err
			}
		}
		return dst, nil
	}
	return nil, fmt.Errorf("a %T in an answer", v)
}

// seconds is a time since 1970, which JSON writes as it is and CBOR as
// milliseconds.
type seconds int64
