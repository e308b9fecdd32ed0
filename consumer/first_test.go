package consumer_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/checkpoint"
	"github.com/shardrun/shardrun/consumer"
)

// What a program makes before the first worker is what that would have made.
func TestFirstLeasesAreThoseOfTheFirstWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		id, rows, err := consumer.FirstLeases(t.Context(), w.client, streamName, consumer.TrimHorizon())
		if err != nil {
			t.Fatal(err)
		}
		a := w.start(w.config("a"))
		time.Sleep(time.Second)
		a.stop(t)
		v, err := w.store.View(t.Context(), "test")
		if err != nil || len(v.Leases) != len(rows) || len(rows) != 3 {
			t.Fatalf("%d leases of the worker, %d rows, %v", len(v.Leases), len(rows), err)
		}
		for i, row := range rows {
			l := v.Leases[i]
			if row.Name != l.Name || row.Name[:len(id)+1] != id+"/" || row.Shard.StartingHashKey != l.Shard.StartingHashKey || !row.Position.IsZero() {
				t.Errorf("row %+v of stream %s, the worker has %+v", row, id, l)
			}
		}
	})
}

func TestFirstLeasesBeginWhereTheyAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		time.Sleep(90 * time.Second)
		then := time.Now()
		for _, test := range []struct {
			at   consumer.StartAt
			want checkpoint.Position
		}{
			{consumer.Latest(), checkpoint.StartAt(then)},
			{consumer.AtTimestamp(then.Add(-time.Minute)), checkpoint.StartAt(then.Add(-time.Minute))},
		} {
			_, rows, err := consumer.FirstLeases(t.Context(), w.client, streamName, test.at)
			if err != nil || len(rows) != 1 || rows[0].Position != test.want {
				t.Errorf("%v: %+v, %v; want %v", test.at, rows, err, test.want)
			}
		}
		for _, at := range []consumer.StartAt{consumer.AtTimestamp(then.Add(2 * time.Minute)), consumer.Halt()} {
			if _, rows, err := consumer.FirstLeases(t.Context(), w.client, streamName, at); err == nil {
				t.Errorf("%v was taken: %+v", at, rows)
			}
		}
		if _, _, err := consumer.FirstLeases(t.Context(), w.client, "gone", consumer.Latest()); !errors.Is(err, consumer.ErrStreamNotFound) {
			t.Errorf("no such stream: %v", err)
		}
	})
}
