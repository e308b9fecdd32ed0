package shardrun_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/schemas"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
	"github.com/shardrun/shardrun"
)

// TestNewClientKeepsItsConnections holds 32 calls in flight at once, twice. The
// SDK's default pool keeps ten idle connections, so its second round would open
// 22 more.
func TestNewClientKeepsItsConnections(t *testing.T) {
	const calls = 32
	var opened atomic.Int32
	arrived, leave := make(chan struct{}), make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-leave
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = w.Write([]byte(`{"StreamNames":[],"HasMoreStreams":false}`))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()

	client := shardrun.NewClient(aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(server.URL),
		Credentials:  credentials.NewStaticCredentialsProvider("id", "secret", ""),
	})
	for range 2 {
		var wg sync.WaitGroup
		for range calls {
			wg.Go(func() {
				if _, err := client.ListStreams(t.Context(), &kinesis.ListStreamsInput{}); err != nil {
					t.Error(err)
				}
			})
		}
		for range calls {
			<-arrived
		}
		for range calls {
			leave <- struct{}{}
		}
		wg.Wait()
	}
	if got := opened.Load(); got != calls {
		t.Errorf("opened %d connections for 2 rounds of %d calls, want %d", got, calls, calls)
	}
}

// NewClient talks CBOR, goes on in JSON where that is not taken, and keeps the
// protocol that its caller sets.
func TestNewClientTalksCBOR(t *testing.T) {
	for name, tt := range map[string]struct {
		takesCBOR bool
		options   []func(*kinesis.Options)
		want      string
	}{
		"a service that takes it": {takesCBOR: true, want: "cbor-1.1 cbor-1.1"},
		"a service that does not": {want: "cbor-1.1 json-1.1 json-1.1"},
		"a caller with another protocol": {takesCBOR: true, want: "json-1.1 json-1.1", options: []func(*kinesis.Options){
			func(o *kinesis.Options) { o.Protocol = awsjson.New11(schemas.Kinesis_20131202) },
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				content := r.Header.Get("Content-Type")
				asked = append(asked, strings.TrimPrefix(content, "application/x-amz-"))
				switch {
				case strings.Contains(content, "json"):
					_, _ = w.Write([]byte(`{"StreamNames":["s"],"HasMoreStreams":false}`))
				case tt.takesCBOR:
					_, _ = w.Write([]byte("\xa2\x6bStreamNames\x81\x61s\x6eHasMoreStreams\xf4"))
				default:
					w.WriteHeader(http.StatusNotFound)
					_, _ = w.Write([]byte("<UnknownOperationException/>\n"))
				}
			}))
			defer server.Close()
			client := shardrun.NewClient(aws.Config{
				Region:       "us-east-1",
				BaseEndpoint: aws.String(server.URL),
				Credentials:  credentials.NewStaticCredentialsProvider("id", "secret", ""),
			}, tt.options...)
			for range 2 {
				out, err := client.ListStreams(t.Context(), &kinesis.ListStreamsInput{})
				if err != nil || len(out.StreamNames) != 1 || out.StreamNames[0] != "s" {
					t.Fatalf("%+v, %v", out, err)
				}
			}
			if got := strings.Join(asked, " "); got != tt.want {
				t.Errorf("asked in %s, want %s", got, tt.want)
			}
		})
	}
}
