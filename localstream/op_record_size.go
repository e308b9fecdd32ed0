package localstream

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// The bounds of the greatest record of a stream, in KiB.
const (
	leastMaxRecordKiB    = 1024
	greatestMaxRecordKiB = 10240
)

func (c *checker) updateMaxRecordSize(in *kinesis.UpdateMaxRecordSizeInput) {
	c.streamARN(in.StreamARN, in.StreamId)
	c.number("maxRecordSizeInKiB", in.MaxRecordSizeInKiB, true, leastMaxRecordKiB, greatestMaxRecordKiB)
}

// updateMaxRecordSize changes how large records may be that are put from now
// on. Larger ones that are there stay.
func (c *call) updateMaxRecordSize(ctx context.Context, in *kinesis.UpdateMaxRecordSizeInput) error {
	return c.settle(ctx, nil, in.StreamARN, func(_ *metadata, _ *stream, v *view) (todo update, err error) {
		switch {
		case v.Status != state.Active:
			return todo, notActive(v)
		case *in.MaxRecordSizeInKiB == v.MaxRecordKiB:
			return todo, nil
		}
		return update{settings: &state.Settings{MaxRecordKiB: in.MaxRecordSizeInKiB}}, nil
	})
}
