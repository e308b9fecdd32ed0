package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// torment carries out the actions of the plan, and returns when all of them
// are over. When ctx ends, those under way end early.
func (w *world) torment(ctx context.Context) {
	begin := time.Now()
	var under sync.WaitGroup // actions under way
	for _, a := range w.plan.Actions {
		dice := w.source.dice(key("torment"))
		if !sleep(ctx, time.Until(begin.Add(a.At))+w.source.until(dice, 0, time.Millisecond)) {
			break
		}
		under.Go(func() { w.do(ctx, a, dice) })
	}
	under.Wait()
}

// do carries out one action from its beginning to its end.
func (w *world) do(ctx context.Context, a Action, dice *rand.Rand) {
	var r *rush
	if a.Fault == Reshard {
		r = w.awaitRush(ctx, a, dice)
	}
	defer w.storms.begin(string(a.Fault))()
	switch a.Fault {
	case LinkDelay, LinkDrop, LinkLoseReply, LinkReset, LinkDuplicate, LinkCut:
		w.spoil(ctx, a, dice)
	case WorkerCrash, WorkerPause, WorkerSlow, WorkerDrain, WorkerTwin, HandlerError, HandlerSlow:
		w.harm(ctx, a, dice)
	case WriterCrash:
		w.writers[a.Target%len(w.writers)].crash(a.For)
	case ServerCrash, ServerDisk, ServerErrors, ServerRot:
		w.strike(ctx, a, dice)
	case RedisDown, RedisSuffix, RedisAll, RedisGone, RedisClock:
		w.unsettle(ctx, a)
	case Reshard:
		if w.reshard(ctx, dice) && r.lasts() {
			w.reach("resharded in a rush")
		}
	}
}

// lasting waits for the duration of an action, to an instant of its own.
func (w *world) lasting(ctx context.Context, d time.Duration, dice *rand.Rand) {
	sleep(ctx, w.source.until(dice, d, d+time.Millisecond))
}

// spoil makes links bad for a while.
func (w *world) spoil(ctx context.Context, a Action, dice *rand.Rand) {
	links := w.links()
	if a.Fault == LinkDuplicate { // TCP knows no duplicates, HTTP clients and proxies do
		links = slices.DeleteFunc(links, func(l string) bool { return !strings.HasSuffix(l, ">kinesis") })
	}
	name := links[a.Target%len(links)]
	var r rates
	switch a.Fault {
	case LinkDelay:
		r = rates{delay: a.Rate, long: 3 * time.Second}
	case LinkDrop:
		r = rates{drop: a.Rate}
	case LinkLoseReply:
		r = rates{loseReply: a.Rate}
	case LinkReset:
		r = rates{reset: a.Rate}
	case LinkDuplicate:
		r = rates{duplicate: 2 * a.Rate}
	case LinkCut:
		r = rates{cut: true}
	}
	w.note("%s: %s for %v, %.2f", name, a.Fault, a.For.Round(time.Millisecond), a.Rate)
	defer w.storms.begin(name)()
	defer w.weather.begin(name, r)()
	w.lasting(ctx, a.For, dice)
}

// harm does something to a worker.
func (w *world) harm(ctx context.Context, a Action, dice *rand.Rand) {
	s := w.slots[a.Target%len(w.slots)]
	switch a.Fault {
	case HandlerError:
		w.mislead(ctx, s, a, dice, trouble{fails: a.Rate})
		return
	case HandlerSlow:
		w.mislead(ctx, s, a, dice, trouble{slow: a.Rate, long: 4 * w.plan.TTL})
		return
	}
	wk, mine := s.seize()
	if !mine {
		return // something else is being done to it
	}
	defer s.release()
	w.note("%s: %s for %v, %.2f", wk.name, a.Fault, a.For.Round(time.Millisecond), a.Rate)
	switch a.Fault {
	case WorkerCrash:
		w.happened(WorkerCrash)
		w.kill(wk)
		w.lasting(ctx, a.For, dice)
		w.start(s, nextName(s, dice.IntN(2) == 0))
	case WorkerDrain:
		w.happened(WorkerDrain)
		w.drains(wk)
		w.lasting(ctx, a.For, dice)
		w.start(s, nextName(s, dice.IntN(2) == 0))
	case WorkerTwin:
		w.twin(ctx, s, wk, a.For, dice)
	case WorkerPause:
		resume := wk.node.pause()
		w.history.Held(wk.name)
		w.lasting(ctx, a.For, dice)
		w.history.Resumed(wk.name)
		resume()
	case WorkerSlow:
		wk.node.slowness(a.Rate)
		w.lasting(ctx, a.For, dice)
		wk.node.slowness(1)
	}
}

