package localstream

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/state"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// Verification is what [Verify] found in a data directory.
type Verification struct {
	DataDir string          `json:"data_dir"`
	Journal VerifiedJournal `json:"journal"`
	// Streams are those that the journal knows, by ARN, and then the directories
	// of records that it does not know.
	Streams []VerifiedStream `json:"streams"`
	// Damaged is the answer in one word. A torn end is not damage.
	Damaged bool `json:"damaged"`
}

// VerifiedJournal is what is in the journal of the metadata.
type VerifiedJournal struct {
	Bytes     int64 `json:"bytes"`
	Entries   int   `json:"entries"`    // that are intact
	TornBytes int64 `json:"torn_bytes"` // of a change that was never finished; cut off at the next opening
	// Damage is what is wrong. The server does not open then.
	Damage []Damage `json:"damage"`
}

// VerifiedStream is what is in the log of a stream.
type VerifiedStream struct {
	ARN       string `json:"arn"` // empty for a directory that the journal does not know
	Directory string `json:"directory"`
	Records   uint64 `json:"records"`    // that are intact, with expired ones that are still there
	Bytes     int64  `json:"bytes"`      // of all segments
	TornBytes int64  `json:"torn_bytes"` // of a write that was never finished; cut off at the next opening
	// Shards are by number. Expired ones may still have records.
	Shards   []VerifiedShard   `json:"shards"`
	Segments []VerifiedSegment `json:"segments"` // oldest first
	// Damage is all that is wrong with the log, in its order.
	Damage []Damage `json:"damage"`
	// Doubts are what may be the trace of a loss, or of something else, each in
	// words. They are no damage: nobody can tell.
	Doubts []string `json:"doubts"`
}

// VerifiedShard is what a log has of one shard.
type VerifiedShard struct {
	ShardID string `json:"shard_id"`
	Records uint64 `json:"records"`
	Bytes   int64  `json:"bytes"`
	// Damaged says that the shard refuses to serve: some of its records are
	// damaged, or damage does not tell whose it is.
	Damaged bool `json:"damaged"`
}

// VerifiedSegment is one file of a log.
type VerifiedSegment struct {
	File      string          `json:"file"` // in the data directory
	Bytes     int64           `json:"bytes"`
	Records   uint64          `json:"records"`
	TornBytes int64           `json:"torn_bytes"`
	Shards    []VerifiedShard `json:"shards"`
}

// Damage is a place where bytes that had been on the disk have changed.
type Damage struct {
	File   string `json:"file"` // in the data directory
	Offset int64  `json:"offset"`
	// ShardID is whose records they are; empty when the bytes do not tell, and
	// for the journal.
	ShardID string `json:"shard_id,omitempty"`
	Reason  string `json:"reason"`
	// Harmless says that nothing is lost by it and that the server works around
	// it: an index is made anew. The disk may still be a bad one.
	Harmless bool `json:"harmless,omitempty"`
}

