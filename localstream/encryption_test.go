package localstream

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/vfs"
)

const (
	testKeyID = "12345678-1234-1234-1234-1234567890ab"
	testKey2  = "arn:aws:kms:us-east-1:000000000000:alias/second"
)

func (h *harness) encrypt(key string) error {
	_, err := h.client.StartStreamEncryption(h.Context(), &kinesis.StartStreamEncryptionInput{StreamName: aws.String("s"), EncryptionType: types.EncryptionTypeKms, KeyId: &key})
	return err
}

func (h *harness) decrypt() error {
	_, err := h.client.StopStreamEncryption(h.Context(), &kinesis.StopStreamEncryptionInput{StreamName: aws.String("s"), EncryptionType: types.EncryptionTypeKms, KeyId: aws.String(testKeyID)})
	return err
}

// encryptionOf says how each record of shard 0 of "s" is encrypted.
func (h *harness) encryptionOf() string {
	h.Helper()
	out := []string{}
	for _, r := range h.get(h.iterator("0", types.ShardIteratorTypeTrimHorizon)).Records {
		out = append(out, string(r.Data)+":"+string(r.EncryptionType))
	}
	return strings.Join(out, " ")
}

// Records that are put while a stream is encrypted say so for ever, the others
// never: in one millisecond, over reshards, and after a restart.
func TestRecordsSayWhetherTheyAreEncrypted(t *testing.T) {
	bubble(t, func(t *testing.T) { // where all of it happens in one millisecond
		disk := vfs.NewMemory()
		h := open(t, Config{fs: disk})
		h.create("s", 1)
		equal(t, "answer before", h.put("a", "0").EncryptionType, "")
		h.must(h.decrypt()) // there is nothing to end
		h.must(h.encrypt(testKeyID))
		equal(t, "answer", h.put("a", "1").EncryptionType, "KMS")
		d, s := h.describe("s"), h.summary("s")
		equal(t, "described", fmt.Sprint(d.EncryptionType, *d.KeyId, s.EncryptionType, *s.KeyId), "KMS"+testKeyID+"KMS"+testKeyID)
		h.must(h.encrypt(testKey2))
		out, err := h.client.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("s"), Records: []types.PutRecordsRequestEntry{
			{PartitionKey: aws.String("a"), Data: []byte("2")}, {PartitionKey: aws.String("a"), Data: []byte("3")}}})
		h.must(err)
		equal(t, "answer to many", out.EncryptionType, "KMS")
		h.must(h.decrypt())
		equal(t, "answer after", h.put("a", "4").EncryptionType, "")
		d = h.describe("s")
		if d.EncryptionType != types.EncryptionTypeNone || d.KeyId != nil {
			t.Errorf("described as %s, %v", d.EncryptionType, d.KeyId)
		}
		const want = "0: 1:KMS 2:KMS 3:KMS 4:"
		equal(t, "records", h.encryptionOf(), want)
		h.must(h.encrypt("alias/aws/kinesis"))
		h.split("0", "2")
		equal(t, "answer of a child", h.put("a", "5").EncryptionType, "KMS")
		h.must(h.server.Close())
		h = open(t, Config{fs: disk})
		equal(t, "records after a restart", h.encryptionOf(), want)
		equal(t, "record of a child", h.get(h.iterator("2", types.ShardIteratorTypeTrimHorizon)).Records[0].EncryptionType, "KMS")
		equal(t, "answer after a restart", h.put("a", "6").EncryptionType, "KMS")
		equal(t, "key after a restart", *h.describe("s").KeyId, "alias/aws/kinesis")
		h.must(h.server.Close())
	})
}

// A stream is UPDATING while its encryption changes, serves as before, and goes
// on with it after a restart.
func TestEncryptionTakesItsTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := Config{fs: vfs.NewMemory(), UpdateDelay: time.Second}
		h := open(t, cfg)
		h.create("s", 1)
		h.must(h.encrypt(testKeyID))
		equal(t, "status", fmt.Sprint(h.describe("s").StreamStatus, h.describe("s").EncryptionType), "UPDATINGNONE")
		equal(t, "put while UPDATING", h.put("a", "0").EncryptionType, "")
		h.wantError(h.encrypt(testKeyID), typeInUse, "Stream s under account 000000000000 not ACTIVE, instead in state UPDATING")
		h.wantError(h.decrypt(), typeInUse, "")
		h.must(h.server.Close())
		h = open(t, cfg)
		equal(t, "status after a restart", h.describe("s").StreamStatus, "UPDATING")
		pass(time.Second)
		equal(t, "status in the end", fmt.Sprint(h.describe("s").StreamStatus, h.describe("s").EncryptionType), "ACTIVEKMS")
		equal(t, "put", h.put("a", "1").EncryptionType, "KMS")
		equal(t, "records", h.encryptionOf(), "0: 1:KMS")
		h.must(h.server.Close())
	})
}

