package localstream

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/state"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// RepairReport is what [Repair] does, and what is lost by the damage.
type RepairReport struct {
	DataDir string `json:"data_dir"`
	// Done says that it was carried out; otherwise it is a plan.
	Done bool `json:"done"`
	// Files are those that are replaced, or made in place of missing ones. There
	// are none when nothing is damaged.
	Files []RepairedFile `json:"files"`
	// Lost are the records that are gone, range by range.
	Lost []LostRange `json:"lost"`
	// LostChanges are those of the metadata, each in words.
	LostChanges []string `json:"lost_changes"`
}

// RepairedFile is a file that is replaced.
type RepairedFile struct {
	File string `json:"file"` // in the data directory
	// Saved is where the original bytes are kept, in the data directory; empty
	// when there were none.
	Saved string `json:"saved,omitempty"`
	// Kept is how many records, or for the journal entries, the new file has.
	Kept uint64 `json:"kept"`
}

// LostRange is a range of records of a shard that are gone.
type LostRange struct {
	ARN       string `json:"arn"` // empty for a directory that the journal does not know
	Directory string `json:"directory"`
	ShardID   string `json:"shard_id"`
	// Exact says that the records From to To are gone, Records of them. Otherwise
	// it is all between the two, if there was anything: those two are there. An
	// empty number stands for the oldest record that there was, or the newest.
	Exact   bool   `json:"exact"`
	From    string `json:"from"`
	To      string `json:"to"`
	Records uint64 `json:"records"` // 0 if not exact
}

// PlanRepair says what [Repair] would do to the data directory of a server that
// does not run, and changes nothing. Its errors are those of [Verify].
func PlanRepair(dir string) (*RepairReport, error) {
	return repairDir(dir, func(p *repairPlan) error { return nil }, false)
}

// Repair makes the data directory of a server that does not run one that a
// server opens and serves in full. Each damaged file is copied and then replaced,
// in one step, by one with all that is intact in it; files without damage are not
// touched. Numbers of records that are gone are never given to others. It may be
// interrupted in any way, and run again.
//
// A damaged journal keeps the changes of metadata that are intact and still fit
// one another; what it has lost may be whole streams, or reshards, without which
// the parents are open as before. Records that no stream or shard has any more
// stay where they are.
func Repair(dir string) (*RepairReport, error) {
	return repairDir(dir, (*repairPlan).apply, true)
}

