package leases

import (
	"context"
	"errors"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/lease"
)

// many is the number of leases of most rows.
const many = 1000

// timed makes a contestant that makes a call n times in each run. prepare
// returns the call; what it does is not timed.
func timed(n int, unit time.Duration, prepare func(ctx context.Context, t *table) (call func(context.Context) error, err error)) []harness.Contestant {
	return []harness.Contestant{{Name: "shardrun", Setup: func(ctx context.Context, env *harness.Env) (harness.Bench, error) {
		t, err := newTable(ctx, env)
		if err != nil {
			return harness.Bench{}, err
		}
		call, err := prepare(ctx, t)
		if err != nil {
			return harness.Bench{}, err
		}
		return harness.Bench{Warm: call, Close: t.store.Close, Run: func(ctx context.Context) (harness.Sample, error) {
			out := harness.Sample{Observations: make([]float64, 0, n)}
			for range n {
				began := time.Now()
				if err := call(ctx); err != nil {
					return out, err
				}
				out.Observations = append(out.Observations, float64(time.Since(began))/float64(unit))
			}
			return out, nil
		}}, nil
	}}}
}

// held is a table of many leases that one worker has and has seen.
func held(ctx context.Context, t *table) ([]lease.Grant, error) {
	if err := t.create(ctx, many); err != nil {
		return nil, err
	}
	grants, err := t.acquire(ctx, t.beat.Session.ID, t.names...)
	if err != nil {
		return nil, err
	}
	return grants, t.renew(ctx)
}

func beatUnchanged(ctx context.Context, t *table) (func(context.Context) error, error) {
	_, err := held(ctx, t)
	return t.renew, err
}

func acquireMany(ctx context.Context, t *table) (func(context.Context) error, error) {
	_, err := held(ctx, t)
	return func(ctx context.Context) error {
		_, err := t.acquire(ctx, t.beat.Session.ID, t.names...)
		return err
	}, err
}

func saveSome(n int) func(context.Context, *table) (func(context.Context) error, error) {
	return func(ctx context.Context, t *table) (func(context.Context) error, error) {
		grants, err := held(ctx, t)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) error { return t.save(ctx, grants[:n], false) }, nil
	}
}

func viewMany(ctx context.Context, t *table) (func(context.Context) error, error) {
	_, err := held(ctx, t)
	return func(ctx context.Context) error {
		_, err := t.store.View(ctx, t.scope.Group)
		return err
	}, err
}

// createMany makes the first leases of a new group each time. Making the group
// is one beat more.
func createMany(n int) func(context.Context, *table) (func(context.Context) error, error) {
	return func(_ context.Context, t *table) (func(context.Context) error, error) {
		return func(ctx context.Context) error {
			if err := t.begin(ctx); err != nil {
				return err
			}
			return t.create(ctx, n)
		}, nil
	}
}

// passOn releases a lease; another worker hears of it and acquires it. The two
// change places each time.
func passOn(ctx context.Context, t *table) (func(context.Context) error, error) {
	grants, err := held(ctx, t)
	if err != nil {
		return nil, err
	}
	second, err := t.join(ctx)
	if err != nil {
		return nil, err
	}
	heard := make(chan struct{}, 1) // one announcement is as good as several
	// The watch ends with its connection, when the store is closed.
	go func() {
		_ = t.store.Watch(context.WithoutCancel(ctx), t.scope.Group, func() {
			select {
			case heard <- struct{}{}:
			default:
			}
		})
	}()
	select {
	case <-heard: // it is told once when the watch begins
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	there := []string{second.Session.ID, t.beat.Session.ID}
	grant := grants[:1]
	return func(ctx context.Context) error {
		select {
		case <-heard: // of the call before
		default:
		}
		if err := t.save(ctx, grant, true); err != nil {
			return err
		}
		select {
		case <-heard:
		case <-ctx.Done():
			return ctx.Err()
		}
		var err error
		grant, err = t.acquire(ctx, there[0], t.names[0])
		there[0], there[1] = there[1], there[0]
		return err
	}, nil
}

// beatCost is how long Redis works on a beat of one of many workers, in
// microseconds, when each of them has a lease at most.
func beatCost(workers, n int) []harness.Contestant {
	return []harness.Contestant{{Name: "shardrun", Setup: func(ctx context.Context, env *harness.Env) (harness.Bench, error) {
		t, err := newTable(ctx, env)
		if err != nil {
			return harness.Bench{}, err
		}
		if err := t.create(ctx, many); err != nil {
			return harness.Bench{}, err
		}
		for i := range workers {
			b, err := t.join(ctx)
			if err != nil {
				return harness.Bench{}, err
			}
			if _, err := t.acquire(ctx, b.Session.ID, t.names[i%many]); err != nil {
				return harness.Bench{}, err
			}
		}
		client := goredis.NewClient(&goredis.Options{Addr: t.addr})
		return harness.Bench{
			Close: func() error { return errors.Join(t.store.Close(), client.Close()) },
			Warm:  t.renew,
			Run: func(ctx context.Context) (harness.Sample, error) {
				before, err := Sent(ctx, client)
				if err != nil {
					return harness.Sample{}, err
				}
				for range n {
					if err := t.renew(ctx); err != nil {
						return harness.Sample{}, err
					}
				}
				after, err := Sent(ctx, client)
				took := float64(after.Took-before.Took) / float64(time.Microsecond)
				return harness.Sample{Value: took / float64(after.Scripts-before.Scripts)}, err
			},
		}, nil
	}}}
}

// memory is what Redis keeps for many leases, in units of 1,000 bytes.
func memory() []harness.Contestant {
	return []harness.Contestant{{Name: "shardrun", Setup: func(ctx context.Context, env *harness.Env) (harness.Bench, error) {
		t, err := newTable(ctx, env)
		if err != nil {
			return harness.Bench{}, err
		}
		if _, err := held(ctx, t); err != nil {
			return harness.Bench{}, err
		}
		client := goredis.NewClient(&goredis.Options{Addr: t.addr})
		return harness.Bench{Close: client.Close, Run: func(ctx context.Context) (harness.Sample, error) {
			keys, err := client.Keys(ctx, "*").Result()
			if err != nil {
				return harness.Sample{}, err
			}
			var bytes int64
			for _, key := range keys {
				n, err := client.MemoryUsage(ctx, key, 0).Result() // 0: all elements, not a sample
				if err != nil {
					return harness.Sample{}, err
				}
				bytes += n
			}
			return harness.Sample{Value: float64(bytes) / 1000}, nil
		}}, nil
	}}}
}
