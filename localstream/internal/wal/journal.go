package wal

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/shardrun/shardrun/internal/vfs"
)

// Journal is a durable list of entries, which are read back in full by
// [OpenJournal]. It has one user at a time.
type Journal struct {
	fs     vfs.FS
	dir    string
	file   vfs.File
	salt   uint64
	number uint64 // of the next entry
	size   int64
	begun  int64 // length of the file when it got its name, all of it synced
	synced int64 // found at opening: all before this offset was synced
	proven bool  // the last entry is an empty one, or there was none yet
	torn   int64 // bytes cut off at opening
	err    error
	buf    []byte
}

// OpenJournal opens the journal in a directory, or begins one, and calls replay
// with each entry in order. The entry is replay's only during the call; an error
// of replay ends the opening. An entry that a crash left unfinished is cut off,
// of which [Journal.TornBytes] tells.
// When an entry that had been synced has changed, the error is a [*DamageError]
// and the file stays as it is.
func OpenJournal(fsys vfs.FS, dir string, replay func(entry []byte) error) (*Journal, error) {
	j := &Journal{fs: fsys, dir: dir}
	if err := j.open(replay); err != nil {
		err = fmt.Errorf("open journal %s: %w", j.name(), err)
		if j.file != nil {
			err = errors.Join(err, j.file.Close())
		}
		return nil, err
	}
	return j, nil
}

// JournalFile is the file of the journal in a directory.
func JournalFile(dir string) string { return path.Join(dir, journalName) }

func (j *Journal) name() string { return JournalFile(j.dir) }

func (j *Journal) open(replay func([]byte) error) error {
	if err := vfs.MkdirAll(j.fs, j.dir); err != nil {
		return err
	}
	f, err := j.fs.Open(j.name())
	if errors.Is(err, fs.ErrNotExist) {
		return j.begin(nil)
	}
	if err != nil {
		return err
	}
	j.file = f
	size, err := f.Size()
	if err != nil {
		return err
	}
	if err := j.replay(size, replay); err != nil {
		return err
	}
	if j.torn = size - j.size; j.torn > 0 {
		if err := f.Truncate(j.size); err != nil {
			return fmt.Errorf("cut the torn end: %w", err)
		}
	}
	// What was found may be in the memory of the operating system only.
	if err := makeDurable(j.fs, f, j.name(), j.synced, j.size); err != nil {
		return err
	}
	return syncDir(j.fs, j.dir, Sync)
}

// begin makes a journal, with a first entry if there is one, and goes on with it
// once it has its name. Only an error of that is noted as final.
func (j *Journal) begin(entry []byte) error {
	salt := newSalt()
	b := append([]byte(nil), journalMagic...)
	b = le.AppendUint32(b, formatVersion)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, salt)
	begun := int64(journalHeaderSize)
	if entry != nil {
		begun += entryHeaderSize + int64(len(entry))
	}
	b = le.AppendUint64(b, uint64(begun))
	le.PutUint32(b[12:], journalChecksum(b))
	number := uint64(firstJournalNumber)
	if entry != nil {
		b = appendEntry(b, salt, number, entry)
		number++
	}
	f, err := prepareFile(j.fs, j.dir, journalName, b, Sync)
	if err != nil {
		return err
	}
	if err := f.publish(); err != nil {
		j.err = fmt.Errorf("an earlier rewrite failed: %w", err)
		return err
	}
	j.file, j.salt, j.number, j.size, j.begun, j.proven = f.file, salt, number, begun, begun, true
	return nil
}

func journalChecksum(b []byte) uint32 {
	return checksum(checksum(0, b[:12]), b[16:journalHeaderSize])
}

// replay reads all entries of a file of the given size.
func (j *Journal) replay(size int64, replay func([]byte) error) error {
	w := window{file: j.file, size: size}
	if err := j.readHeader(&w); err != nil {
		return err
	}
	j.size, j.number, j.synced, j.proven = journalHeaderSize, firstJournalNumber, j.begun, true
	for j.size < max(size, j.begun) {
		entry, ok, err := j.entry(&w)
		if err != nil {
			return err
		}
		if !ok {
			return j.checkTorn(&w)
		}
		j.synced = max(j.size, j.begun)
		if j.proven = len(entry) == 0; !j.proven {
			if err := replay(entry); err != nil {
				return fmt.Errorf("replay entry %d: %w", j.number, err)
			}
		}
		j.size += entryHeaderSize + int64(len(entry))
		j.number++
	}
	return nil
}

