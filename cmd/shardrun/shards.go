package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/shardrun/shardrun/internal/hashkey"
	"github.com/spf13/cobra"
)

// shardInfo is a shard as the commands print it, with the API's field names.
type shardInfo struct {
	ShardId               string //nolint:revive,staticcheck // the API's name
	ParentShardId         string `json:",omitempty"` //nolint:revive,staticcheck // the API's name
	AdjacentParentShardId string `json:",omitempty"` //nolint:revive,staticcheck // the API's name
	HashKeyRange          struct{ StartingHashKey, EndingHashKey string }
	SequenceNumberRange   struct {
		StartingSequenceNumber string
		EndingSequenceNumber   string `json:",omitempty"`
	}
}

func newShardInfo(s types.Shard) shardInfo {
	info := shardInfo{
		ShardId:               aws.ToString(s.ShardId),
		ParentShardId:         aws.ToString(s.ParentShardId),
		AdjacentParentShardId: aws.ToString(s.AdjacentParentShardId),
	}
	if r := s.HashKeyRange; r != nil {
		info.HashKeyRange.StartingHashKey, info.HashKeyRange.EndingHashKey = aws.ToString(r.StartingHashKey), aws.ToString(r.EndingHashKey)
	}
	if r := s.SequenceNumberRange; r != nil {
		info.SequenceNumberRange.StartingSequenceNumber = aws.ToString(r.StartingSequenceNumber)
		info.SequenceNumberRange.EndingSequenceNumber = aws.ToString(r.EndingSequenceNumber)
	}
	return info
}

func (i shardInfo) open() bool { return i.SequenceNumberRange.EndingSequenceNumber == "" }

// share is the part of the hash keys that the shard has, in percent.
func (i shardInfo) share() (float64, error) {
	r, err := hashkey.ParseRange(i.HashKeyRange.StartingHashKey, i.HashKeyRange.EndingHashKey)
	if err != nil {
		return 0, fmt.Errorf("shard %s: %w", i.ShardId, err)
	}
	const all = 1 << 64
	return 100 * (float64(r.End.Hi) - float64(r.Start.Hi) + 1) / all, nil
}

func (a *app) shardsCommand() *cobra.Command {
	return a.clientFlags(&cobra.Command{
		Use:   "shards STREAM",
		Short: "List the shards of a stream, with their parents and hash keys",
		Example: `  shardrun shards orders
  shardrun shards orders --json | jq -r 'select(.SequenceNumberRange.EndingSequenceNumber == null) | .ShardId'`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.listShards(c.Context(), args[0]) },
	})
}

func (a *app) listShards(ctx context.Context, stream string) error {
	client, err := a.client(ctx)
	if err != nil {
		return err
	}
	shards, err := allShards(ctx, client, stream)
	if err != nil {
		return err
	}
	if a.json {
		for _, s := range shards {
			if err := printJSON(a.out, s); err != nil {
				return err
			}
		}
		return nil
	}
	t := newTable(a.out, "SHARD", "STATE", "PARENTS", "SHARE OF KEYS", "FIRST HASH KEY")
	for _, s := range shards {
		state := "open"
		if !s.open() {
			state = "closed"
		}
		share, err := s.share()
		if err != nil {
			return err
		}
		parents := strings.Join(compact(s.ParentShardId, s.AdjacentParentShardId), ", ")
		t.row(s.ShardId, state, cmp.Or(parents, "-"), fmt.Sprintf("%.4g %%", share), s.HashKeyRange.StartingHashKey)
	}
	return t.flush()
}

// compact is the texts that are not empty.
func compact(texts ...string) []string {
	var out []string
	for _, s := range texts {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// allShards lists every shard of a stream that still has records, or is open.
func allShards(ctx context.Context, client *kinesis.Client, stream string) ([]shardInfo, error) {
	var shards []shardInfo
	in := &kinesis.ListShardsInput{StreamName: aws.String(stream)}
	for {
		page, err := client.ListShards(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("list shards of %s: %w", stream, err)
		}
		for _, s := range page.Shards {
			shards = append(shards, newShardInfo(s))
		}
		if page.NextToken == nil {
			return shards, nil
		}
		in = &kinesis.ListShardsInput{NextToken: page.NextToken}
	}
}
