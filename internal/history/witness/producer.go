package witness

import (
	"context"
	"errors"

	"github.com/shardrun/shardrun/internal/history"
	"github.com/shardrun/shardrun/producer"
)

// Producer puts records by way of To and tells a history what is put and what
// becomes of it.
type Producer struct {
	To      *producer.Producer
	History *history.History
	// Name is what the history calls the producer. Ordered is its Config.Ordered;
	// the puts of a key must then be made one after the other.
	Name    string
	Ordered bool
}

// Put is [producer.Producer.Put].
func (p Producer) Put(ctx context.Context, r producer.Record) error {
	return p.put(r, func(r producer.Record) error { return p.To.Put(ctx, r) })
}

// TryPut is [producer.Producer.TryPut].
func (p Producer) TryPut(r producer.Record) error { return p.put(r, p.To.TryPut) }

func (p Producer) put(r producer.Record, put func(producer.Record) error) error {
	n := p.History.Put(history.Put{Producer: p.Name, Key: r.Key, HashKey: r.HashKey, Data: r.Data, Ordered: p.Ordered})
	done := r.Done
	r.Done = func(res producer.Result, err error) {
		if err != nil {
			p.History.Failed(n, err, errors.Is(err, producer.ErrMaybeSent))
		} else {
			p.History.Acked(n, res.Shard, history.ID{Sequence: res.Sequence, Subsequence: res.Subsequence})
		}
		if done != nil {
			done(res, err)
		}
	}
	err := put(r)
	if err != nil {
		p.History.Failed(n, err, false) // it was not accepted, so there is no promise
	}
	return err
}