func (j *Journal) readHeader(w *window) error {
	if w.size < journalHeaderSize {
		return j.damage(0, "header is missing")
	}
	b, err := w.at(0, journalHeaderSize)
	if err != nil {
		return err
	}
	switch {
	case string(b[:8]) != journalMagic:
		return j.damage(0, "not a journal")
	case le.Uint32(b[12:]) != journalChecksum(b):
		return j.damage(0, "header fails its checksum")
	case le.Uint32(b[8:]) != formatVersion:
		return &VersionError{File: j.name(), Version: le.Uint32(b[8:])}
	}
	j.salt, j.begun = le.Uint64(b[16:]), int64(le.Uint64(b[24:]))
	return nil
}

func (j *Journal) damage(offset int64, reason string) error {
	return &DamageError{Segment: j.name(), Offset: offset, AllShards: true, Reason: reason}
}

// entry reads the entry at the end of what was read. ok is false when it is not
// right.
func (j *Journal) entry(w *window) (payload []byte, ok bool, err error) {
	if j.size+entryHeaderSize > w.size {
		return nil, false, nil
	}
	raw, err := w.at(j.size, entryHeaderSize)
	if err != nil {
		return nil, false, err
	}
	number, length, crc, ok := parseEntryHeader(raw, j.salt)
	if !ok || number != j.number || j.size+entryHeaderSize+int64(length) > w.size {
		return nil, false, nil
	}
	payload, err = w.at(j.size+entryHeaderSize, int(length))
	return payload, err == nil && checksum(seedOf(j.salt), payload) == crc, err
}

// checkTorn decides whether the entry at the end of what was read is torn, or
// returns its damage.
func (j *Journal) checkTorn(w *window) error {
	if j.size < j.begun {
		return j.damage(j.size, "the entry that the journal was made with is not right")
	}
	found := false
	err := w.find(entryPrefix(j.salt), j.size+1, entryHeaderSize, func(_ int64, b []byte) bool {
		number, _, _, ok := parseEntryHeader(b, j.salt)
		found = ok && number > j.number
		return found
	})
	if err == nil && found {
		err = j.damage(j.size, fmt.Sprintf("entry %d fails its checksum, and entries follow it", j.number))
	}
	return err
}

// Append adds an entry, which must not be empty, and returns when it is
// synced. After a failure the journal takes no more entries until it is opened
// again; the entry may be found then.
func (j *Journal) Append(entry []byte) error {
	if err := cmp.Or(j.err, checkEntry(entry)); err != nil {
		return fmt.Errorf("append to journal %s: %w", j.name(), err)
	}
	if err := j.write(entry); err != nil {
		return fmt.Errorf("append to journal %s: %w", j.name(), err)
	}
	// A journal changes rarely, so this sync more is cheap: now damage to the
	// entry cannot pass for a torn end.
	if err := j.write(nil); err != nil {
		return fmt.Errorf("append to journal %s: %w", j.name(), err)
	}
	return nil
}

// write adds an entry that may be empty.
func (j *Journal) write(entry []byte) error {
	j.buf = appendEntry(j.buf[:0], j.salt, j.number, entry)
	_, err := j.file.Write(j.buf)
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		j.err = fmt.Errorf("an earlier write failed: %w", err)
		// The entry was not acknowledged, so it had better not be found later.
		// The error of that adds nothing to the one returned.
		_ = j.file.Truncate(j.size)
		return err
	}
	j.size += int64(len(j.buf))
	j.number++
	j.proven = len(entry) == 0
	return nil
}

// Rewrite replaces all entries by one, in one step: a crash leaves either the
// old ones or the new one. A failure before that step leaves the journal as it
// was, and usable; one of the step itself is as final as one of [Journal.Append].
func (j *Journal) Rewrite(snapshot []byte) error {
	if err := cmp.Or(j.err, checkEntry(snapshot)); err != nil {
		return fmt.Errorf("rewrite journal %s: %w", j.name(), err)
	}
	old := j.file
	if err := j.begin(snapshot); err != nil {
		return fmt.Errorf("rewrite journal %s: %w", j.name(), err)
	}
	if err := old.Close(); err != nil {
		return fmt.Errorf("close the journal before %s: %w", j.name(), err)
	}
	return nil
}

// TornBytes is what was cut off the end when the journal was opened: an entry
// that was being written when the process or the machine stopped.
func (j *Journal) TornBytes() int64 { return j.torn }

// Size is the length of the journal in bytes, by which its owner decides when
// to rewrite it.
func (j *Journal) Size() int64 { return j.size }

// Close closes the journal. A second call does nothing.
func (j *Journal) Close() error {
	if errors.Is(j.err, ErrClosed) {
		return nil
	}
	err := j.err
	if err == nil && !j.proven {
		err = j.write(nil)
	}
	j.err = ErrClosed
	if err = errors.Join(err, j.file.Close()); err != nil {
		return fmt.Errorf("close journal %s: %w", j.name(), err)
	}
	return nil
}
