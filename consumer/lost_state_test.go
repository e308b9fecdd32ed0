package consumer

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/lease"
)

func TestLostStateIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 2)
		b.cfg.StartAt = Latest()
		time.Sleep(time.Second)
		r := run(t, b.cfg)
		time.Sleep(time.Second)
		b.fake.put(0, "k", []byte("3"))
		time.Sleep(2 * time.Second)
		b.wantBatches("3")
		b.store.Forget("test")
		b.fake.put(0, "k", []byte("4"))
		time.Sleep(20 * time.Second)
		b.wantBatches("3 | 4")
		r.stop()
	})
}

// lose has the state of the group lost, and nobody remembers it.
func (b *bench) lose() {
	b.t.Helper()
	b.store.Forget("test")
	former := lease.Beat{Incarnation: "former", NewIncarnation: "latter", TTL: 10 * time.Second}
	if _, err := b.store.Beat(b.t.Context(), "test", former); !errors.Is(err, lease.ErrStateLost) {
		b.t.Fatal(err)
	}
}

func TestStateThatNobodyRemembers(t *testing.T) {
	for name, test := range map[string]struct {
		on   StartAt
		want string
	}{
		"TrimHorizon": {StartAt{}, "1 2 3 4"},
		"AtTimestamp": {AtTimestamp(time.Date(2000, 1, 1, 0, 0, 5, 0, time.UTC)), "4"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 1, 3)
				b.cfg.StartAt, b.cfg.OnStateLoss = Latest(), test.on
				time.Sleep(10 * time.Second)
				b.fake.put(0, "k", []byte("4"))
				time.Sleep(10 * time.Second)
				b.lose()
				b.runs(20 * time.Second)
				if got := strings.ReplaceAll(b.h.got(), " |", ""); got != test.want {
					t.Errorf("delivered %q, want %q", got, test.want)
				}
			})
		})
	}
}

func TestHaltNamesWhatNobodyRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 2, 3)
		b.cfg.OnStateLoss = Halt()
		b.lose()
		c, err := New(b.cfg)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		err = c.Run(t.Context())
		lost, ok := errors.AsType[*lease.UnrestoredError](err)
		if !ok || len(lost.Leases) != 2 || !strings.Contains(err.Error(), "`shardrun leases init orders --group test --at trim`") ||
			!strings.Contains(err.Error(), lease.ShardOf(lost.Leases[1])) || lost.Kept != 0 || lost.Seen.After(time.Now()) || lost.Seen.Before(began.Add(-time.Minute)) {
			t.Errorf("Run returned %v", err)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("after %v", took)
		}
		if got := b.h.got(); got != "" {
			t.Errorf("delivered %q", got)
		}
	})
}

func TestHaltGoesOnWithWhatIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1, 3)
		b.cfg.OnStateLoss = Halt()
		r := run(t, b.cfg)
		time.Sleep(2 * time.Second)
		b.fake.split(0)
		time.Sleep(10 * time.Second)
		b.store.Forget("test")
		b.fake.put(1, "k", []byte("4"))
		time.Sleep(20 * time.Second)
		b.wantBatches("1 2 3 | 4")
		r.stop()
	})
}
