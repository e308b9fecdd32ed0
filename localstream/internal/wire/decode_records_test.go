package wire

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// What was decoded is forgotten as a whole, even if a later list of the same
// name was shorter.
func TestForgetLeavesNothingBehind(t *testing.T) {
	b := &Buffers{Body: []byte(`{"Records":[{"PartitionKey":"a","Data":"QUFB"},{"PartitionKey":"b","Data":"QkJC"}],"Records":[{"PartitionKey":"c"}]}`)}
	var in kinesis.PutRecordsInput
	if err := new(Decoder).Decode(AsJSON, b, &in); err != nil {
		t.Fatal(err)
	}
	if len(in.Records) != 1 || *in.Records[0].PartitionKey != "c" || in.Records[0].Data != nil {
		t.Errorf("the last list is %v", in.Records)
	}
	b.Forget()
	for i, e := range b.entries[:cap(b.entries)] {
		if e.PartitionKey != nil || e.Data != nil {
			t.Errorf("entry %d is still there", i)
		}
	}
}
