package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// explain puts what helps before an error that a person meets often.
func explain(err error) error {
	if redis, ok := errors.AsType[*redisError](err); ok {
		return redis
	}
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	}
	if gone, ok := errors.AsType[*types.ResourceNotFoundException](err); ok {
		return fmt.Errorf("%s (shardrun streams lists what there is at this endpoint, in this region and account)", gone.ErrorMessage())
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("nothing answers at that address: is the server running (shardrun serve), and is the endpoint right? %w", err)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Errorf("no such host %q: is the endpoint or the region right? %w", dns.Name, err)
	}
	return err
}
