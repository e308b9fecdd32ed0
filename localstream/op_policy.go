package localstream

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// noPolicy is the policy of a resource that has none.
const noPolicy = "{}"

func (c *checker) putResourcePolicy(in *kinesis.PutResourcePolicyInput) {
	c.resource(in.ResourceARN, in.StreamId)
	if in.Policy == nil {
		c.null("policy")
	}
}

func (c *call) putResourcePolicy(ctx context.Context, in *kinesis.PutResourcePolicyInput) error {
	r, _, err := c.resource(ctx, *in.ResourceARN)
	if err != nil {
		return err
	}
	if err := checkPolicy(*in.Policy, *in.ResourceARN); err != nil {
		return err
	}
	return c.attach(ctx, r, func(a *state.Attachments) error {
		a.Policy = *in.Policy
		return nil
	})
}

func (c *checker) getResourcePolicy(in *kinesis.GetResourcePolicyInput) {
	c.resource(in.ResourceARN, in.StreamId)
}

// getResourcePolicy gives an empty object for a policy that was never put, or
// was deleted, as was seen of AWS.
func (c *call) getResourcePolicy(ctx context.Context, in *kinesis.GetResourcePolicyInput) (*kinesis.GetResourcePolicyOutput, error) {
	_, attached, err := c.resource(ctx, *in.ResourceARN)
	if err != nil {
		return nil, err
	}
	policy := attached.Policy
	if policy == "" {
		policy = noPolicy
	}
	return &kinesis.GetResourcePolicyOutput{Policy: aws.String(policy)}, nil
}

func (c *checker) deleteResourcePolicy(in *kinesis.DeleteResourcePolicyInput) {
	c.resource(in.ResourceARN, in.StreamId)
}

// deleteResourcePolicy may be called again, and where there is no policy.
func (c *call) deleteResourcePolicy(ctx context.Context, in *kinesis.DeleteResourcePolicyInput) error {
	r, _, err := c.resource(ctx, *in.ResourceARN)
	if err != nil {
		return err
	}
	return c.attach(ctx, r, func(a *state.Attachments) error {
		a.Policy = ""
		return nil
	})
}
