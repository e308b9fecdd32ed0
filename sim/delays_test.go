package sim

import (
	"testing"
	"testing/synctest"
	"time"
)

// What is drawn does not depend on who comes first, no instant is given out twice,
// and what may come in either order is a tie.
func TestSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ask := func(order ...string) map[string]time.Duration {
			s, out := newSource(1, nil), map[string]time.Duration{}
			for _, who := range order {
				out[who] = s.until(s.dice(key(who)), 0, time.Second)
			}
			if s.tied() > 0 {
				t.Errorf("%v are tied", order)
			}
			return out
		}
		if ab, ba := ask("a", "b"), ask("b", "a"); ab["a"] != ba["a"] || ab["b"] != ba["b"] || ab["a"] == ab["b"] {
			t.Errorf("%v, and in another order %v", ab, ba)
		}
	})
	for name, c := range map[string]struct {
		happens func(s *source)
		ties    int
	}{
		"two ask for the same at once": {func(s *source) { s.dice(1); s.dice(1) }, 1},
		"one asks for its own twice":   {func(s *source) { s.own(1); s.own(1) }, 0},
		"two ask for the same":         {func(s *source) { s.dice(1); time.Sleep(time.Nanosecond); s.dice(1) }, 0},
		"two want one instant at once": {func(s *source) {
			if a, b := s.until(nil, time.Second, 0), s.until(nil, time.Second, 0); a == b {
				t.Errorf("both get %v", a)
			}
		}, 1},
		"one wants an instant that was given out before": {func(s *source) {
			s.until(nil, time.Second, 0)
			time.Sleep(time.Nanosecond)
			if d := s.until(nil, time.Second-1, 0); d != time.Second {
				t.Errorf("gets %v", d)
			}
		}, 0},
		"two act at once":    {func(s *source) { s.acts("a"); s.acts("b") }, 1},
		"one acts twice":     {func(s *source) { s.acts("a"); s.acts("a") }, 0},
		"two act one by one": {func(s *source) { s.acts("a"); time.Sleep(time.Nanosecond); s.acts("b") }, 0},
		"three want an instant": {func(s *source) {
			for range 3 {
				s.until(nil, time.Second, 0)
			}
		}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSource(1, nil)
				c.happens(s)
				if got := s.tied(); got != c.ties {
					t.Errorf("%d ties, want %d", got, c.ties)
				}
			})
		})
	}
}

// Those that wait for the end of a pause go on apart from one another.
func TestPauseEndsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{source: newSource(1, nil), effects: map[Fault]int{}}
		n := w.newNode("n")
		resume := n.pause()
		at := make(chan time.Time)
		for who := range uint64(3) {
			go func() {
				if !n.wakes(t.Context(), w.source, who) {
					t.Error("it is dead")
				}
				at <- time.Now()
			}()
		}
		time.Sleep(time.Second)
		ended := time.Now()
		resume()
		seen := map[time.Time]bool{}
		for range 3 {
			woke := <-at
			if seen[woke] || woke.Before(ended) || woke.Sub(ended) > 2*time.Millisecond {
				t.Errorf("one goes on %v after the end, as another", woke.Sub(ended))
			}
			seen[woke] = true
		}
	})
}

// A write does not wait for the end of a pause, but what it sends does.
func TestPausedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{source: newSource(1, nil), effects: map[Fault]int{}, redis: newRedis()}
		n := w.newNode("n")
		c, err := w.dialRedis(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		resume := n.pause()
		time.AfterFunc(time.Second, resume)
		began := time.Now()
		if _, err := c.Write([]byte("*1\r\n$4\r\nPING\r\n")); err != nil || time.Since(began) > 0 {
			t.Errorf("a write took %v: %v", time.Since(began), err)
		}
		answer := make([]byte, 100)
		got, err := c.Read(answer)
		if took := time.Since(began); string(answer[:got]) != "+PONG\r\n" || took < time.Second || took > time.Second+4*mostDelay {
			t.Errorf("answered %q after %v: %v", answer[:got], took, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		w.redis.mini.Close()
		w.work.Wait()
	})
}
