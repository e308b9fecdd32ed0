package failover

import (
	"context"

	"github.com/shardrun/shardrun/bench/child"
	"github.com/shardrun/shardrun/bench/harness"
	"github.com/shardrun/shardrun/bench/peers"
	"github.com/shardrun/shardrun/bench/worker"
)

// vmware is vmware-go-kcl-v2, tuned, with its leases in DynamoDB (dynalite).
func vmware(run act) harness.Contestant {
	return harness.Contestant{
		Name: "vmware",
		Setup: func(ctx context.Context, env *harness.Env) (harness.Bench, error) {
			s, err := startServers(ctx, env)
			if err != nil {
				return harness.Bench{}, err
			}
			if _, s.dynamodb, err = peers.Dynalite(ctx, env); err != nil {
				return harness.Bench{}, err
			}
			return harness.Bench{Run: func(ctx context.Context) (harness.Sample, error) { return run(ctx, s) }}, nil
		},
	}
}

// elsewhere are figures of others that are not measured here.
func elsewhere(harlow, kcl float64) []harness.Contestant {
	return []harness.Contestant{
		{Name: "harlow", Published: harlow, Source: "with a group of one's own, measured elsewhere: v0.3.5 has no leases"},
		{Name: "KCL", Published: kcl, Source: "3.x, lease time 10 s, the worst case measured elsewhere"},
	}
}

// vmwareProcess starts a worker of vmware-go-kcl-v2.
func vmwareProcess(ctx context.Context, s *servers, cfg worker.Config, j *journal) (*member, error) {
	p, _, err := child.StartProgram[struct{}](ctx, s.env, "github.com/shardrun/shardrun/bench/failover/vmware", cfg, hear(j))
	if err != nil {
		return nil, err
	}
	return &member{signal: p.Signal, wait: p.Wait}, nil
}
