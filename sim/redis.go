package sim

import (
	"maps"
	"net"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// redisNode is the Redis server: miniredis, its life, and what it loses.
type redisNode struct {
	mini *miniredis.Miniredis

	// mu guards all below.
	mu     sync.Mutex
	down   bool
	hangup chan struct{} // closed when the server breaks all connections
	ahead  time.Duration // of its clock before the others'
	skewed bool
}

func newRedis() *redisNode {
	m := miniredis.NewMiniRedis()
	m.ClockTTL(true)
	return &redisNode{mini: m, hangup: make(chan struct{})}
}

func (r *redisNode) dial() (net.Conn, <-chan struct{}, error) {
	r.mu.Lock()
	down, hangup := r.down, r.hangup
	r.mu.Unlock()
	if down {
		return nil, nil, errRefused
	}
	c, err := r.mini.Dial()
	return c, hangup, err
}

// stop breaks all connections and refuses new ones.
func (r *redisNode) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = true
	close(r.hangup)
	r.hangup = make(chan struct{})
}

func (r *redisNode) start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = false
}

// jump sets the server's clock apart from that of the others.
func (r *redisNode) jump(ahead time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ahead, r.skewed = ahead, true
}

// clock sets the time that the server's scripts see, if it has one of its own,
// and reports whether it has.
func (r *redisNode) clock() bool {
	r.mu.Lock()
	skewed, ahead := r.skewed, r.ahead
	r.mu.Unlock()
	if skewed {
		r.mini.SetTime(time.Now().Add(ahead))
	}
	return skewed
}

// image is everything that the server stores.
type image struct {
	hashes map[string][]string // key: field, value, …
	sets   map[string]map[string]float64
}

// snapshot copies everything. Groups have hashes and sorted sets only.
func (r *redisNode) snapshot() image {
	out := image{hashes: map[string][]string{}, sets: map[string]map[string]float64{}}
	for _, k := range r.mini.Keys() {
		if r.mini.Type(k) == "zset" {
			members, err := r.mini.SortedSet(k)
			if err == nil { // the key is there
				out.sets[k] = maps.Clone(members) // it is the server's own
			}
			continue
		}
		fields, err := r.mini.HKeys(k)
		if err != nil {
			continue // the key is gone
		}
		for _, f := range fields {
			out.hashes[k] = append(out.hashes[k], f, r.mini.HGet(k, f))
		}
	}
	return out
}

// restore makes the server forget what came after a snapshot.
func (r *redisNode) restore(was image) error {
	r.mini.FlushAll()
	for k, fields := range was.hashes {
		r.mini.HSet(k, fields...)
	}
	for k, members := range was.sets {
		for m, score := range members {
			if _, err := r.mini.ZAdd(k, score, m); err != nil {
				return err
			}
		}
	}
	return nil
}
