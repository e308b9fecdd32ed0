package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/shardrun/shardrun/internal/vfs"
)

// JournalInspection is what a journal holds.
type JournalInspection struct {
	// Name is the path of the file, and Bytes its length. Missing says that
	// there is none.
	Name    string
	Bytes   int64
	Missing bool
	// Entries is how many are intact. Empty ones, which only prove that those
	// before were synced, do not count.
	Entries int
	// TornBytes is what the next opening cuts off the end: an entry that was
	// never finished.
	TornBytes int64
	// Damage is what is wrong with entries that had been synced.
	Damage []*DamageError
}

// MaxLost is how many entries at most are lost to the damage.
func (j *JournalInspection) MaxLost() uint64 {
	if len(j.Damage) == 0 {
		return 0
	}
	return uint64(j.Bytes) / entryHeaderSize
}

// InspectJournal reads all of the journal in a directory, which nobody has open,
// changes nothing, and calls visit with each entry that is intact, whatever is
// wrong before it. The error is one of the file system, of visit, or a
// [*VersionError]; damage is part of the result.
func InspectJournal(fsys vfs.FS, dir string, visit func(entry []byte) error) (*JournalInspection, error) {
	j := &Journal{fs: fsys, dir: dir}
	out := &JournalInspection{Name: j.name()}
	f, err := fsys.Open(out.Name)
	if errors.Is(err, fs.ErrNotExist) {
		out.Missing = true
		return out, nil
	}
	if err == nil {
		j.file = f
		err = errors.Join(j.inspect(out, visit), f.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("inspect journal %s: %w", out.Name, err)
	}
	return out, nil
}

func (j *Journal) inspect(out *JournalInspection, visit func([]byte) error) error {
	size, err := j.file.Size()
	if err != nil {
		return err
	}
	out.Bytes = size
	w := window{file: j.file, size: size}
	note := func(err error) (rest error) {
		if d, ok := errors.AsType[*DamageError](err); ok {
			out.Damage = append(out.Damage, d)
			return nil
		}
		return err
	}
	switch err := j.readHeader(&w); {
	case err == nil:
	case note(err) != nil:
		return err
	default:
		if err := j.guessHeader(&w); err != nil || j.salt == 0 {
			return err
		}
	}
	j.size, j.number = journalHeaderSize, firstJournalNumber
	for j.size < max(size, j.begun) {
		entry, ok, err := j.entry(&w)
		if err != nil {
			return err
		}
		if !ok {
			err := j.checkTorn(&w)
			if err == nil {
				out.TornBytes = size - j.size
				return nil
			}
			if err := note(err); err != nil {
				return err
			}
			if found, err := j.skip(&w); err != nil || !found {
				return err
			}
			continue
		}
		if len(entry) > 0 {
			out.Entries++
			if err := visit(entry); err != nil {
				return err
			}
		}
		j.size += entryHeaderSize + int64(len(entry))
		j.number++
	}
	return nil
}

// guessHeader finds out what a header that is damaged said: the first entry has
// the same salt. If that is not right either the salt stays 0.
func (j *Journal) guessHeader(w *window) error {
	j.salt, j.begun = 0, 0
	if w.size < journalHeaderSize+entryHeaderSize {
		return nil
	}
	b, err := w.at(journalHeaderSize, entryHeaderSize)
	if err != nil {
		return err
	}
	salt := le.Uint64(b[4:])
	if number, _, _, ok := parseEntryHeader(b, salt); ok && number == firstJournalNumber {
		j.salt = salt
	}
	return nil
}

// skip goes on with the next entry whose header is right, after one that is not.
func (j *Journal) skip(w *window) (found bool, err error) {
	err = w.find(entryPrefix(j.salt), j.size+1, entryHeaderSize, func(pos int64, b []byte) (stop bool) {
		number, _, _, ok := parseEntryHeader(b, j.salt)
		if ok && number > j.number {
			j.size, j.number, found = pos, number, true
		}
		return found
	})
	return found, err
}

// ReplaceJournal makes a journal of one entry in place of the one in a
// directory, in one step, after the original bytes were copied, durably. It
// returns the path of the copy, "" if there was nothing to copy.
func ReplaceJournal(fsys vfs.FS, dir string, entry []byte) (saved string, err error) {
	j := &Journal{fs: fsys, dir: dir}
	if err := checkEntry(entry); err != nil {
		return "", fmt.Errorf("replace journal %s: %w", j.name(), err)
	}
	if saved, err = j.save(); err == nil {
		err = j.begin(entry)
	}
	if err != nil {
		return "", fmt.Errorf("replace journal %s: %w", j.name(), err)
	}
	return saved, j.Close()
}

// save copies the file, if there is one.
func (j *Journal) save() (string, error) {
	if err := vfs.MkdirAll(j.fs, j.dir); err != nil {
		return "", err
	}
	f, err := j.fs.Open(j.name())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	saved, err := freeName(j.fs, path.Join(j.dir, journalName+savedSuffix))
	if err == nil {
		err = copyFile(j.fs, f, saved)
	}
	return saved, errors.Join(err, f.Close())
}
