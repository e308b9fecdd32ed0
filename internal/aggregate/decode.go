package aggregate

import (
	"crypto/md5"
	"iter"
	"slices"

	"github.com/shardrun/shardrun/internal/hashkey"
)

// Record is one user record of an aggregate.
type Record struct {
	// Key is the user record's own partition key.
	Key string
	// HashKey is its explicit hash key in decimal, "" when it has none. It is
	// always one that [hashkey.Parse] accepts.
	HashKey string
	// Data is a slice of the aggregate's data, its capacity cut to its length.
	Data []byte

	message []byte // the whole protobuf Record if it has tags, else nil
}

// Hash is the hash key that places the record on a shard: the explicit one if
// it has one, else the MD5 of its partition key.
func (r Record) Hash() hashkey.Key {
	if r.HashKey != "" {
		if k, err := hashkey.Parse(r.HashKey); err == nil {
			return k
		}
	}
	return hashkey.Of(r.Key)
}

// Tags yields the key and value of each of the record's tags, which KPL
// decoders ignore. A tag that cannot be read ends the sequence.
func (r Record) Tags() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		m := reader{r.message}
		for len(m.b) > 0 {
			tag, ok := m.tag()
			if !ok {
				return
			}
			if tag != tagTag {
				if !m.skip(tag) {
					return
				}
				continue
			}
			body, ok := m.bytes()
			if !ok {
				return
			}
			key, value, ok := parseTag(body)
			if !ok || !yield(key, value) {
				return
			}
		}
	}
}

func parseTag(b []byte) (key, value string, ok bool) {
	m := reader{b}
	hasKey := false
	for len(m.b) > 0 {
		tag, ok := m.tag()
		if !ok {
			return "", "", false
		}
		if tag != tagTagKey && tag != tagTagValue {
			if !m.skip(tag) {
				return "", "", false
			}
			continue
		}
		body, ok := m.bytes()
		if !ok {
			return "", "", false
		}
		if tag == tagTagKey {
			key, hasKey = string(body), true
		} else {
			value = string(body)
		}
	}
	return key, value, hasKey
}

// Verdict is what the data of a Kinesis record turned out to be.
type Verdict uint8

const (
	// Plain data does not begin as an aggregate does: it is a user record.
	Plain Verdict = iota
	// Unpacked data was an aggregate; it may have held no records at all.
	Unpacked
	// Malformed data begins as an aggregate and is not one. It is to be
	// delivered as it is, like Plain, so that nothing is lost, and counted.
	Malformed
)

// String is the verdict in a word.
func (v Verdict) String() string {
	switch v {
	case Plain:
		return "plain"
	case Unpacked:
		return "unpacked"
	default:
		return "malformed"
	}
}

// Decode is [Decoder.Decode] for one record only.
func Decode(data []byte, into []Record) ([]Record, Verdict) {
	var d Decoder
	return d.Decode(data, into)
}

// Decoder unpacks aggregates. It keeps tables of a usual size from one record
// to the next to save allocations. The zero Decoder is ready; one goroutine at a
// time may use it.
type Decoder struct {
	keys, hashKeys []span
}

// keepTable is the most entries that a table kept for the next record has room
// for, about 1 MiB.
const keepTable = 1 << 16

// span is a text of a table, as offsets into the protobuf message.
type span struct{ start, end int }

// Decode appends the user records of an aggregate to into. Unless the verdict
// is Unpacked, into is returned as it was given.
//
// Data slices of the records alias data, which the caller must not change while
// they are in use; keys do not. Fields may come in any order. Records that are
// aggregates themselves are not unpacked. An aggregate is malformed as a whole
// when its MD5 differs, when it is not the protobuf message, when a record
// lacks its key or data, names a key that is in no table or a hash key that is
// not a decimal number below 2^128, or when it has more than [MaxRecords], or
// as many keys or hash keys.
func (d *Decoder) Decode(data []byte, into []Record) ([]Record, Verdict) {
	recs, verdict := d.decode(data, into)
	if cap(d.keys) > keepTable {
		d.keys = nil
	}
	if cap(d.hashKeys) > keepTable {
		d.hashKeys = nil
	}
	return recs, verdict
}