// Each state of a key gives its error to those who need the key, and to nobody
// else.
func TestKMSErrors(t *testing.T) {
	for state, kind := range map[KMSKey]string{
		KMSDisabled: "KMSDisabledException", KMSPendingDeletion: "KMSInvalidStateException", KMSAccessDenied: "KMSAccessDeniedException",
		KMSNotFound: "KMSNotFoundException", KMSOptInRequired: "KMSOptInRequired", KMSThrottled: "KMSThrottlingException",
	} {
		t.Run(kind, func(t *testing.T) {
			h := start(t, 1)
			put := func() error {
				_, err := h.client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("a"), Data: []byte("x")})
				return err
			}
			puts := func() error {
				_, err := h.client.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("s"), DryRun: aws.Bool(true),
					Records: []types.PutRecordsRequestEntry{{PartitionKey: aws.String("a"), Data: []byte("x")}}})
				return err
			}
			get := func() error {
				it := h.iterator("0", types.ShardIteratorTypeTrimHorizon)
				_, err := h.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &it})
				return err
			}
			h.must(h.encrypt(testKeyID))
			h.must(put())
			h.must(h.server.SetKMSKey(testKeyID, state))
			h.wantError(put(), kind, "")
			h.wantError(puts(), kind, "")
			h.wantError(get(), kind, "")
			h.wantError(h.encrypt(testKeyID), kind, "")
			h.must(h.encrypt("alias/other")) // to another key there is a way
			h.must(put())
			h.wantError(get(), kind, "") // the first record still needs the first key
			h.must(h.server.SetKMSKey("arn:aws:kms:us-east-1:000000000000:alias/other", state))
			h.wantError(put(), kind, "")
			h.must(h.decrypt())
			h.must(put())
			h.must(h.server.SetKMSKey(testKeyID, KMSEnabled))
			h.must(h.server.SetKMSKey("arn:aws:kms:us-east-1:000000000000:alias/other", KMSEnabled))
			equal(t, "records", h.encryptionOf(), "x:KMS x:KMS x:")
		})
	}
}

func TestTheTableOfKMSKeys(t *testing.T) {
	const arn = "arn:aws:kms:us-east-1:000000000000:key/" + testKeyID
	h := start(t, 1, Config{KMSKeys: map[string]KMSKey{"alias/orders": KMSEnabled, testKeyID: KMSEnabled, testKey2: KMSDisabled}})
	for key, kind := range map[string]string{
		"alias/orders": "", "arn:aws:kms:us-east-1:000000000000:alias/orders": "", testKeyID: "", arn: "", "alias/aws/kinesis": "",
		testKey2: "KMSDisabledException", "alias/second": "KMSDisabledException",
		"arn:aws:kms:eu-west-1:000000000000:alias/second": "KMSNotFoundException", "alias/other": "KMSNotFoundException",
	} {
		err := h.encrypt(key)
		if kind == "" {
			h.must(err)
			continue
		}
		h.wantError(err, kind, "")
	}
	h = start(t, 1) // no table: every key works
	h.must(h.encrypt("alias/other"))
	h.must(h.encrypt("mrk-1234567890abcdef1234567890abcdef"))

	if err := h.server.SetKMSKey("orders", KMSDisabled); err == nil || !strings.Contains(err.Error(), `key "orders": want the UUID of a key, alias/NAME, or the ARN of either`) {
		t.Errorf("a key of a wrong form: %v", err)
	}
	if _, err := Open(Config{Durability: Memory, KMSKeys: map[string]KMSKey{"alias/x": 99}}); err == nil || !strings.Contains(err.Error(), `KMSKeys: key "alias/x": state 99`) {
		t.Errorf("a state that is none: %v", err)
	}
}

// A line has a key and its state, whose name is that of the state.
func TestLinesOfKMSKeys(t *testing.T) {
	for state := KMSEnabled; state <= KMSThrottled; state++ {
		id, got, err := ParseKMSKey(testKey2 + "=" + state.String())
		if err != nil || id != testKey2 || got != state {
			t.Errorf("%v: %s, %v, %v", state, id, got, err)
		}
	}
	if id, state, err := ParseKMSKey("alias/a"); err != nil || id != "alias/a" || state != KMSEnabled {
		t.Errorf("no state: %s, %v, %v", id, state, err)
	}
	equal(t, "a state that is none", KMSKey(99), "KMSKey(99)")
	for line, want := range map[string]string{
		"": `key ""`, "orders=disabled": `key "orders": want`, "alias/a=Disabled": `state "Disabled": want enabled, disabled,`, "alias/a=": `state "": want`,
	} {
		if _, _, err := ParseKMSKey(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", line, err, want)
		}
	}
}

func TestEncryptionErrors(t *testing.T) {
	h := start(t, 1)
	for _, key := range []string{"orders", "alias/", "alias/a b", "1234", "12345678-1234-1234-1234-1234567890ag", "mrk-12", "arn:aws:kms:us-east-1:1:key/" + testKeyID,
		"arn:aws:s3:us-east-1:000000000000:key/" + testKeyID, "arn:aws:kms:us-east-1:000000000000:key/x", "arn:aws:kms:us-east-1:000000000000:" + testKeyID} {
		h.wantError(h.encrypt(key), typeInvalidArgument, "KeyId "+key+" is not valid. It must be the UUID of a key, an alias name that begins with alias/, or the ARN of either.")
	}
	for _, tt := range []struct{ operation, body, kind, message string }{
		{"StartStreamEncryption", `{}`, typeValidation, "3 validation errors detected: Value null at 'encryptionType' failed to satisfy constraint: Member must not be null; " +
			"Value null at 'keyId' failed to satisfy constraint: Member must not be null; " + nullStream},
		{"StopStreamEncryption", `{"StreamName":"s","EncryptionType":"AES","KeyId":""}`, typeValidation, "2 validation errors detected: " +
			"Value 'AES' at 'encryptionType' failed to satisfy constraint: Member must satisfy enum value set: [NONE, KMS]; " +
			"Value '' at 'keyId' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"StartStreamEncryption", `{"StreamName":"s","EncryptionType":"NONE","KeyId":"` + testKeyID + `"}`, typeInvalidArgument, "EncryptionType NONE cannot be used here. The only valid value is KMS."},
		{"StopStreamEncryption", `{"StreamName":"none","EncryptionType":"KMS","KeyId":"` + testKeyID + `"}`, typeNotFound, "Stream none under account 000000000000 not found."},
	} {
		kind, message := h.refused(tt.operation, tt.body)
		equal(t, tt.operation, kind+": "+message, tt.kind+": "+tt.message)
	}
}
