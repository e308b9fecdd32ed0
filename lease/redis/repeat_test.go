package redis_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	goredis "github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/internal/redistest"
	"github.com/shardrun/shardrun/lease"
	"github.com/shardrun/shardrun/lease/redis"
)

// replica is a copy of a group's keys that a fail-over falls back to.
type replica struct{ client *goredis.Client }

// catchUp gives the replica what the primary has.
func (r replica) catchUp(t *testing.T) { r.copy(t, "{"+group+"}:", "{"+group+"}:was:") }

// takeOver makes the replica the primary.
func (r replica) takeOver(t *testing.T) { r.copy(t, "{"+group+"}:was:", "{"+group+"}:") }

func (r replica) copy(t *testing.T, from, to string) {
	t.Helper()
	for k := range strings.FieldsSeq("m s i o c d g w") {
		if err := r.client.Copy(t.Context(), from+k, to+k, 0, true).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// regress is a store with a worker that holds shard1, another worker, and a replica.
func regress(t *testing.T) (o *one, other string, r replica) {
	t.Helper()
	c := goredis.NewClient(&goredis.Options{Addr: redistest.Server(t)})
	t.Cleanup(func() { _ = c.Close() }) // the test is over
	o = newOne(t, newStore(t, redis.Config{Client: c}))
	other = uuid.NewString()
	if _, err := o.store.Beat(t.Context(), group, lease.Beat{
		Incarnation: o.inc, NewIncarnation: uuid.NewString(), First: true, Number: 1, TTL: time.Second,
		Session: lease.Session{ID: other, Name: "b", State: lease.StateUp, Streams: []string{stream}},
	}); err != nil {
		t.Fatal(err)
	}
	return o, other, replica{c}
}

// next is the worker's next beat, after an answer that said through.
func (o *one) next(through uint64) lease.Beat {
	o.sent++
	return lease.Beat{
		Incarnation: o.inc, NewIncarnation: uuid.NewString(), TTL: time.Second,
		Number: o.sent, Good: o.good, Stamp: o.stamp, Seen: through,
		Session: lease.Session{ID: o.session, Name: "a", State: lease.StateUp, Streams: []string{stream}},
	}
}

func (o *one) send(t *testing.T, b lease.Beat) lease.View {
	t.Helper()
	v, err := o.store.Beat(t.Context(), group, b)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (o *one) take(t *testing.T, session string, first uint64, name string) {
	t.Helper()
	g, err := o.store.Acquire(t.Context(), o.scope(), lease.Acquire{Session: session, First: first, Names: []string{name}})
	if err != nil || g[0].Err != nil {
		t.Fatal(err, g)
	}
}

// A beat is executed and its answer lost; its repeat is answered, and then lost by
// the store, which keeps the first try. What the worker saw last is gone all the same.
func TestTheLossOfARepeatedBeatIsSeen(t *testing.T) {
	o, other, r := regress(t)
	o.send(t, o.next(0)) // its answer is lost
	r.catchUp(t)
	o.take(t, other, 1, shard2)
	v := o.send(t, o.next(0)) // the repeat
	o.good, o.stamp = o.sent, v.Stamp
	r.takeOver(t)
	o.take(t, o.session, 2, shard2) // in the new history it is the worker's own
	after, err := o.store.Beat(t.Context(), group, o.next(v.Through))
	if !errors.Is(err, lease.ErrRegressed) {
		t.Errorf("%v with rows %+v; the worker saw shard2 held by the other and will never hear that it is its own", err, after.Leases)
	}
}

// A beat that was answered is lost by the store, which then gets it a second time
// from a slow network. It has the number, and not what the answer told.
func TestABeatThatIsExecutedAgainAfterAFailOverHidesNoLoss(t *testing.T) {
	o, other, r := regress(t)
	r.catchUp(t)
	o.take(t, other, 1, shard2)
	b := o.next(0)
	v := o.send(t, b)
	o.good, o.stamp = o.sent, v.Stamp
	r.takeOver(t)
	o.send(t, b)
	o.take(t, o.session, 2, shard2)
	after, err := o.store.Beat(t.Context(), group, o.next(v.Through))
	if !errors.Is(err, lease.ErrRegressed) {
		t.Errorf("%v with rows %+v; the worker saw shard2 held by the other and will never hear that it is its own", err, after.Leases)
	}
}

// A beat from before what was lost goes on from a view that the store has not, and is
// refused whenever it comes; what is told to begin anew is taken.
func TestALateBeatIsRefusedByAStoreThatLostWhatItRestsOn(t *testing.T) {
	o, _, r := regress(t)
	r.catchUp(t)
	v := o.send(t, o.next(0))
	o.good, o.stamp = o.sent, v.Stamp
	late := o.next(v.Through)
	r.takeOver(t)
	if _, err := o.store.Beat(t.Context(), group, o.next(v.Through)); !errors.Is(err, lease.ErrRegressed) {
		t.Fatalf("beat after the loss: %v", err)
	}
	if _, err := o.store.Beat(t.Context(), group, late); !errors.Is(err, lease.ErrRegressed) {
		t.Errorf("a late beat before the view begins anew: %v", err)
	}
	o.good, o.stamp = 0, 0
	v = o.send(t, o.next(0))
	o.good, o.stamp = o.sent, v.Stamp
	if len(v.Leases) != 2 {
		t.Errorf("the view that begins anew has %+v", v.Leases)
	}
	if _, err := o.store.Beat(t.Context(), group, late); !errors.Is(err, lease.ErrStale) {
		t.Errorf("a late beat after that: %v", err)
	}
	o.send(t, o.next(v.Through))
}
