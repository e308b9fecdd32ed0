package localstream

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func (c *checker) describeStreamConsumer(in *kinesis.DescribeStreamConsumerInput) {
	c.consumer(consumerRef{in.StreamARN, in.ConsumerName, in.ConsumerARN}, in.StreamId)
}

func (c *call) describeStreamConsumer(ctx context.Context, in *kinesis.DescribeStreamConsumerInput) (*kinesis.DescribeStreamConsumerOutput, error) {
	_, v, consumer, err := c.findConsumer(ctx, consumerRef{in.StreamARN, in.ConsumerName, in.ConsumerARN}, streamConsumerDescribes)
	if err != nil {
		return nil, err
	}
	d := v.describeConsumer(consumer)
	return &kinesis.DescribeStreamConsumerOutput{ConsumerDescription: &types.ConsumerDescription{
		ConsumerARN: d.ConsumerARN, ConsumerCreationTimestamp: d.ConsumerCreationTimestamp,
		ConsumerName: d.ConsumerName, ConsumerStatus: d.ConsumerStatus,
		StreamARN: aws.String(v.ARN()),
	}}, nil
}
