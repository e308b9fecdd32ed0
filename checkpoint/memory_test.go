package checkpoint_test

import (
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/checkpoint/checkpointtest"
)

func TestMemory(t *testing.T) {
	checkpointtest.Run(t, func(t *testing.T, test func(*testing.T, checkpointtest.Backend)) {
		synctest.Test(t, func(t *testing.T) {
			m, n := checkpoint.NewMemory(), 0
			test(t, checkpointtest.Backend{Store: m, Grant: func(t *testing.T, group, lease string, start checkpoint.Position) checkpoint.Token {
				n++
				token := checkpoint.Token("session#" + strconv.Itoa(n))
				m.Grant(group, lease, token)
				if start != checkpoint.Start() {
					m.Put(group, lease, start)
				}
				return token
			}})
		})
	})
}

func TestMemoryGrantGivesBackWhatWasSaved(t *testing.T) {
	m := checkpoint.NewMemory()
	if e := m.Grant("g", "l", "a#1"); !e.Position.IsZero() {
		t.Errorf("a new lease is at %v", e.Position)
	}
	u := checkpoint.Update{Lease: "l", Token: "a#1", Position: checkpoint.At("5", 1), Counter: 3, State: []byte("s")}
	if _, err := m.Save(t.Context(), checkpoint.Scope{Group: "g"}, u); err != nil {
		t.Fatal(err)
	}
	e := m.Grant("g", "l", "b#1")
	if e.Position != u.Position || e.Counter != 3 || string(e.State) != "s" {
		t.Errorf("granted %+v", e)
	}
	if e := m.Grant("other", "l", "b#2"); !e.Position.IsZero() {
		t.Errorf("groups share a position: %v", e.Position)
	}
}
