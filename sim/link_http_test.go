package sim

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/localstream"
)

// A message that comes twice comes after its answer. One that was refused, as no
// server was there, was never sent: it does not come when there is one again.
func TestWhatIsRefusedDoesNotComeTwice(t *testing.T) {
	for name, up := range map[string]bool{"there": true, "gone": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(Plan{}, false, nil)
				w.life = context.Background()
				defer w.redis.mini.Close()
				defer w.work.Wait()
				var err error
				if w.kinesis, err = newKinesis(nil, &w.work, w.source, localstream.LimitsOff, 0); err != nil {
					t.Fatal(err)
				}
				defer w.kinesis.crash(w.source.dice(0))
				if !up {
					w.kinesis.crash(w.source.dice(0))
				}
				w.weather.begin("writer-0>kinesis", rates{duplicate: 1})
				client := w.client(w.newNode("writer-0"))
				_, err = client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("s"), ShardCount: aws.Int32(1)},
					func(o *kinesis.Options) { o.Retryer = aws.NopRetryer{} })
				if refused := errors.Is(err, syscall.ECONNREFUSED); refused == up {
					t.Fatalf("error %v", err)
				}
				if err := w.kinesis.boot(nil); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
				w.mu.Lock()
				defer w.mu.Unlock()
				if n := w.effects[LinkDuplicate]; (n > 0) != up {
					t.Errorf("%d messages came twice", n)
				}
			})
		})
	}
}
