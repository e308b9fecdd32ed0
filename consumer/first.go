package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/lease"
)

// FirstLeases lists the leases with which a group begins to read a stream, as its
// first worker would make them, for programs that make them before that starts, with
// [lease.Store.Create]: so it is known where the group begins, whenever its workers
// do. The stream is a name or an ARN, and id is what names it in leases. Latest is
// the time of the call, by the service's clock; a time that is more than a minute ahead
// of that is refused, as Kinesis would refuse it until then. It fails with
// ErrStreamNotFound, also for a stream that is being deleted.
func FirstLeases(ctx context.Context, client Kinesis, stream string, at StartAt) (id string, rows []lease.Row, err error) {
	c := &Consumer{cfg: Config{Client: client, Stream: stream}}
	st, err := c.describe(ctx)
	switch {
	case err != nil:
		return "", nil, err
	case st.status == types.StreamStatusDeleting:
		return "", nil, fmt.Errorf("describe stream %s: %w: it is being deleted", c.place(), ErrStreamNotFound)
	case st.status == types.StreamStatusCreating:
		return "", nil, fmt.Errorf("describe stream %s: it is still being created", c.place())
	case at.halt:
		return "", nil, errors.New("first leases: they cannot begin at HALT; TrimHorizon, Latest and AtTimestamp are accepted")
	case at.at.After(st.now.Add(aheadAtMost)):
		return "", nil, fmt.Errorf("first leases: %v is ahead of now, %s: times up to now are accepted", at, st.now.UTC().Format(time.RFC3339))
	}
	rows, err = c.discover(ctx, st, at.resolve(st.now), roots)
	return st.id, rows, err
}
