package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// Trim removes the segments at the beginning of the log of which all records
// arrived before a time, in milliseconds since 1970. An active segment that is
// as old is sealed first, unless the log takes no more writes. Calls run one
// after the other.
func (l *Log) Trim(before int64) error {
	l.trim <- struct{}{}
	defer func() { <-l.trim }()
	if err := l.trimTo(before); err != nil {
		return fmt.Errorf("trim log %s: %w", l.cfg.Dir, err)
	}
	return nil
}

func (l *Log) trimTo(before int64) error {
	l.mu.Lock()
	err := l.unusable()
	old := err == nil && l.err == nil && l.activeIsOld(before)
	l.mu.Unlock()
	if err != nil {
		return err
	}
	if old {
		// An error does not keep the rest from going: the disk may be full.
		err = l.rollWhenDue()
	}
	return errors.Join(err, l.removeOld(before))
}

// removeOld removes the sealed segments of which all records arrived before a
// time.
func (l *Log) removeOld(before int64) error {

	l.mu.Lock()
	l.forget(before)
	doomed := l.doomed
	l.mu.Unlock()
	// One by one from the oldest, each durably: should the machine stop, what is
	// left has no hole.
	for _, seg := range doomed {
		if err := l.removeSegment(seg); err != nil {
			return err
		}
	}
	return nil
}

// activeIsOld reports whether the active segment has records, all of which
// arrived before a time. mu is held.
func (l *Log) activeIsOld(before int64) bool {
	seg := l.segs[len(l.segs)-1]
	return seg.arrival > 0 && seg.arrival < before
}

// rollWhenDue seals the active segment.
func (l *Log) rollWhenDue() error {
	c := l.newCall()
	c.roll = true
	l.mu.Lock()
	if err := l.refusal(); err != nil { // closed in the meantime: the file is, too
		l.mu.Unlock()
		l.freeCall(c)
		return err
	}
	lead := l.enqueue(c)
	l.mu.Unlock()
	return l.await(c, lead)
}

// forget takes the segments that are old out of the log; their files are
// removed after. mu is held.
func (l *Log) forget(before int64) {
	for len(l.segs) > 1 && l.segs[0].arrival < before {
		seg := l.segs[0]
		seg.gone.Store(true)
		l.size -= seg.size
		l.segs = slices.Delete(l.segs, 0, 1)
		l.doomed = append(l.doomed, seg)
		for _, s := range l.shards {
			if len(s.sealed) > 0 && s.sealed[0].seg == seg {
				s.sealed = slices.Delete(s.sealed, 0, 1)
				delete(s.rebuilt, seg)
			}
			s.damage = slices.DeleteFunc(s.damage, func(d *DamageError) bool { return d.Segment == seg.name })
		}
	}
}

// removeSegment removes the file of the first doomed segment.
func (l *Log) removeSegment(seg *segment) error {
	l.cache.drop(seg)
	if err := l.files.drop(seg); err != nil {
		return fmt.Errorf("close %s: %w", seg.name, err)
	}
	if err := l.cfg.FS.Remove(seg.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove segment: %w", err)
	}
	if err := l.syncDir(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doomed = l.doomed[1:]
	return nil
}
