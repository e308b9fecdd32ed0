package redis

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/checkpoint"
	checkpointredis "github.com/shardrun/shardrun/checkpoint/redis"
	"github.com/shardrun/shardrun/internal/rediskeys"
	"github.com/shardrun/shardrun/lease"
)

// view reads inc, now, ttl, through, more, paused, rows, late, lost, sync, head. A
// row that cannot be read is left out and logged: it fails nothing else.
func (s *Store) view(r rediskeys.Reply) (lease.View, error) {
	now, err := strconv.ParseInt(r.Text(1), 10, 64)
	ttl, err2 := strconv.ParseInt(r.Text(2), 10, 64)
	through, err3 := strconv.ParseUint(r.Text(3), 10, 64)
	sync, err4 := strconv.ParseInt(r.Text(9), 10, 64)
	head, err5 := strconv.ParseUint(r.Text(10), 10, 64)
	if err := errors.Join(err, err2, err3, err4, err5); err != nil {
		return lease.View{}, fmt.Errorf("unreadable answer: %w", err)
	}
	v := lease.View{
		Incarnation: r.Text(0),
		Now:         now,
		TTL:         time.Duration(ttl) * time.Millisecond,
		Through:     through,
		Head:        head,
		More:        r.Text(4) == "1",
		Paused:      r.Text(5) == "1",
		Lost:        r.Text(8) == "1",
		SyncUntil:   sync,
		Late:        map[string]int64{},
	}
	for _, row := range r.Rows(6) {
		if err := addRow(&v, row); err != nil {
			s.log.Warn("row left out", zap.Strings("row", row), zap.Error(err))
		}
	}
	late := r.Texts(7)
	for i := 0; i+1 < len(late); i += 2 {
		deadline, err := strconv.ParseInt(late[i+1], 10, 64)
		if err != nil {
			s.log.Warn("deadline left out", zap.String("session", late[i]), zap.Error(err))
			continue
		}
		v.Late[late[i]] = deadline
	}
	return v, nil
}

// addRow reads {name, seq, o, c, d} or {@session, seq, load, info, deadline}.
func addRow(v *lease.View, row []string) error {
	if len(row) < 5 {
		return fmt.Errorf("%d fields, want 5", len(row))
	}
	seq, err := strconv.ParseUint(row[1], 10, 64)
	if err != nil {
		return fmt.Errorf("number of the change: %w", err)
	}
	id, isSession := strings.CutPrefix(row[0], "@")
	switch {
	case isSession && row[3] == "":
		v.Left = append(v.Left, id)
		return nil
	case isSession:
		m, err := session(id, row[2], row[3], row[4])
		if err == nil {
			v.Sessions = append(v.Sessions, m)
		}
		return err
	case row[2] == "" && row[3] == "":
		v.Gone = append(v.Gone, row[0])
		return nil
	}
	l, err := leaseOf(row[0], row[2], row[3], row[4])
	if err == nil {
		l.Seq = seq
		v.Leases = append(v.Leases, l)
	}
	return err
}

func session(id, load, info, deadline string) (lease.Session, error) {
	var m lease.Session
	if err := json.Unmarshal([]byte(info), &m); err != nil {
		return m, err
	}
	m.ID = id
	var err, err2 error
	m.Load, err = strconv.ParseFloat(load, 64)
	m.Deadline, err2 = strconv.ParseInt(deadline, 10, 64)
	return m, errors.Join(err, err2)
}

// leaseOf reads the values of the keys o, c and d; d may be empty.
func leaseOf(name, o, c, d string) (lease.Lease, error) {
	owner, err := rediskeys.ParseOwner(o)
	if err != nil {
		return lease.Lease{}, err
	}
	p, err := rediskeys.ParsePosition(c)
	if err != nil {
		return lease.Lease{}, err
	}
	entry, err := checkpointredis.Entry(c, "")
	if err != nil {
		return lease.Lease{}, err
	}
	l := lease.Lease{
		Name: name, Token: checkpoint.Token(owner.Token), Epoch: owner.Epoch, Want: owner.Want, WantUntil: owner.WantUntil,
		Position: entry.Position, Stateful: p.Stateful, Weight: p.Weight, Flags: owner.Flags,
	}
	if d != "" {
		err = json.Unmarshal([]byte(d), &l.Shard)
	}
	return l, err
}
