package localstream

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/state"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

func (c *checker) startStreamEncryption(in *kinesis.StartStreamEncryptionInput) {
	c.encryption(in.EncryptionType, in.KeyId)
	c.stream(in.StreamName, in.StreamARN, in.StreamId)
}

// encryption checks the members of twins: how to encrypt, and with which key.
func (c *checker) encryption(kind types.EncryptionType, keyID *string) {
	enum(c, "encryptionType", kind, true, types.EncryptionType("").Values())
	if keyID == nil {
		c.null("keyId")
	} else {
		c.text("keyId", *keyID, "", nil, 1, 2048)
	}
}

// startStreamEncryption makes a key that of the records to come. The stream may
// have another one, or the same.
func (c *call) startStreamEncryption(ctx context.Context, in *kinesis.StartStreamEncryptionInput) error {
	return c.settle(ctx, in.StreamName, in.StreamARN, func(_ *metadata, st *stream, v *view) (todo update, err error) {
		if err := checkEncryption(in.EncryptionType, *in.KeyId); err != nil {
			return todo, err
		}
		if v.Status != state.Active {
			return todo, notActive(v)
		}
		if err := c.server.kms.use(v.Key, *in.KeyId); err != nil {
			return todo, err
		}
		if err := checkKeyChanges(v); err != nil {
			return todo, err
		}
		if err := c.daily(&st.daily.encryptionStarts, encryptionsPerDay, v, "StartStreamEncryption"); err != nil {
			return todo, err
		}
		return update{settings: &state.Settings{KeyID: in.KeyId}}, nil
	})
}

func (c *checker) stopStreamEncryption(in *kinesis.StopStreamEncryptionInput) {
	c.encryption(in.EncryptionType, in.KeyId)
	c.stream(in.StreamName, in.StreamARN, in.StreamId)
}

// stopStreamEncryption ends the encryption of the records to come, whichever
// key the request names. It does nothing to a stream that is not encrypted.
func (c *call) stopStreamEncryption(ctx context.Context, in *kinesis.StopStreamEncryptionInput) error {
	return c.settle(ctx, in.StreamName, in.StreamARN, func(_ *metadata, st *stream, v *view) (todo update, err error) {
		if err := checkEncryption(in.EncryptionType, *in.KeyId); err != nil {
			return todo, err
		}
		if v.Status != state.Active {
			return todo, notActive(v)
		}
		if v.KeyID() == "" {
			return todo, nil
		}
		if err := checkKeyChanges(v); err != nil {
			return todo, err
		}
		if err := c.daily(&st.daily.encryptionStops, encryptionsPerDay, v, "StopStreamEncryption"); err != nil {
			return todo, err
		}
		return update{settings: &state.Settings{KeyID: aws.String("")}}, nil
	})
}

// maxKeyChanges is how many changes of its encryption a stream remembers: those
// that there are records from before. AWS lets it have 50 a day.
const maxKeyChanges = 1000

// checkKeyChanges refuses a change that would be one too many to remember.
func checkKeyChanges(v *view) error {
	if len(v.Encryption) < maxKeyChanges {
		return nil
	}
	return limitExceeded("Stream %s under account %s has changed its encryption %d times within its retention period. Try again when records from before have expired.",
		v.Name, v.Account, maxKeyChanges)
}

func checkEncryption(kind types.EncryptionType, keyID string) error {
	switch {
	case kind != types.EncryptionTypeKms:
		return invalidArgument("EncryptionType %s cannot be used here. The only valid value is KMS.", kind)
	case !isKMSKey(keyID):
		return invalidArgument("KeyId %s is not valid. It must be the UUID of a key, an alias name that begins with alias/, or the ARN of either.", keyID)
	}
	return nil
}

// encryptionType is how the stream encrypts its records, and the key, nil for
// none.
func (v *view) encryptionType() (types.EncryptionType, *string) {
	if id := v.KeyID(); id != "" {
		return types.EncryptionTypeKms, &id
	}
	return types.EncryptionTypeNone, nil
}

// mayRead refuses a page of a shard with records whose key does not work.
func (s *Server) mayRead(v *view, shard uint32, records []wal.Record) error {
	if len(v.Encryption) == 0 {
		return nil
	}
	checked := ""
	for i := range records {
		id := v.KeyOf(shard, records[i].Seq)
		if id == checked {
			continue
		}
		if err := s.kms.use(v.Key, id); err != nil {
			return err
		}
		checked = id
	}
	return nil
}
