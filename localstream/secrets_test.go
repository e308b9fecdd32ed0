package localstream

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// What clients send or know as a secret is in no log, whatever goes wrong, and
// the errors say no more than what was sent.
func TestNoSecretIsLogged(t *testing.T) {
	const (
		canary  = "canary-secret-0123456789"
		payload = "canary-payload"
		key     = "canary-partition-key"
	)
	var log syncBuffer
	encoder := zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig())
	logger := zap.New(zapcore.NewCore(encoder, zapcore.Lock(&log), zapcore.DebugLevel))
	h := start(t, 1, generated(Config{Logger: logger, Auth: AuthSigV4, Keys: []Key{{ID: accessKey, Secret: canary}}}))
	url := secureURL(t, h.server)
	client := trusting(t, h.server, protocols(true))
	var answers, signatures []string
	send := func(change func(*signing)) {
		sign := newSigning()
		sign.secret, sign.target = canary, "PutRecord"
		sign.body = fmt.Sprintf(`{"StreamName":"s","PartitionKey":%q,"Data":"Y2FuYXJ5LXBheWxvYWQ="}`, key)
		change(&sign)
		r := sign.signed(t)
		r.RequestURI = ""
		r.URL.Scheme, r.URL.Host = "https", strings.TrimPrefix(url, "https://")
		signatures = append(signatures, authParams(r.Header.Get("Authorization"))["Signature"])
		resp, err := client.Do(r)
		h.must(err)
		b, err := io.ReadAll(resp.Body)
		h.must(err)
		resp.Body.Close()
		answers = append(answers, string(b))
	}
	send(func(*signing) {})
	send(func(s *signing) { s.secret += "x" })
	send(func(s *signing) { s.id = "AKIDOTHER" })
	send(func(s *signing) { s.at = s.at.Add(-time.Hour) })
	send(func(s *signing) { s.token = canary })
	send(func(s *signing) { s.body = s.body[:len(s.body)-1] })
	h.server.Inject(Fault{Operation: "PutRecord", Action: Fail})
	send(func(*signing) {})
	resp, err := client.Get(url + "/" + canary + "?X-Amz-Signature=" + canary)
	h.must(err)
	resp.Body.Close()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "https://"))
	h.must(err)
	_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nAuthorization: %s\r\n\r\n", canary)
	h.must(err)
	_, err = bufio.NewReader(conn).ReadString('\n')
	h.must(err)
	conn.Close()
	_, err = h.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String(h.iterator("0", types.ShardIteratorTypeTrimHorizon))})
	h.must(err)
	h.must(h.server.Close())
	if log.String() == "" {
		t.Fatal("nothing was logged")
	}
	for _, secret := range append(signatures, canary, payload, "Y2FuYXJ5LXBheWxvYWQ", key, "Authorization") {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has %s: %s", secret, log.String())
		}
	}
	for _, answer := range answers {
		for _, secret := range append(signatures, canary, payload) {
			if strings.Contains(answer, secret) {
				t.Errorf("an answer has %s: %s", secret, answer)
			}
		}
	}
}

// syncBuffer is a buffer for zap.
type syncBuffer struct{ bytes.Buffer }

func (*syncBuffer) Sync() error { return nil }
