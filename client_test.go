package shardrun_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
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
