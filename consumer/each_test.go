package consumer

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func batchOf(data ...string) *Batch {
	b := &Batch{Shard: "shard", Attempt: 1}
	for _, d := range data {
		b.Records = append(b.Records, Record{Sequence: "7", Subsequence: uint64(len(b.Records)), Data: []byte(d)})
	}
	return b
}

func TestEach(t *testing.T) {
	type order struct{ ID int }
	var got []int
	then := map[int]error{}
	h := Each(JSON[order](), func(_ context.Context, m Message[order]) error {
		got = append(got, m.Value.ID)
		if m.Batch.Shard != "shard" || m.Subsequence != uint64(m.Value.ID-1) {
			t.Errorf("message %+v", m)
		}
		if m.Value.ID == 666 {
			panic("no")
		}
		return then[m.Value.ID]
	})
	for name, test := range map[string]struct {
		batch []string
		then  map[int]error
		calls int
		want  verdict
	}{
		"all in order":         {[]string{`{"ID":1}`, `{"ID":2}`}, nil, 2, verdict{done: 2}},
		"the first error ends": {[]string{`{"ID":1}`, `{"ID":2}`, `{"ID":3}`}, map[int]error{2: errBoom}, 2, verdict{done: 1, failed: 1, kind: kindRetry}},
		"a verdict keeps":      {[]string{`{"ID":1}`, `{"ID":2}`}, map[int]error{2: Stop(errBoom)}, 2, verdict{done: 1, failed: 1, kind: kindStop}},
		"bad data is poison":   {[]string{`{"ID":1}`, `{"ID":`, `{"ID":3}`}, nil, 1, verdict{done: 1, failed: 1, kind: kindPoison}},
	} {
		t.Run(name, func(t *testing.T) {
			got, then = nil, test.then
			v := judge(h.Handle(t.Context(), batchOf(test.batch...)), len(test.batch))
			v.err = nil
			if v != test.want || len(got) != test.calls {
				t.Errorf("verdict %+v after %d calls, want %+v", v, len(got), test.want)
			}
		})
	}
}

func TestEachKeepsWhatWasDoneBeforeAPanic(t *testing.T) {
	n := 0
	h := Each(Raw(), func(context.Context, Message[[]byte]) error {
		if n++; n == 2 {
			panic("no")
		}
		return nil
	})
	err := h.Handle(t.Context(), batchOf("1", "2", "3"))
	if v := judge(err, 3); v.done != 1 || v.failed != 1 || v.kind != kindRetry {
		t.Errorf("verdict %+v", v)
	}
	if _, ok := errors.AsType[*PanicError](err); !ok || !strings.Contains(err.Error(), "handler panicked: no") {
		t.Errorf("error %v", err)
	}
}

func TestEachStopsWhenTheContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	n := 0
	h := Each(Raw(), func(context.Context, Message[[]byte]) error {
		if n++; n == 2 {
			cancel(ErrDraining)
		}
		return nil
	})
	err := h.Handle(ctx, batchOf("1", "2", "3"))
	if v := judge(err, 3); v.done != 2 || !v.unseen || !errors.Is(err, ErrDraining) {
		t.Errorf("verdict %+v, error %v", v, err)
	}
}

func TestDecodeErrorNamesTheRecord(t *testing.T) {
	err := Each(JSON[int](), func(context.Context, Message[int]) error { return nil }).Handle(t.Context(), batchOf("1", "x"))
	if err == nil || !strings.Contains(err.Error(), "decode record 7:1") {
		t.Errorf("error %v", err)
	}
}
