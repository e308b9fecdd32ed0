package failover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/google/uuid"

	"github.com/shardrun/shardrun/bench/child"
	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/bench/peers"
	"github.com/shardrun/shardrun/bench/worker"
)

// patience is how long anything may take that is waited for, beside lease times.
const patience = 30 * time.Second

// servers are what the workers of a row share.
type servers struct {
	env      *harness.Env
	client   *kinesis.Client
	endpoint string
	redis    string
	dynamodb string
}

// startServers starts our server and Redis.
func startServers(ctx context.Context, env *harness.Env) (*servers, error) {
	_, endpoint, err := peers.Shardrun(ctx, env, "async", "")
	if err != nil {
		return nil, err
	}
	_, redis, err := peers.Redis(ctx, env, "everysec")
	if err != nil {
		return nil, err
	}
	return &servers{env: env, client: peers.Client(endpoint), endpoint: endpoint, redis: redis}, nil
}

// starter starts a worker and sees to it that the journal hears of it.
type starter func(ctx context.Context, s *servers, cfg worker.Config, j *journal) (*member, error)

// scene is a stream with its load, and the workers of one group.
type scene struct {
	*servers
	*journal

	start starter
	ttl   time.Duration
	load  *load
	// template is what all workers get.
	template worker.Config
	members  []*member
}

// play makes a stream of so many shards, loads it, and lets act do with workers
// what it likes; then it drains them, and looks for every record.
func (s *servers) play(ctx context.Context, start starter, shards int, ttl time.Duration, act func(*scene) (harness.Sample, error)) (harness.Sample, error) {
	name := uuid.NewString()
	if err := peers.CreateStream(ctx, s.client, name, shards); err != nil {
		return harness.Sample{}, err
	}
	sc := &scene{servers: s, journal: newJournal(), start: start, ttl: ttl, load: startLoad(s.client, name), template: worker.Config{
		Group: name, Stream: name, Endpoint: s.endpoint, Redis: s.redis, DynamoDB: s.dynamodb, TTL: ttl,
	}}
	defer sc.load.stop() // it may be called twice
	sample, err := act(sc)
	if err == nil {
		err = sc.findAll(ctx)
	}
	if sample.Extra == nil {
		sample.Extra = map[string]float64{}
	}
	sample.Extra["duplicates"] = float64(sc.repeated())
	return sample, errors.Join(err, sc.strike())
}

// findAll ends the load, and waits until each record that was acknowledged has
// been handled.
func (s *scene) findAll(ctx context.Context) error {
	s.load.stop()
	records := s.load.numbers()
	_, err := s.await(ctx, s.mark(), patience+2*s.ttl, "all records handled", func([]worker.Event) bool { return s.missing(records) == 0 })
	if err != nil {
		return fmt.Errorf("%d of %d records are lost: %w", s.missing(records), len(records), err)
	}
	return nil
}

// strike drains all workers that are left.
func (s *scene) strike() error {
	var errs []error
	for _, m := range s.members {
		if !m.gone {
			errs = append(errs, m.end())
		}
	}
	return errors.Join(errs...)
}

// enter starts a worker, and waits until it has joined.
func (s *scene) enter(ctx context.Context, change ...func(*worker.Config)) (*member, error) {
	cfg := s.template
	cfg.Name = fmt.Sprintf("worker-%d", len(s.members)+1)
	for _, c := range change {
		c(&cfg)
	}
	mark := s.mark()
	m, err := s.start(ctx, s.servers, cfg, s.journal)
	if err != nil {
		return nil, err
	}
	m.name = cfg.Name
	s.members = append(s.members, m)
	_, err = s.await(ctx, mark, patience, cfg.Name+" joins", told(cfg.Name, worker.Ready))
	return m, err
}

// member is a worker.
type member struct {
	name   string
	signal func(os.Signal) error
	wait   func(context.Context) error
	gone   bool // it was killed or ended
}

// end drains the worker and waits for it.
func (m *member) end() error {
	m.gone = true
	if err := m.signal(syscall.SIGTERM); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	return m.wait(ctx)
}

// kill kills the worker, and waits for its end.
func (m *member) kill(ctx context.Context) error {
	m.gone = true
	if err := m.signal(syscall.SIGKILL); err != nil {
		return err
	}
	if err := m.wait(ctx); ctx.Err() != nil {
		return err // else it is how killed processes end
	}
	return nil
}

// process starts a worker of ours in a process of its own.
func process(ctx context.Context, s *servers, cfg worker.Config, j *journal) (*member, error) {
	p, _, err := child.Start[struct{}](ctx, s.env, worker.Role, cfg, hear(j))
	if err != nil {
		return nil, err
	}
	return &member{signal: p.Signal, wait: p.Wait}, nil
}

// hear reads the events of a process.
func hear(j *journal) func(line []byte) {
	return func(line []byte) {
		var e worker.Event
		if json.Unmarshal(line, &e) == nil { // the last line of a killed process may be half of one
			j.add(e)
		}
	}
}

// within starts a worker of ours in this process. It can only be drained.
func within(_ context.Context, s *servers, cfg worker.Config, j *journal) (*member, error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	var failure error // set before ended is closed
	go func() {       // member.wait waits for it
		defer close(ended)
		failure = worker.Run(ctx, cfg, s.client, j.add)
	}()
	return &member{
		signal: func(os.Signal) error { cancel(); return nil },
		wait: func(ctx context.Context) error {
			select {
			case <-ended:
				return failure
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}, nil
}
