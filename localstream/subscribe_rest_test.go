package localstream

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/vfs"
)

// A subscription that rests, because of the rates of AWS, sleeps until its rest
// is over, also when its shard is found to be damaged meanwhile. One that spins
// would stop the time of the bubble.
func TestARestIsSlept(t *testing.T) {
	spinning := time.AfterFunc(30*time.Second, func() { panic("the subscription does not sleep") }) // on the real clock
	defer spinning.Stop()
	bubble(t, func(t *testing.T) {
		disk := vfs.NewCrash()
		h := open(t, Config{fs: disk, Limits: LimitsAWS})
		h.create("s", 1)
		arn := h.register("c")
		for range 3 {
			h.put("k", "lost "+strings.Repeat("x", 1<<20-10))
			time.Sleep(2 * time.Second)
		}
		f := h.subscribe(arn, "0", fromHorizon)
		for range 3 {
			f.want1()
		}
		began := time.Now()
		dirs, err := disk.List(streamsDir)
		h.must(err)
		log := streamsDir + "/" + dirs[0].Name
		files, err := disk.List(log)
		h.must(err)
		h.must(disk.Damage(log+"/"+files[0].Name, func(data []byte) []byte {
			data[bytes.Index(data, []byte("lost"))]++
			return data
		}))
		_, err = h.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String(h.iterator("0", types.ShardIteratorTypeTrimHorizon))})
		h.wantError(err, typeInternal, "")
		f.wantEnd("InternalFailureException", "")
		if took := time.Since(began); took < 400*time.Millisecond || took > time.Second {
			t.Errorf("the subscription rested for %v", took)
		}
		_ = h.server.Close()
	})
}