func (d *Decoder) decode(data []byte, into []Record) ([]Record, Verdict) {
	if len(data) < len(Magic) || string(data[:len(Magic)]) != Magic {
		return into, Plain
	}
	if len(data) <= Overhead {
		return into, Malformed
	}
	message := data[len(Magic) : len(data)-md5.Size]
	if md5.Sum(message) != [md5.Size]byte(data[len(data)-md5.Size:]) {
		return into, Malformed
	}
	count, ok := d.gather(message)
	if !ok {
		return into, Malformed
	}
	text, ok := d.intern(message)
	if !ok {
		return into, Malformed
	}
	recs := slices.Grow(into, count)
	m := reader{message}
	for len(m.b) > 0 {
		tag, _ := m.tag()
		if tag != tagRecord {
			m.skip(tag)
			continue
		}
		body, _ := m.bytes()
		rec, ok := d.record(body, text)
		if !ok {
			clear(recs[len(into):])
			return into, Malformed
		}
		recs = append(recs, rec)
	}
	return recs, Unpacked
}

// gather walks the whole message once, fills the tables and counts the records,
// because records may come before the tables that they point into.
func (d *Decoder) gather(message []byte) (records int, ok bool) {
	d.keys, d.hashKeys = d.keys[:0], d.hashKeys[:0]
	m := reader{message}
	for len(m.b) > 0 {
		tag, ok := m.tag()
		if !ok {
			return 0, false
		}
		switch tag {
		case tagPartitionKey, tagHashKey, tagRecord:
		default:
			if !m.skip(tag) {
				return 0, false
			}
			continue
		}
		body, ok := m.bytes()
		if !ok {
			return 0, false
		}
		end := len(message) - len(m.b)
		at := span{end - len(body), end}
		switch tag {
		case tagPartitionKey:
			d.keys = append(d.keys, at)
		case tagHashKey:
			d.hashKeys = append(d.hashKeys, at)
		default:
			records++
		}
		if max(records, len(d.keys), len(d.hashKeys)) > MaxRecords {
			return 0, false
		}
	}
	return records, true
}

// intern makes one string of the part of the message that holds the tables, so
// that keys cost one allocation for each aggregate, and makes the spans
// offsets into that string. It refuses a hash key that is not one.
func (d *Decoder) intern(message []byte) (string, bool) {
	from, to := len(message), 0
	for _, table := range [][]span{d.keys, d.hashKeys} {
		if len(table) > 0 {
			from, to = min(from, table[0].start), max(to, table[len(table)-1].end)
		}
	}
	if from > to {
		return "", true
	}
	text := string(message[from:to])
	for _, table := range [][]span{d.keys, d.hashKeys} {
		for i := range table {
			table[i].start -= from
			table[i].end -= from
		}
	}
	for _, at := range d.hashKeys {
		if _, err := hashkey.Parse(text[at.start:at.end]); err != nil {
			return "", false
		}
	}
	return text, true
}

// record reads one protobuf Record.
func (d *Decoder) record(message []byte, text string) (Record, bool) {
	var (
		rec              Record
		key, hash        uint64
		hasKey, hasHash  bool
		hasData, hasTags bool
	)
	m := reader{message}
	for len(m.b) > 0 {
		tag, ok := m.tag()
		if !ok {
			return Record{}, false
		}
		switch tag {
		case tagPartitionKeyIndex:
			key, ok = m.varint()
			hasKey = true
		case tagHashKeyIndex:
			hash, ok = m.varint()
			hasHash = true
		case tagData:
			rec.Data, ok = m.bytes()
			hasData = true
		case tagTag:
			_, ok = m.bytes()
			hasTags = true
		default:
			ok = m.skip(tag)
		}
		if !ok {
			return Record{}, false
		}
	}
	if !hasKey || !hasData || key >= uint64(len(d.keys)) {
		return Record{}, false
	}
	at := d.keys[key]
	rec.Key = text[at.start:at.end]
	if hasHash {
		if hash >= uint64(len(d.hashKeys)) {
			return Record{}, false
		}
		at := d.hashKeys[hash]
		rec.HashKey = text[at.start:at.end]
	}
	if hasTags {
		rec.message = message
	}
	return rec, true
}
