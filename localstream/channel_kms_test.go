package localstream

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/shardrun/shardrun/internal/vfs"
)

// Records whose key does not work wait until it does, and so does everything
// while the key of the channel itself does not work. The log says so once, and
// nothing is delivered twice.
func TestDeliveryWaitsForKMSKeys(t *testing.T) {
	const low, high = "0", "340282366920938463463374607431768211455" // shards
	for name, tt := range map[string]struct {
		off  string // the key that does not work
		want string // is delivered all the same
	}{
		"an old key of the stream": {"alias/first", "[high]"},
		"the key of the stream":    {"alias/second", "[low]"},
		"the key of the channel":   {"alias/channel", "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				core, logs := observer.New(zap.InfoLevel)
				disk := vfs.NewMemory()
				h := open(t, Config{fs: disk, Logger: zap.New(core)})
				h.onDemand("s")
				own := "alias/channel"
				h.channel(toS3(func(in *kinesis.CreateChannelInput) {
					in.EncryptionConfiguration = &types.ChannelEncryptionConfiguration{EncryptionType: types.ChannelEncryptionTypeKms, KeyId: &own}
				}))
				h.must(h.encrypt("alias/first"))
				h.putAt(low, "low")
				h.must(h.encrypt("alias/second"))
				h.putAt(high, "high")
				h.must(h.server.SetKMSKey(tt.off, KMSDisabled))
				time.Sleep(time.Hour)
				equal(t, "delivered", lines(t, disk), tt.want)
				equal(t, "warnings", logs.FilterMessage("channel waits for a KMS key").Len(), 1)
				equal(t, "other warnings", logs.FilterLevelExact(zap.WarnLevel).Len(), 1)

				h.must(h.server.SetKMSKey(tt.off, KMSEnabled))
				time.Sleep(deliverAgain + time.Second)
				equal(t, "delivered with the key", lines(t, disk), "[high low]")
				equal(t, "said", logs.FilterMessage("channel delivers again").Len(), 1)
				h.must(h.server.Close())
			})
		})
	}
}
