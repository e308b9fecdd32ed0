package streamid_test

import (
	"testing"
	"time"

	"github.com/shardrun/shardrun/internal/streamid"
)

func TestAnIDIsCutIntoWhatItWasMadeOf(t *testing.T) {
	created := time.UnixMilli(1700000000123).UTC()
	id, err := streamid.Of("arn:aws:kinesis:us-east-1:000000000000:stream/orders", "orders", created)
	if err != nil || id != "000000000000:us-east-1:orders:1700000000123" {
		t.Fatalf("%q, %v", id, err)
	}
	name, place, at, ok := streamid.Cut(id)
	if !ok || name != "orders" || place != "000000000000:us-east-1:orders" || !at.Equal(created) {
		t.Errorf("cut into %q, %q, %v, %v", name, place, at, ok)
	}
}

func TestWhatIsNoIDIsRefused(t *testing.T) {
	if id, err := streamid.Of("orders", "orders", time.Now()); err == nil {
		t.Errorf("an id from a name: %s", id)
	}
	for _, id := range []string{"", "orders", "a:b:c", "a:b:c:d", "a:b:c:1:2"} {
		if _, _, _, ok := streamid.Cut(id); ok {
			t.Errorf("%q was cut", id)
		}
	}
}