// mislead makes the handler of a worker do wrong, whatever else is done to it.
func (w *world) mislead(ctx context.Context, s *slot, a Action, dice *rand.Rand, t trouble) {
	wk := s.current()
	if wk == nil {
		return // it has not come yet
	}
	w.note("%s: %s for %v, %.2f", wk.name, a.Fault, a.For.Round(time.Millisecond), a.Rate)
	end := wk.begin(t)
	w.lasting(ctx, a.For, dice)
	end()
}

// kill ends a worker as SIGKILL does.
func (w *world) kill(wk *worker) {
	wk.node.crash()
	w.history.Crashed(wk.name)
	w.dies(wk)
	wk.cancel()
}

// twin starts another worker under the name of one, which goes on for a while,
// or is told to stop, and takes its time.
func (w *world) twin(ctx context.Context, s *slot, old *worker, d time.Duration, dice *rand.Rand) {
	w.happened(WorkerTwin)
	w.history.Superseded(old.name)
	old.twinned()
	if dice.IntN(2) == 0 {
		w.note("%s: is told to stop", old.name)
		old.tell()
	}
	w.start(s, old.as)
	if wk := s.current(); wk != old && w.losesWrites() {
		// The store may take the elder for the one that has the name.
		wk.twinned()
	}
	timer := time.NewTimer(w.source.until(dice, d, d+time.Millisecond))
	defer timer.Stop()
	select {
	case <-old.done:
	case <-timer.C:
	case <-ctx.Done():
	}
	select {
	case <-old.done:
	default:
		w.note("%s: is killed", old.name)
		w.kill(old)
	}
}

// losesWrites reports whether the store may forget what it answered.
func (w *world) losesWrites() bool {
	return slices.ContainsFunc(w.plan.Faults, func(f Fault) bool { return f == RedisSuffix || f == RedisAll || f == RedisGone })
}

// mend does what an operator does: workers of which a shard has stopped, or that
// gave up because another had their name, are started anew.
func (w *world) mend(ctx context.Context) {
	for sleep(ctx, w.source.until(w.source.dice(key("mend")), time.Second, 3*time.Second)) {
		for _, s := range w.slots {
			wk, mine := s.seize()
			if !mine {
				continue
			}
			if wk.isStopped() {
				w.note("%s: is started anew", wk.name)
				w.mended()
				w.drains(wk)
				w.start(s, nextName(s, w.source.dice(key("mend name")).IntN(2) == 0))
				w.mended()
			}
			s.release()
		}
	}
}

// nextName is the name of the worker that follows in a slot.
func nextName(s *slot, same bool) string {
	base := fmt.Sprintf("worker-%d", s.number)
	if same {
		return base
	}
	return fmt.Sprintf("%s-%d", base, s.starts)
}

// massacre kills all workers, does something, and starts new ones.
func (w *world) massacre(ctx context.Context, then func()) {
	var dead []*slot
	for _, s := range w.slots {
		for ctx.Err() == nil {
			if wk, mine := s.seize(); mine {
				w.happened(WorkerCrash)
				w.kill(wk)
				dead = append(dead, s)
				break
			}
			sleep(ctx, 100*time.Millisecond) // something else is being done to it
		}
	}
	then()
	for _, s := range dead {
		w.start(s, nextName(s, false))
		s.release()
	}
}
