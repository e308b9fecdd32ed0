package localstream

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestParseKeys(t *testing.T) {
	keys, err := ParseKeys([]byte(`{"keys": [
		{"id": "ADMIN", "secret": "0123456789abcdef"},
		{"id": "ORDERS", "secret": "fedcba9876543210", "account": "111122223333", "allow": [
			{"actions": ["Put*", "ListShards"], "streams": ["orders-*", "audit"]}, {"actions": ["ListStreams"]}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Key{
		{ID: "ADMIN", Secret: "0123456789abcdef"},
		{ID: "ORDERS", Secret: "fedcba9876543210", Account: "111122223333", Allow: []Permission{
			{Actions: []string{"Put*", "ListShards"}, Streams: []string{"orders-*", "audit"}}, {Actions: []string{"ListStreams"}}}},
	}
	if !reflect.DeepEqual(keys, want) {
		t.Errorf("got %+v", keys)
	}
}

// An error says what is wrong and what is accepted, and never a secret.
func TestBadKeysAreNamed(t *testing.T) {
	const canary = "31415926535897932384"
	one := func(member string) string {
		return `{"keys": [{"id": "A", "secret": "` + canary + `", ` + member + `}]}`
	}
	for text, want := range map[string]string{
		``:                                       "EOF",
		`{}`:                                     "there are none",
		`{"keys": []}`:                           "there are none",
		one(`"account": "1"}, {`):                "account '1': want 12 digits",
		one(`"alow": []`):                        `unknown field "alow"`,
		one(`"allow": [{"actions": ["Putt*"]}]`): "action 'Putt*' is no operation",
		one(`"allow": [{"actions": ["kinesis:Put*"]}]`):         "action 'kinesis:Put*' is no operation",
		one(`"allow": [{"streams": ["a/b"]}]`):                  "stream 'a/b': want a name",
		one(`"allow": [{"streams": [""]}]`):                     "stream '': want a name",
		one(`"account": ""`) + "{}":                             "something after the object",
		`{"keys": [{"id": "A", "secret": "short"}]}`:            "key A: the secret has 5 bytes: want at least 16",
		`{"keys": [{"id": "A", "secret": ` + canary + `}]}`:     "member keys.secret cannot be of this type",
		`{"keys": [{"id": "A/B", "secret": "` + canary + `"}]}`: "id 'A/B': want 1 to 128 letters",
		`{"keys": [{"id": "", "secret": "` + canary + `"}]}`:    "id '': want 1 to 128 letters",
		`{"keys": [{"id": "A", "secret": "` + canary + `"`:      "unexpected EOF",
		strings.Repeat(" ", maxKeysBytes+1):                     "more than 1048576 bytes",
	} {
		_, err := ParseKeys([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100s: %v, want %q", text, err, want)
		} else if strings.Contains(err.Error(), canary) {
			t.Errorf("%.100s: the error has the secret: %v", text, err)
		}
	}
	twice := `{"id": "A", "secret": "` + canary + `"}`
	if _, err := ParseKeys([]byte(`{"keys": [` + twice + "," + twice + "]}")); err == nil || !strings.Contains(err.Error(), "key A is there twice") {
		t.Error(err)
	}
}

// A file of keys is refused when others may read it.
func TestAKeysFileIsForItsOwnerAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes of files")
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	if _, err := ReadKeysFile(path); err == nil {
		t.Error("a file that does not exist is read")
	}
	if err := os.WriteFile(path, []byte(`{"keys": [{"id": "A", "secret": "0123456789abcdef"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, good := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: false, 0o604: false, 0o644: false, 0o620: false, 0o601: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		keys, err := ReadKeysFile(path)
		if good != (err == nil) || good && len(keys) != 1 || !good && !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %o: %d keys, %v", mode, len(keys), err)
		}
	}
}

func TestConfigOfKeysIsChecked(t *testing.T) {
	key := Key{ID: "A", Secret: "0123456789abcdef"}
	for want, cfg := range map[string]Config{
		"want at least one":    {Auth: AuthSigV4},
		"without AuthSigV4":    {Keys: []Key{key}},
		"want AuthOff or":      {Auth: 7},
		"A is there twice":     {Auth: AuthSigV4, Keys: []Key{key, key}},
		"want at least 16":     {Auth: AuthSigV4, Keys: []Key{{ID: "A", Secret: "x"}}},
		"want 1 to 128 letter": {Auth: AuthSigV4, Keys: []Key{{Secret: key.Secret}}},
	} {
		cfg.Durability = Memory
		if s, err := Open(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v %v, want %q", s, err, want)
		}
	}
	for _, name := range []string{"off", "sigv4"} {
		if a, err := ParseAuth(name); err != nil || a.String() != name {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
	if _, err := ParseAuth("on"); err == nil {
		t.Error("auth on is accepted")
	}
}

// However a configuration is printed, its secrets are not.
func TestSecretsAreNotPrinted(t *testing.T) {
	const canary = "canary-secret-of-a-test"
	cfg := Config{Durability: Memory, Auth: AuthSigV4, Keys: []Key{{ID: "A", Secret: canary}}}
	s := NewT(t, cfg)
	if err := s.Close(); err != nil { // printing one that runs is a race
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{cfg, cfg.Keys[0], &cfg.Keys[0], cfg.Keys[0].Secret, s} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) {
				t.Errorf("%s of %T prints the secret", verb, v)
			}
		}
	}
	b, err := json.Marshal(cfg.Keys)
	if err != nil || strings.Contains(string(b), canary) {
		t.Errorf("JSON: %s, %v", b, err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "keys", cfg.Keys, "secret", cfg.Keys[0].Secret)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "keys", cfg.Keys, "secret", cfg.Keys[0].Secret)
	core, logs := observer.New(zapcore.DebugLevel)
	zap.New(core).Info("x", zap.Any("keys", cfg.Keys), zap.Stringer("secret", cfg.Keys[0].Secret))
	for _, e := range logs.All() {
		entry, err := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()).EncodeEntry(e.Entry, e.Context)
		if err != nil {
			t.Fatal(err)
		}
		log.WriteString(entry.String())
	}
	if strings.Contains(log.String(), canary) || strings.Count(log.String(), hidden) != 6 {
		t.Errorf("logs: %s", log.String())
	}
}

// keyed is a client on the network with a key.
func keyed(t *testing.T, s *Server, id string) *kinesis.Client {
	t.Helper()
	_, client := socket(t, s, func(o *kinesis.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider(id, accessSecret, "")
	})
	return client
}

// A key does what it is allowed, on the streams that it is allowed, however a
// request names them.
func TestAKeyDoesWhatItIsAllowed(t *testing.T) {
	s := NewT(t, Config{Auth: AuthSigV4, Keys: []Key{
		{ID: "ADMIN", Secret: accessSecret},
		{ID: "ORDERS", Secret: accessSecret, Allow: []Permission{
			{Actions: []string{"Put*", "Get*", "ListShards", "DescribeStreamSummary"}, Streams: []string{"orders-*"}},
			{Actions: []string{"ListStreams"}}}},
		{ID: "NOBODY", Secret: accessSecret, Allow: []Permission{}},
	}})
	admin, orders, nobody := keyed(t, s, "ADMIN"), keyed(t, s, "ORDERS"), keyed(t, s, "NOBODY")
	h := &harness{T: t, server: s, client: admin}
	ctx := t.Context()
	h.create("orders-eu", 1)
	h.create("payments", 2)
	arn := func(name string) *string { return aws.String("arn:aws:kinesis:us-east-1:000000000000:stream/" + name) }
	iterator := func(name string) *string {
		out, err := admin.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: &name, ShardId: aws.String("0"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		h.must(err)
		return out.ShardIterator
	}
	list, err := admin.ListShards(ctx, &kinesis.ListShardsInput{StreamName: aws.String("payments"), MaxResults: aws.Int32(1)})
	h.must(err)
	call := func(c *kinesis.Client, in any) error {
		var err error
		switch in := in.(type) {
		case *kinesis.PutRecordInput:
			in.PartitionKey, in.Data = aws.String("k"), []byte("v")
			_, err = c.PutRecord(ctx, in)
		case *kinesis.GetRecordsInput:
			_, err = c.GetRecords(ctx, in)
		case *kinesis.ListShardsInput:
			_, err = c.ListShards(ctx, in)
		case *kinesis.ListStreamsInput:
			_, err = c.ListStreams(ctx, in)
		case *kinesis.DescribeStreamInput:
			_, err = c.DescribeStream(ctx, in)
		case *kinesis.DescribeStreamSummaryInput:
			_, err = c.DescribeStreamSummary(ctx, in)
		}
		return err
	}
	const denied = "User: arn:aws:iam::000000000000:user/ORDERS is not authorized to perform: kinesis:PutRecord on resource: " +
		"arn:aws:kinesis:us-east-1:000000000000:stream/payments because no identity-based policy allows the kinesis:PutRecord action"
	h.wantError(call(orders, &kinesis.PutRecordInput{StreamName: aws.String("payments")}), typeAccessDenied, denied)
	for name, in := range map[string]any{
		"by name":          &kinesis.PutRecordInput{StreamName: aws.String("orders-eu")},
		"by ARN":           &kinesis.PutRecordInput{StreamARN: arn("orders-eu")},
		"by iterator":      &kinesis.GetRecordsInput{ShardIterator: iterator("orders-eu")},
		"no stream at all": &kinesis.ListStreamsInput{},
	} {
		h.must(call(orders, in))
		if err := call(nobody, in); err == nil || !strings.Contains(err.Error(), typeAccessDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, in := range map[string]any{
		"by ARN":                 &kinesis.PutRecordInput{StreamARN: arn("payments")},
		"by iterator":            &kinesis.GetRecordsInput{ShardIterator: iterator("payments")},
		"iterator in quotes":     &kinesis.GetRecordsInput{ShardIterator: aws.String(`"` + *iterator("payments") + `"`)},
		"one by ARN":             &kinesis.PutRecordInput{StreamName: aws.String("orders-eu"), StreamARN: arn("payments")},
		"by token":               &kinesis.ListShardsInput{NextToken: list.NextToken},
		"another operation":      &kinesis.DescribeStreamInput{StreamName: aws.String("orders-eu")},
		"a stream that is not":   &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("nowhere")},
		"an account of somebody": &kinesis.PutRecordInput{StreamARN: aws.String("arn:aws:kinesis:us-east-1:111122223333:stream/orders-eu")},
	} {
		if err := call(orders, in); err == nil || !strings.Contains(err.Error(), typeAccessDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What the operation refuses by itself it goes on refusing in its own words.
	h.wantError(call(orders, &kinesis.GetRecordsInput{ShardIterator: aws.String("x")}), typeInvalidArgument, "Invalid ShardIterator.")
	h.wantError(call(orders, &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("orders-us")}), typeNotFound, "")
}

// A key is of one account, whatever its id is; a stream of another account
// cannot be reached, not even with a key that may do everything.
func TestAKeyIsOfOneAccount(t *testing.T) {
	s := NewT(t, Config{Auth: AuthSigV4, AccountID: "999999999999", Keys: []Key{
		{ID: "DEFAULT", Secret: accessSecret}, {ID: "111122223333", Secret: accessSecret},
		{ID: "444455556666", Secret: accessSecret, Account: "777788889999"},
	}})
	ctx := t.Context()
	var arns []string
	for id, account := range map[string]string{"DEFAULT": "999999999999", "111122223333": "111122223333", "444455556666": "777788889999"} {
		h := &harness{T: t, server: s, client: keyed(t, s, id)}
		h.create("s", 1)
		out, err := h.client.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("s")})
		h.must(err)
		equal(t, id, *out.StreamDescriptionSummary.StreamARN, "arn:aws:kinesis:us-east-1:"+account+":stream/s")
		for _, arn := range arns {
			_, err := h.client.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamARN: &arn})
			h.wantError(err, typeAccessDenied, "")
		}
		arns = append(arns, *out.StreamDescriptionSummary.StreamARN)
	}
}

// Whatever member of a request can name a stream is looked at.
func TestEveryMemberThatNamesAStreamIsKnown(t *testing.T) {
	known := map[string]bool{
		"StreamName": true, "StreamARN": true, "ConsumerARN": true, "ChannelARN": true, "ResourceARN": true, "ShardIterator": true,
		"NextToken": true, "StreamConfigurationList": true, "StreamFilter": true,
	}
	// These name none: they are of other things, or places in a list.
	harmless := map[string]bool{
		"StreamId": true, "StreamModeDetails": true, "StreamCreationTimestamp": true, "ShardIteratorType": true,
		"ServiceExecutionRoleARN": true, "ExclusiveStartStreamName": true,
	}
	for _, op := range operations() {
		for field := range op.input.Fields() {
			for _, word := range []string{"Stream", "ARN", "Arn", "Iterator", "Token"} {
				if strings.Contains(field.Name, word) && !known[field.Name] && !harmless[field.Name] {
					t.Errorf("%s.%s may name a stream", op.name, field.Name)
				}
			}
		}
	}
}