func repairDir(dir string, act func(*repairPlan) error, done bool) (*RepairReport, error) {
	var out *RepairReport
	err := offline(dir, done, func(fsys vfs.FS) error {
		p, err := planRepair(fsys)
		if err == nil {
			err = act(p)
		}
		if err == nil {
			p.report.DataDir, p.report.Done = dir, done
			out = &p.report
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("repair %s: %w", dir, err)
	}
	return out, nil
}

// repairPlan is how to make a data directory whole.
type repairPlan struct {
	*inspected
	logs    []*wal.Repair
	journal *state.State // what the new journal says; nil to leave it
	report  RepairReport
}

func planRepair(fsys vfs.FS) (*repairPlan, error) {
	in, err := inspectAll(fsys)
	if err != nil {
		return nil, err
	}
	p := &repairPlan{inspected: in, report: RepairReport{Files: []RepairedFile{}, Lost: []LostRange{}, LostChanges: []string{}}}
	for i := range in.streams {
		if err := p.planLog(&in.streams[i]); err != nil {
			return nil, err
		}
	}
	if damage := in.journalDamage(); len(damage) > 0 {
		p.planJournal(damage)
	}
	return p, nil
}

// planLog adds the repair of one stream's log.
func (p *repairPlan) planLog(s *inspectedStream) error {
	var numbers []uint32
	if s.stream != nil {
		for _, sh := range s.stream.Shards {
			numbers = append(numbers, sh.Number)
		}
	}
	r, err := wal.PlanRepair(s.log, numbers)
	if err != nil {
		return err
	}
	p.logs = append(p.logs, r)
	for _, f := range r.Segments {
		p.report.Files = append(p.report.Files, RepairedFile{File: f.Name, Saved: f.Saved, Kept: f.Kept})
	}
	for _, l := range r.Losses {
		p.report.Lost = append(p.report.Lost, LostRange{
			ARN: s.arn(), Directory: s.dir, ShardID: state.ShardID(l.Shard), Exact: l.Exact, Records: l.Records,
			From: s.number(l.Shard, l.First), To: s.number(l.Shard, l.Last),
		})
	}
	return nil
}

// number is the sequence number of a place in a shard, or its index alone if
// nobody knows the shard any more.
func (s *inspectedStream) number(shard uint32, m wal.Mark) string {
	if m == (wal.Mark{}) {
		return ""
	}
	if s.stream != nil {
		if sh, ok := s.stream.Shard(shard); ok {
			return sh.At(m.Seq, m.Arrival).String()
		}
	}
	return fmt.Sprintf("index %d", m.Seq)
}

// What a journal that has lost entries may not know of: openings of the server
// and shards of a stream. Those that come get numbers above all that there may
// have been.
const (
	lostBoots  = 1 << 16
	lostShards = 1 << 10
)

// planJournal makes the metadata that the journal still tells into a new one.
func (p *repairPlan) planJournal(damage []Damage) {
	st := p.state
	p.report.Files = append(p.report.Files, RepairedFile{File: p.inspected.journal.Name, Kept: uint64(p.inspected.journal.Entries - len(p.refused))})
	for _, d := range damage {
		p.report.LostChanges = append(p.report.LostChanges, fmt.Sprintf("%s at offset %d: %s", d.File, d.Offset, d.Reason))
	}
	st.Retired = max(st.Retired, time.Now().Unix())
	for i := range p.streams {
		s := &p.streams[i]
		shards := uint32(0)
		unknown := map[uint32]bool{}
		for _, seg := range s.log.Segments {
			for _, part := range seg.Parts {
				st.Boot = max(st.Boot, indexBoot(part.Last.Seq))
				shards = max(shards, part.Shard+1)
				unknown[part.Shard] = s.stream != nil && part.Shard >= s.stream.NextShard
			}
		}
		if s.stream == nil {
			p.report.LostChanges = append(p.report.LostChanges, fmt.Sprintf("no stream has the records in %s any more; they stay there", s.dir))
			continue
		}
		for _, n := range slices.Sorted(maps.Keys(unknown)) {
			if unknown[n] {
				p.report.LostChanges = append(p.report.LostChanges, fmt.Sprintf("%s has no %s any more; its records stay in %s, and its parents are open again",
					s.arn(), state.ShardID(n), s.dir))
			}
		}
		changed := *s.stream
		changed.NextShard = max(changed.NextShard, shards) + lostShards
		st.Streams[changed.ID] = &changed
	}
	for _, known := range st.Streams {
		if !slices.ContainsFunc(p.streams, func(s inspectedStream) bool {
			return s.stream != nil && s.stream.ID == known.ID && len(s.log.Segments) > 0
		}) {
			p.report.LostChanges = append(p.report.LostChanges, fmt.Sprintf("%s has no records in its directory: it may have been deleted, and is empty", known.ARN()))
		}
	}
	st.Boot += lostBoots + p.inspected.journal.MaxLost()
	p.journal = st
}

// apply carries the plan out: records first, because a journal without damage
// looks as if all was well.
func (p *repairPlan) apply() error {
	for _, r := range p.logs {
		if err := r.Apply(); err != nil {
			return err
		}
	}
	if p.journal != nil {
		b, err := state.Event{Snapshot: p.journal}.Encode()
		if err != nil {
			return err
		}
		saved, err := wal.ReplaceJournal(p.fs, journalDir, b)
		if err != nil {
			return err
		}
		p.report.Files[len(p.report.Files)-1].Saved = saved
	}
	after, err := inspectAll(p.fs)
	if err != nil {
		return fmt.Errorf("look at what was repaired: %w", err)
	}
	if after.damaged() {
		return fmt.Errorf("something is damaged again after the repair: the disk may be failing")
	}
	return nil
}
