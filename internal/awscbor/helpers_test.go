package awscbor

import (
	"context"
	"io"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/schemas"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"

	"github.com/shardrun/shardrun/internal/cborshape"
)

// newTestClient makes a client of the SDK, as it comes, with an HTTP client of
// the test.
func newTestClient(http kinesis.HTTPClient, options ...func(*kinesis.Options)) *kinesis.Client {
	return kinesis.New(kinesis.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://localhost"),
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
		HTTPClient:  http,
	}, options...)
}

// cborOf is a shape in CBOR, by its schema.
func cborOf(v smithy.Serializable) []byte {
	e := cborshape.NewWriter(nil, true)
	v.Serialize(e)
	return e.Bytes()
}

// jsonOf is a shape in the JSON of the SDK.
func jsonOf(tb testing.TB, v smithy.Serializable) []byte {
	tb.Helper()
	req := smithyhttp.NewStackRequest().(*smithyhttp.Request)
	operation := smithy.NewOperationSchema(schemas.GetRecords, schemas.GetRecordsInput, schemas.GetRecordsOutput)
	if err := awsjson.New11(schemas.Kinesis_20131202).SerializeRequest(context.Background(), operation, v, req); err != nil {
		tb.Fatal(err)
	}
	body, err := io.ReadAll(req.GetStream())
	if err != nil {
		tb.Fatal(err)
	}
	return body
}
