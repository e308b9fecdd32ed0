package aggregate

import (
	"crypto/md5"
	"encoding/binary"
)

// Builder packs user records into an aggregate. It copies what it is given and
// always knows the exact size of the result. The zero Builder is ready; one
// goroutine at a time may use it.
//
// The three parts of the message are kept apart and joined by [Builder.Append],
// which gives the fields in the order of the KPL: the bytes are the same.
type Builder struct {
	keyIndex, hashIndex map[string]uint64
	keys, hashKeys      []byte // encoded table entries
	records             []byte // encoded records
	count               int
	firstKey, firstHash string // of the first record
	firstData           int    // length of its data
	most                int    // distinct keys that the maps have had room for
}

// Len is the number of records added.
func (b *Builder) Len() int { return b.count }

// Size is the exact length of what Append would append now, in bytes.
func (b *Builder) Size() int {
	return Overhead + len(b.keys) + len(b.hashKeys) + len(b.records)
}

// keyMemory is about what a key costs in a map, in bytes.
const keyMemory = 64

// Memory is about what the Builder keeps over Reset, in bytes.
func (b *Builder) Memory() int {
	most := max(b.most, len(b.keyIndex)+len(b.hashIndex))
	return cap(b.keys) + cap(b.hashKeys) + cap(b.records) + most*keyMemory
}

// SizeWith is the Size after adding the record.
func (b *Builder) SizeWith(key, hashKey string, data []byte) int {
	return b.Size() + b.place(key, hashKey, data).size
}

// Add adds a record. hashKey is its explicit hash key in decimal, "" for none.
func (b *Builder) Add(key, hashKey string, data []byte) {
	b.add(b.place(key, hashKey, data), key, hashKey, data)
}

// TryAdd adds a record unless the aggregate would then be longer than limit
// bytes or have more than [MaxRecords], and reports whether it did.
func (b *Builder) TryAdd(key, hashKey string, data []byte, limit int) bool {
	at := b.place(key, hashKey, data)
	if b.Size()+at.size > limit || b.count == MaxRecords {
		return false
	}
	b.add(at, key, hashKey, data)
	return true
}

// place is where a record's keys are in the tables, or will be.
type place struct {
	key, hash       uint64
	newKey, newHash bool
	message         int // length of the protobuf Record without tag and length
	size            int // bytes that the aggregate grows by
}

func (b *Builder) place(key, hashKey string, data []byte) place {
	var at place
	i, ok := b.keyIndex[key]
	if !ok {
		i, at.newKey = uint64(len(b.keyIndex)), true
		at.size += fieldLen(len(key))
	}
	at.key = i
	at.message = 1 + uvarintLen(i)
	if hashKey != "" {
		i, ok := b.hashIndex[hashKey]
		if !ok {
			i, at.newHash = uint64(len(b.hashIndex)), true
			at.size += fieldLen(len(hashKey))
		}
		at.hash = i
		at.message += 1 + uvarintLen(i)
	}
	at.message += fieldLen(len(data))
	at.size += fieldLen(at.message)
	return at
}

// fieldLen is the length of a field of n bytes with its tag and length.
func fieldLen(n int) int { return 1 + uvarintLen(uint64(n)) + n }

func (b *Builder) add(at place, key, hashKey string, data []byte) {
	if at.newKey {
		if b.keyIndex == nil {
			b.keyIndex = make(map[string]uint64)
		}
		b.keyIndex[key] = at.key
		b.keys = append(b.keys, tagPartitionKey)
		b.keys = binary.AppendUvarint(b.keys, uint64(len(key)))
		b.keys = append(b.keys, key...)
	}
	if at.newHash {
		if b.hashIndex == nil {
			b.hashIndex = make(map[string]uint64)
		}
		b.hashIndex[hashKey] = at.hash
		b.hashKeys = append(b.hashKeys, tagHashKey)
		b.hashKeys = binary.AppendUvarint(b.hashKeys, uint64(len(hashKey)))
		b.hashKeys = append(b.hashKeys, hashKey...)
	}
	r := append(b.records, tagRecord)
	r = binary.AppendUvarint(r, uint64(at.message))
	r = append(r, tagPartitionKeyIndex)
	r = binary.AppendUvarint(r, at.key)
	if hashKey != "" {
		r = append(r, tagHashKeyIndex)
		r = binary.AppendUvarint(r, at.hash)
	}
	r = append(r, tagData)
	r = binary.AppendUvarint(r, uint64(len(data)))
	b.records = append(r, data...)
	if b.count == 0 {
		b.firstKey, b.firstHash, b.firstData = key, hashKey, len(data)
	}
	b.count++
}

// First is the first record added, the zero Record if there is none. Its data
// aliases the Builder until the next Add or Reset.
func (b *Builder) First() Record {
	if b.count == 0 {
		return Record{}
	}
	m := reader{b.records}
	m.tag()
	body, _ := m.bytes()
	return Record{Key: b.firstKey, HashKey: b.firstHash, Data: body[len(body)-b.firstData:]}
}

// Append appends the aggregate to dst, Size bytes, and leaves the Builder as it
// is. An aggregate of no records has no meaning: Append then returns dst.
func (b *Builder) Append(dst []byte) []byte {
	if b.count == 0 {
		return dst
	}
	dst = append(dst, Magic...)
	start := len(dst)
	dst = append(dst, b.keys...)
	dst = append(dst, b.hashKeys...)
	dst = append(dst, b.records...)
	sum := md5.Sum(dst[start:])
	return append(dst, sum[:]...)
}

// Records appends the records to into, in the order in which they were added.
// Their data aliases the Builder until the next Reset.
func (b *Builder) Records(into []Record) []Record {
	tables := make([]byte, 0, len(b.keys)+len(b.hashKeys))
	tables = append(append(tables, b.keys...), b.hashKeys...)
	var d Decoder
	if _, ok := d.gather(tables); !ok {
		panic("aggregate: a Builder wrote tables that cannot be read")
	}
	text, _ := d.intern(tables)
	m := reader{b.records}
	for len(m.b) > 0 {
		m.tag()
		body, _ := m.bytes()
		rec, ok := d.record(body, text)
		if !ok {
			panic("aggregate: a Builder wrote a record that cannot be read")
		}
		into = append(into, rec)
	}
	return into
}

// Reset takes all records out and keeps the memory.
func (b *Builder) Reset() {
	b.most = max(b.most, len(b.keyIndex)+len(b.hashIndex))
	clear(b.keyIndex)
	clear(b.hashIndex)
	b.keys, b.hashKeys, b.records = b.keys[:0], b.hashKeys[:0], b.records[:0]
	b.count = 0
	b.firstKey, b.firstHash = "", "" // they may be all that keeps a caller's text alive
}
