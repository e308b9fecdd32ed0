package wal

import (
	"errors"
	"fmt"
)

// A journal is a header and entries:
//
//	header  magic 8 · version 4 · crc 4 · salt 8 · length 8
//	entry   magic 4 · salt 8 · crc 4 · number 8 · length 4 · payload crc 4 · payload
//
// The length is that of the file when it got its name: all up to there was
// synced before. Each entry is synced before the next is written, so one after
// that which is not right is the torn end of the journal only when no entry comes
// after it. An empty one follows each, to tell damage to the last entry from a
// torn end.
const (
	journalName        = "journal"
	journalMagic       = "shardjnl"
	journalHeaderSize  = 32
	entryMagic         = 0x45726873 // "shrE"
	entryHeaderSize    = 32
	maxEntryBytes      = 256 << 20
	firstJournalNumber = 1
)

// entryPrefix is what every entry of a journal begins with.
func entryPrefix(salt uint64) []byte {
	return le.AppendUint64(le.AppendUint32(nil, entryMagic), salt)
}

func appendEntry(b []byte, salt, number uint64, payload []byte) []byte {
	at := len(b)
	b = le.AppendUint32(b, entryMagic)
	b = le.AppendUint64(b, salt)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, number)
	b = le.AppendUint32(b, uint32(len(payload)))
	b = le.AppendUint32(b, checksum(seedOf(salt), payload))
	le.PutUint32(b[at+12:], entryChecksum(b[at:]))
	return append(b, payload...)
}

func entryChecksum(b []byte) uint32 {
	return checksum(checksum(0, b[:12]), b[16:entryHeaderSize])
}

func parseEntryHeader(b []byte, salt uint64) (number uint64, length, crc uint32, ok bool) {
	if le.Uint32(b) != entryMagic || le.Uint64(b[4:]) != salt || le.Uint32(b[12:]) != entryChecksum(b) {
		return 0, 0, 0, false
	}
	return le.Uint64(b[16:]), le.Uint32(b[24:]), le.Uint32(b[28:]), true
}

func checkEntry(entry []byte) error {
	switch {
	case len(entry) == 0:
		return errors.New("entry is empty")
	case len(entry) > maxEntryBytes:
		return fmt.Errorf("entry of %d bytes, at most %d are allowed", len(entry), maxEntryBytes)
	}
	return nil
}