// Verify reads and checks everything in the data directory of a server that does
// not run: metadata and records. It changes nothing but takes the lock, and the
// directory need not be one that can be written to. Damage is part of the result;
// errors are of the file system, of a directory that is none of a server, that a
// server has open, or that another version of shardrun wrote.
//
// A whole file that is gone is missed in the middle of a log, and when it was all
// of a log. The oldest ones of a log may as well have been trimmed, and the newest
// never have been written: that leaves a doubt at most.
func Verify(dir string) (*Verification, error) {
	var out *Verification
	err := offline(dir, false, func(fsys vfs.FS) error {
		in, err := inspectAll(fsys)
		if err == nil {
			out = in.report(dir)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", dir, err)
	}
	return out, nil
}

// offline calls f with a data directory that no server has open meanwhile, and
// that f can change only if it says so.
func offline(dir string, changes bool, f func(vfs.FS) error) (err error) {
	existing, err := vfs.OpenExistingOS(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, existing.Close()) }()
	var fsys vfs.FS = existing
	if !changes {
		fsys = vfs.ReadOnly{OS: existing}
	}
	if err := checkDataDir(fsys); err != nil {
		return err
	}
	lock, err := fsys.Lock(lockName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	return f(fsys)
}

// checkDataDir refuses a directory that no server ever had.
func checkDataDir(fsys vfs.FS) error {
	for _, name := range []string{journalDir, streamsDir} {
		e, err := fsys.Stat(name)
		if err == nil && e.Dir {
			return nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return fmt.Errorf("not a data directory: want one with %s and %s in it", journalDir, streamsDir)
}

// inspected is everything in a data directory.
type inspected struct {
	fs      vfs.FS
	journal *wal.JournalInspection
	state   *state.State // as far as the journal still tells
	refused []error      // by entries of the journal that do not fit those before
	lost    bool         // there are streams, and no journal that knows of any
	streams []inspectedStream
}

// inspectedStream is a directory of records.
type inspectedStream struct {
	stream *state.Stream // nil if the journal does not know it
	dir    string
	log    *wal.Inspection
}

func inspectAll(fsys vfs.FS) (*inspected, error) {
	in := &inspected{fs: fsys, state: state.New()}
	var err error
	in.journal, err = wal.InspectJournal(fsys, journalDir, func(b []byte) error {
		e, err := state.DecodeEvent(b)
		if err == nil {
			err = in.state.Apply(e)
		}
		if err != nil {
			in.refused = append(in.refused, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	dirs, err := fsys.List(streamsDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	in.lost = in.state.Boot == 0 && len(dirs) > 0
	ids := map[string]bool{}
	for _, d := range dirs {
		ids[d.Name] = d.Dir && !slices.Contains(in.state.Removed, d.Name) // what is removed is on its way
	}
	for id, st := range in.state.Streams {
		// One that is being made need not have a directory, or all of it.
		ids[id] = ids[id] || st.Status != state.Creating
	}
	for id, there := range ids {
		if !there {
			continue
		}
		st := in.state.Streams[id]
		dir := path.Join(streamsDir, id)
		log, err := wal.Inspect(fsys, dir, st != nil && st.Status != state.Creating)
		if err != nil {
			return nil, err
		}
		in.streams = append(in.streams, inspectedStream{st, dir, log})
	}
	slices.SortFunc(in.streams, func(a, b inspectedStream) int {
		return cmp.Or(cmp.Compare(b.arn(), "")-cmp.Compare(a.arn(), ""), cmp.Compare(a.arn(), b.arn()), cmp.Compare(a.dir, b.dir))
	})
	return in, nil
}

func (s *inspectedStream) arn() string {
	if s.stream == nil {
		return ""
	}
	return s.stream.ARN()
}

// journalDamage is what is wrong with the journal.
func (in *inspected) journalDamage() []Damage {
	out := []Damage{}
	for _, d := range in.journal.Damage {
		out = append(out, damageOf(d))
	}
	if in.lost {
		out = append(out, lostJournal())
	}
	for _, err := range in.refused {
		out = append(out, misfit(err))
	}
	return out
}

func (in *inspected) damaged() bool {
	return len(in.journalDamage()) > 0 || slices.ContainsFunc(in.streams, func(s inspectedStream) bool { return s.log.Damaged() })
}

func (in *inspected) report(dir string) *Verification {
	v := &Verification{DataDir: dir, Streams: []VerifiedStream{}, Damaged: in.damaged(), Journal: VerifiedJournal{
		Bytes: in.journal.Bytes, Entries: in.journal.Entries, TornBytes: in.journal.TornBytes, Damage: in.journalDamage(),
	}}
	for i := range in.streams {
		v.Streams = append(v.Streams, in.streams[i].report(time.Now()))
	}
	return v
}

// doubts are what may be the trace of a loss.
func (s *inspectedStream) doubts(now time.Time) []string {
	out := []string{}
	if s.stream != nil && s.log.Begins > 1 && s.stream.TrimHorizon(now) <= s.stream.Created {
		out = append(out, fmt.Sprintf("the log begins with batch %d, and nothing of the stream can have expired: older files are gone, or the clock was ahead once", s.log.Begins))
	}
	if s.log.Ended {
		out = append(out, "the last file of the log is complete, and none follows: the server was stopped at that moment, or the file was repaired, or newer ones are gone")
	}
	return out
}

func (s *inspectedStream) report(now time.Time) VerifiedStream {
	out := VerifiedStream{ARN: s.arn(), Directory: s.dir, Shards: []VerifiedShard{}, Segments: []VerifiedSegment{}, Damage: []Damage{}, Doubts: s.doubts(now)}
	shards := map[uint32]*VerifiedShard{}
	if s.stream != nil {
		for _, sh := range s.stream.Shards {
			shards[sh.Number] = &VerifiedShard{ShardID: state.ShardID(sh.Number)}
		}
	}
	all := len(s.log.Missing) > 0
	damaged := map[uint32]bool{}
	for i := range s.log.Segments {
		seg := &s.log.Segments[i]
		file := VerifiedSegment{File: seg.Name, Bytes: seg.Bytes, TornBytes: seg.TornBytes, Shards: []VerifiedShard{}}
		for _, p := range seg.Parts {
			sh := shards[p.Shard]
			if sh == nil {
				sh = &VerifiedShard{ShardID: state.ShardID(p.Shard)}
				shards[p.Shard] = sh
			}
			sh.Records, sh.Bytes = sh.Records+p.Records, sh.Bytes+p.Bytes
			file.Records += p.Records
			file.Shards = append(file.Shards, VerifiedShard{ShardID: sh.ShardID, Records: p.Records, Bytes: p.Bytes})
		}
		for _, d := range seg.Damage {
			all = all || d.AllShards
			damaged[d.Shard] = damaged[d.Shard] || !d.AllShards
			out.Damage = append(out.Damage, damageOf(d))
		}
		if seg.Index != "" {
			out.Damage = append(out.Damage, Damage{File: seg.Name, Offset: seg.Bytes, Reason: seg.Index, Harmless: true})
		}
		for k := range file.Shards {
			file.Shards[k].Damaged = slices.ContainsFunc(seg.Damage, func(d *wal.DamageError) bool {
				return d.AllShards || d.Shard == seg.Parts[k].Shard
			})
		}
		out.Segments = append(out.Segments, file)
		out.Records, out.Bytes, out.TornBytes = out.Records+file.Records, out.Bytes+file.Bytes, out.TornBytes+file.TornBytes
	}
	for _, d := range s.log.Missing {
		out.Damage = append(out.Damage, damageOf(d))
	}
	slices.SortStableFunc(out.Damage, func(a, b Damage) int { return cmp.Compare(a.File, b.File) })
	for n, sh := range shards {
		sh.Damaged = all || damaged[n]
		out.Shards = append(out.Shards, *sh)
	}
	slices.SortFunc(out.Shards, func(a, b VerifiedShard) int { return cmp.Compare(a.ShardID, b.ShardID) })
	return out
}
