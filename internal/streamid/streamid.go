// Package streamid names streams for good.
package streamid

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// Of is account:region:stream:creationEpochMs of a stream. Streams of one name in two
// accounts or regions, or made anew, have different ones.
func Of(streamARN, name string, created time.Time) (string, error) {
	a, err := arn.Parse(streamARN)
	if err != nil {
		return "", fmt.Errorf("stream ARN %q: %w", streamARN, err)
	}
	return strings.Join([]string{a.AccountID, a.Region, name, strconv.FormatInt(created.UnixMilli(), 10)}, ":"), nil
}

// Cut parts an id into the stream's name, what names it with all that were made under
// that name (account:region:stream), and when it was made. ok is false for what is no
// id.
func Cut(id string) (name, place string, created time.Time, ok bool) {
	parts := strings.Split(id, ":")
	if len(parts) != 4 {
		return "", "", time.Time{}, false
	}
	ms, err := strconv.ParseInt(parts[3], 10, 64)
	if err != nil {
		return "", "", time.Time{}, false
	}
	return parts[2], strings.Join(parts[:3], ":"), time.UnixMilli(ms).UTC(), true
}
