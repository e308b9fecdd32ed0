package lease_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/lease"
)

// modelErrors are the errors by which answers are told apart.
var modelErrors = []struct {
	name string
	err  error
}{
	{"gone", lease.ErrGone}, {"held", lease.ErrHeld}, {"parent", lease.ErrParent}, {"expired", lease.ErrExpired},
	{"not ready", lease.ErrNotReady}, {"exists", lease.ErrExists}, {"reset", lease.ErrReset}, {"lost", lease.ErrStateLost},
	{"superseded", lease.ErrSuperseded}, {"stale", lease.ErrStale}, {"syncing", lease.ErrSyncing}, {"seeded", lease.ErrSeeded},
	{"resync", lease.ErrResync}, {"needed", lease.ErrNeeded}, {"paused", lease.ErrPaused}, {"not paused", lease.ErrNotPaused},
	{"changed", lease.ErrChanged}, {"fenced", checkpoint.ErrFenced}, {"not found", checkpoint.ErrNotFound}, {"regress", checkpoint.ErrRegress},
}

// answer is an answer as text: its class, a colon, and what it says.
func answer(says string, err error) string {
	if r, ok := errors.AsType[*lease.RegressedError](err); ok {
		return fmt.Sprintf("regressed: %d", r.Number)
	}
	if err == nil {
		return "ok: " + says
	}
	for _, e := range modelErrors {
		if errors.Is(err, e.err) {
			return e.name + ": " + says
		}
	}
	return "failed: " + err.Error()
}

// answers are several; their class is that of one, so that each is counted now and
// then.
func answers(each []string, err error) string {
	if err != nil || len(each) == 0 {
		return answer("", err)
	}
	return each[len(each)-1] + "; " + strings.Join(each, "; ")
}

func entryText(e checkpoint.Entry) string {
	var left []string
	for _, name := range slices.Sorted(maps.Keys(e.Inherited)) {
		left = append(left, fmt.Sprintf("%s %q", name, e.Inherited[name]))
	}
	return fmt.Sprintf("%s counter %d state %q left %v", e.Position, e.Counter, e.State, left)
}

func shardText(s lease.Shard) string {
	return fmt.Sprintf("%v → %v [%s,%s] of %d", s.Parents, s.Children, s.StartingHashKey, s.EndingHashKey, s.Generation)
}

func grantText(g lease.Grant) string {
	if g.Err != nil {
		return ""
	}
	return fmt.Sprintf("%s %d %s %s", g.Token, g.Epoch, entryText(g.Entry), shardText(g.Shard))
}

// viewText is a view without the order of what changed in one step.
func viewText(v lease.View) string {
	var rows []string
	for _, l := range v.Leases {
		rows = append(rows, fmt.Sprintf("%s by %q epoch %d want %q until %d at %s weight %d flags %q shard %s",
			lease.ShardOf(l.Name), l.Token, l.Epoch, l.Want, l.WantUntil, l.Position, l.Weight, l.Flags, shardText(l.Shard)))
	}
	for _, s := range v.Sessions {
		rows = append(rows, fmt.Sprintf("%+v", s))
	}
	slices.Sort(rows)
	slices.Sort(v.Gone)
	slices.Sort(v.Left)
	return fmt.Sprintf("%s now %d ttl %v through %d more %v late %v paused %v lost %v sync %d stamp %d gone %v left %v\n      %s",
		v.Incarnation, v.Now, v.TTL, v.Through, v.More, v.Late, v.Paused, v.Lost, v.SyncUntil, v.Stamp, v.Gone, v.Left, strings.Join(rows, "\n      "))
}
