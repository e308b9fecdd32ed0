package localstream

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// shardMetrics are the metrics of a shard, all of them but the word for that.
func shardMetrics() []types.MetricsName {
	return slices.DeleteFunc(types.MetricsName("").Values(), func(m types.MetricsName) bool { return m == types.MetricsNameAll })
}

// metrics checks a list of metrics.
func (c *checker) metrics(list []types.MetricsName) {
	const path = "shardLevelMetrics"
	known := types.MetricsName("").Values()
	switch n := len(list); {
	case list == nil:
		c.null(path)
	case n == 0:
		c.fail(path, "'[]'", "have length greater than or equal to 1")
	case n > len(shardMetrics()):
		c.fail(path, quotedList(list), "have length less than or equal to 7")
	}
	if slices.ContainsFunc(list, func(m types.MetricsName) bool { return !slices.Contains(known, m) }) {
		set := make([]string, len(known))
		for i, m := range known {
			set[i] = string(m)
		}
		c.fail(path, quotedList(list), "satisfy constraint: [Member must satisfy enum value set: ["+strings.Join(set, ", ")+"]]")
	}
}

func (c *checker) enableEnhancedMonitoring(in *kinesis.EnableEnhancedMonitoringInput) {
	c.metrics(in.ShardLevelMetrics)
	c.stream(in.StreamName, in.StreamARN, in.StreamId)
}

func (c *call) enableEnhancedMonitoring(ctx context.Context, in *kinesis.EnableEnhancedMonitoringInput) (*kinesis.EnableEnhancedMonitoringOutput, error) {
	out := &kinesis.EnableEnhancedMonitoringOutput{}
	err := c.monitor(ctx, in.StreamName, in.StreamARN, func(v *view) []string {
		after := withMetrics(v.Metrics, in.ShardLevelMetrics)
		out.StreamName, out.StreamARN = aws.String(v.Name), aws.String(v.ARN())
		out.CurrentShardLevelMetrics, out.DesiredShardLevelMetrics = metricNames(v.Metrics), metricNames(after)
		return after
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *checker) disableEnhancedMonitoring(in *kinesis.DisableEnhancedMonitoringInput) {
	c.metrics(in.ShardLevelMetrics)
	c.stream(in.StreamName, in.StreamARN, in.StreamId)
}

func (c *call) disableEnhancedMonitoring(ctx context.Context, in *kinesis.DisableEnhancedMonitoringInput) (*kinesis.DisableEnhancedMonitoringOutput, error) {
	out := &kinesis.DisableEnhancedMonitoringOutput{}
	err := c.monitor(ctx, in.StreamName, in.StreamARN, func(v *view) []string {
		after := withoutMetrics(v.Metrics, in.ShardLevelMetrics)
		out.StreamName, out.StreamARN = aws.String(v.Name), aws.String(v.ARN())
		out.CurrentShardLevelMetrics, out.DesiredShardLevelMetrics = metricNames(v.Metrics), metricNames(after)
		return after
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// monitor changes which metrics of its shards an ACTIVE stream gives.
func (c *call) monitor(ctx context.Context, name, arn *string, change func(*view) []string) error {
	st, _, err := c.find(ctx, name, arn)
	if err != nil {
		return err
	}
	return c.server.change(ctx, func(m *metadata) error {
		v, err := m.newest(st)
		switch {
		case err != nil:
			return err
		case v.Status != state.Active:
			return notActive(v)
		}
		after := change(v)
		if slices.Equal(after, v.Metrics) {
			return nil
		}
		return m.saveSettings(st, &state.Settings{Metrics: after}, false)
	})
}

// withMetrics gives metrics and those that are added to them, in the order of
// the API. The result is never nil.
func withMetrics(metrics []string, added []types.MetricsName) []string {
	out := []string{}
	for _, m := range shardMetrics() {
		if slices.Contains(metrics, string(m)) || slices.Contains(added, m) || slices.Contains(added, types.MetricsNameAll) {
			out = append(out, string(m))
		}
	}
	return out
}

// withoutMetrics gives metrics without some of them, never nil.
func withoutMetrics(metrics []string, removed []types.MetricsName) []string {
	out := []string{}
	for _, m := range metrics {
		if !slices.Contains(removed, types.MetricsName(m)) && !slices.Contains(removed, types.MetricsNameAll) {
			out = append(out, m)
		}
	}
	return out
}

// metricNames gives metrics in the form of the API.
func metricNames(metrics []string) []types.MetricsName {
	out := make([]types.MetricsName, len(metrics))
	for i, m := range metrics {
		out[i] = types.MetricsName(m)
	}
	return out
}
