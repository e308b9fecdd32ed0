package consumer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"

	"github.com/shardrun/shardrun/internal/awserr"
	"github.com/shardrun/shardrun/internal/backoff"
	"github.com/shardrun/shardrun/internal/streamid"
)

// stream is a data stream as it was found.
type stream struct {
	name, arn string
	// id is account:region:stream:creationEpochMs. Streams of one name in two
	// accounts or regions, or made anew, have different ones.
	id      string
	created time.Time
	status  types.StreamStatus
	// retention is how long it keeps records, 0 when that was not said.
	retention time.Duration
	// now is the time by the service's clock when it answered, or up to a
	// second before.
	now time.Time
}

// describe asks what the stream of the configuration is now.
func (c *Consumer) describe(ctx context.Context) (stream, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	in := &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(c.cfg.Stream)}
	if strings.HasPrefix(c.cfg.Stream, "arn:") {
		in = &kinesis.DescribeStreamSummaryInput{StreamARN: aws.String(c.cfg.Stream)}
	}
	out, err := c.cfg.Client.DescribeStreamSummary(ctx, in)
	if awserr.Classify(err) == awserr.Gone && err != nil {
		return stream{}, fmt.Errorf("describe stream %s: %w: %w", c.place(), ErrStreamNotFound, err)
	}
	if err != nil {
		return stream{}, fmt.Errorf("describe stream %s: %w", c.place(), awserr.Named(err))
	}
	if out.StreamDescriptionSummary == nil {
		return stream{}, fmt.Errorf("describe stream %s: the answer is empty", c.place())
	}
	st, err := readSummary(out.StreamDescriptionSummary)
	if err != nil {
		return stream{}, fmt.Errorf("describe stream %s: %w", c.place(), err)
	}
	server, ok := awsmiddleware.GetServerTime(out.ResultMetadata)
	st.now = serviceTime(time.Now(), server, ok)
	return st, nil
}

// readSummary takes from a description what names the stream for good.
func readSummary(d *types.StreamDescriptionSummary) (stream, error) {
	st := stream{
		name: aws.ToString(d.StreamName), arn: aws.ToString(d.StreamARN),
		created: aws.ToTime(d.StreamCreationTimestamp), status: d.StreamStatus,
		retention: time.Duration(aws.ToInt32(d.RetentionPeriodHours)) * time.Hour,
	}
	var err error
	if st.id, err = streamid.Of(st.arn, st.name, st.created); err != nil {
		return stream{}, err
	}
	return st, nil
}

// follows reports whether id is of a stream of the same name that was there before.
func (st stream) follows(id string) bool {
	created := strconv.FormatInt(st.created.UnixMilli(), 10)
	before, ok := strings.CutPrefix(id, strings.TrimSuffix(st.id, created))
	ms, err := strconv.ParseInt(before, 10, 64)
	return ok && err == nil && ms < st.created.UnixMilli()
}

// serviceTime is what the service's clock shows at least when its answer is
// dated server, which is cut to the second; ours, local, counts when the answer
// bears no date. Within that second ours may be ahead, and what arrives before
// it shows the same would be skipped.
func serviceTime(local, server time.Time, known bool) time.Time {
	if known {
		return server
	}
	return local
}

// place names the stream and where it was looked for, for errors.
func (c *Consumer) place() string {
	if a, err := arn.Parse(c.cfg.Stream); err == nil {
		return fmt.Sprintf("%q in %s", strings.TrimPrefix(a.Resource, "stream/"), a.Region)
	}
	if o, ok := c.cfg.Client.(interface{ Options() kinesis.Options }); ok {
		if region := o.Options().Region; region != "" {
			return fmt.Sprintf("%q in %s", c.cfg.Stream, region)
		}
	}
	return fmt.Sprintf("%q", c.cfg.Stream)
}

// find waits until the stream can be read. A stream that does not exist is an
// error at once; one that is being created or out of reach, or for which there
// are no credentials, after StartTimeout.
func (c *Consumer) find(ctx context.Context) (stream, error) { return c.wait(ctx, false) }

// findAgain waits for a stream to be made in place of one that is gone, for
// StartTimeout; then it returns how that one ended.
func (c *Consumer) findAgain(ctx context.Context, ended error) (stream, error) {
	st, err := c.wait(ctx, true)
	if err != nil {
		return stream{}, errors.Join(ended, err)
	}
	c.log.Warn("there is a stream of the same name, which is read as a new one", zap.String("id", st.id))
	return st, nil
}

// wait is find, which may go on when the stream does not exist.
func (c *Consumer) wait(ctx context.Context, missing bool) (stream, error) {
	deadline := time.Now().Add(c.cfg.StartTimeout)
	for attempt := 1; ; attempt++ {
		st, err := c.describe(ctx)
		switch {
		case ctx.Err() != nil:
			return stream{}, context.Cause(ctx)
		case err == nil && st.status == types.StreamStatusDeleting:
			err = fmt.Errorf("describe stream %s: %w: it is being deleted", c.place(), ErrStreamNotFound)
		case err == nil && st.status != types.StreamStatusCreating:
			return st, nil
		case err == nil:
			err = fmt.Errorf("describe stream %s: it is still being created", c.place())
		}
		gone := errors.Is(err, ErrStreamNotFound)
		if gone && !missing || !gone && awserr.Classify(err) == awserr.Fatal {
			return stream{}, err
		}
		pause := retryKinesis.Next(attempt, nil)
		if time.Now().Add(pause).After(deadline) {
			return stream{}, fmt.Errorf("gave up after %v: %w", c.cfg.StartTimeout, err)
		}
		message := "stream not ready, will try again"
		if awserr.Missing(err) != "" {
			message = "no AWS credentials yet, will try again" // a container's role may take a moment
		}
		c.log.Warn(message, zap.Duration("pause", pause), zap.Error(err))
		if err := backoff.Sleep(ctx, pause); err != nil {
			return stream{}, err
		}
	}
}

// confirmGone looks whether the stream itself is gone after Kinesis did not
// know a shard of it, and says how. It asks twice: one answer may come from a
// part of the service that is behind. It returns nil when the stream is there,
// and when that cannot be found out.
func (c *Consumer) confirmGone(ctx context.Context, was stream) error {
	if c.howGone(ctx, was) == "" || backoff.Sleep(ctx, time.Second) != nil {
		return nil
	}
	how := c.howGone(ctx, was)
	if how == "" {
		return nil
	}
	return fmt.Errorf("stream %s was %s while it was read: %w", c.place(), how, ErrStreamNotFound)
}

// howGone is what became of the stream, empty while it is there or not known
// to be gone.
func (c *Consumer) howGone(ctx context.Context, was stream) string {
	now, err := c.describe(ctx)
	switch {
	case errors.Is(err, ErrStreamNotFound):
		return "deleted"
	case err != nil:
		return ""
	case now.id != was.id:
		return "deleted and made anew"
	case now.status == types.StreamStatusDeleting:
		return "deleted"
	}
	return ""
}
