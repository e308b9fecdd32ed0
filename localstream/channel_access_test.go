package localstream

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func TestAChannelNeedsAStreamThatIsActive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 0, Config{CreateDelay: time.Second, DeleteDelay: time.Second})
		h.onDemand("s")
		_, err := h.client.CreateChannel(t.Context(), toS3())
		h.wantError(err, typeInUse, "Stream s under account 000000000000 not ACTIVE, instead in state CREATING")
		time.Sleep(2 * time.Second)
		_, err = h.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("s")})
		h.must(err)
		_, err = h.client.CreateChannel(t.Context(), toS3())
		h.wantError(err, typeInUse, "Stream s under account 000000000000 not ACTIVE, instead in state DELETING")
	})
}

// Faults of a stream hit the requests about its channels.
func TestFaultsOfChannels(t *testing.T) {
	h := start(t, 0)
	h.onDemand("s")
	arn := h.channel(toS3()).ChannelARN
	for operation, request := range map[string]func() error{
		"CreateChannel": func() error { _, err := h.client.CreateChannel(t.Context(), toS3()); return err },
		"UpdateChannel": func() error {
			_, err := h.client.UpdateChannel(t.Context(), &kinesis.UpdateChannelInput{ChannelARN: arn})
			return err
		},
		"DescribeChannel": func() error {
			_, err := h.client.DescribeChannel(t.Context(), &kinesis.DescribeChannelInput{ChannelARN: arn})
			return err
		},
		"DeleteChannel": func() error {
			_, err := h.client.DeleteChannel(t.Context(), &kinesis.DeleteChannelInput{ChannelARN: arn})
			return err
		},
	} {
		h.server.Inject(Fault{Operation: operation, Stream: "s", Action: Fail, Type: typeAccessDenied})
		h.wantError(request(), typeAccessDenied, "")
	}
	h.server.Inject(Fault{Operation: "ListChannels", Action: Fail, Type: typeAccessDenied})
	_, err := h.client.ListChannels(t.Context(), &kinesis.ListChannelsInput{})
	h.wantError(err, typeAccessDenied, "")
}

// A channel needs its key when it is made, and a stream whose key others may
// use.
func TestKeysOfChannels(t *testing.T) {
	h := start(t, 0, Config{KMSKeys: map[string]KMSKey{"alias/off": KMSDisabled, "alias/mine": KMSEnabled}})
	h.onDemand("s")
	with := func(key string) *kinesis.CreateChannelInput {
		return toS3(func(in *kinesis.CreateChannelInput) {
			in.EncryptionConfiguration = &types.ChannelEncryptionConfiguration{EncryptionType: types.ChannelEncryptionTypeKms, KeyId: &key}
		})
	}
	_, err := h.client.CreateChannel(t.Context(), with("alias/off"))
	h.wantError(err, "KMSDisabledException", "")
	_, err = h.client.CreateChannel(t.Context(), with("alias/none"))
	h.wantError(err, "KMSNotFoundException", "")
	h.deleteChannel(h.channel(with("alias/mine")).ChannelARN)

	for _, tt := range []struct{ key, want string }{
		{"alias/aws/kinesis", "Stream s under account 000000000000 is encrypted with the key alias/aws/kinesis of Amazon Kinesis Data Streams, which channels cannot read with."},
		{"alias/mine", ""},
	} {
		_, err = h.client.StartStreamEncryption(t.Context(), &kinesis.StartStreamEncryptionInput{StreamName: aws.String("s"), EncryptionType: types.EncryptionTypeKms, KeyId: &tt.key})
		h.must(err)
		_, err = h.client.CreateChannel(t.Context(), toS3())
		if tt.want != "" {
			h.wantError(err, typeInvalidArgument, tt.want)
		} else {
			h.must(err)
		}
	}
}

// Who may use a stream in some ways may use its channels in those ways, and no
// others.
func TestPermissionsForChannels(t *testing.T) {
	s := NewT(t, Config{Auth: AuthSigV4, Keys: []Key{
		{ID: "ADMIN", Secret: accessSecret},
		{ID: "ORDERS", Secret: accessSecret, Allow: []Permission{{Actions: []string{"CreateChannel", "Describe*", "ListTags*"}, Streams: []string{"orders"}}}},
	}})
	h := &harness{T: t, server: s, client: keyed(t, s, "ADMIN")}
	orders := keyed(t, s, "ORDERS")
	from := func(stream string) *kinesis.CreateChannelInput {
		h.onDemand(stream)
		return toS3(func(in *kinesis.CreateChannelInput) {
			in.ChannelName, in.StreamConfigurationList[0].StreamARN = &stream, streamARN(stream)
		})
	}
	theirs := h.channel(from("payments")).ChannelARN
	ours, err := orders.CreateChannel(t.Context(), from("orders"))
	h.must(err)
	_, err = orders.CreateChannel(t.Context(), from("refunds"))
	h.wantError(err, typeAccessDenied, "")
	arn := ours.ChannelDescription.ChannelARN
	_, err = orders.DescribeChannel(t.Context(), &kinesis.DescribeChannelInput{ChannelARN: arn})
	h.must(err)
	_, err = orders.ListTagsForResource(t.Context(), &kinesis.ListTagsForResourceInput{ResourceARN: arn})
	h.must(err)
	_, err = orders.DescribeChannel(t.Context(), &kinesis.DescribeChannelInput{ChannelARN: theirs})
	h.wantError(err, typeAccessDenied, "")
	_, err = orders.DeleteChannel(t.Context(), &kinesis.DeleteChannelInput{ChannelARN: arn})
	h.wantError(err, typeAccessDenied, "")
	_, err = orders.ListChannels(t.Context(), &kinesis.ListChannelsInput{})
	h.wantError(err, typeAccessDenied, "")
}

func TestLimitsOfChannels(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t, 0, Config{Limits: LimitsAWS})
		h.onDemand("s")
		h.channel(toS3())
		h.channel(toTables())
		out, err := h.client.DescribeLimits(t.Context(), &kinesis.DescribeLimitsInput{})
		h.must(err)
		equal(t, "channels", fmt.Sprint(*out.ChannelCount, " of ", *out.ChannelCountLimit), "2 of 100")
		for i := range 6 {
			_, err = h.client.ListChannels(t.Context(), &kinesis.ListChannelsInput{})
			if i < 5 {
				h.must(err)
			}
		}
		h.wantError(err, typeLimitExceeded, "")
	})
}
