package consumer

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/shardrun/shardrun/internal/backoff"
)

func TestJudge(t *testing.T) {
	boom := errors.New("boom")
	wrap := func(err error) error { return fmt.Errorf("charge: %w", err) }
	for name, test := range map[string]struct {
		err  error
		want verdict
	}{
		"nil is done":                        {nil, verdict{done: 5}},
		"a plain error is about all":         {boom, verdict{failed: 5, kind: kindRetry}},
		"FailFrom is about one record":       {FailFrom(2, boom), verdict{done: 2, failed: 1, kind: kindRetry}},
		"FailFrom works wrapped":             {wrap(FailFrom(2, boom)), verdict{done: 2, failed: 1, kind: kindRetry}},
		"FailFrom 0 is about the first":      {FailFrom(0, boom), verdict{failed: 1, kind: kindRetry}},
		"FailFrom past the end claims none":  {FailFrom(5, boom), verdict{failed: 5, kind: kindRetry}},
		"FailFrom before the start too":      {FailFrom(-1, boom), verdict{failed: 5, kind: kindRetry}},
		"Poison is about all":                {Poison(boom), verdict{failed: 5, kind: kindPoison}},
		"Poison works wrapped":               {wrap(Poison(boom)), verdict{failed: 5, kind: kindPoison}},
		"one poisoned record":                {FailFrom(3, wrap(Poison(boom))), verdict{done: 3, failed: 1, kind: kindPoison}},
		"in the other order":                 {Poison(FailFrom(3, boom)), verdict{done: 3, failed: 1, kind: kindPoison}},
		"RetryAfter names its pause":         {wrap(RetryAfter(time.Minute, boom)), verdict{failed: 5, kind: kindRetry, after: time.Minute, named: true}},
		"RetryAfter of less than nothing":    {RetryAfter(-time.Minute, boom), verdict{failed: 5, kind: kindRetry, named: true}},
		"Stop":                               {wrap(Stop(boom)), verdict{failed: 5, kind: kindStop}},
		"Stop is graver than Poison":         {Poison(Stop(boom)), verdict{failed: 5, kind: kindStop}},
		"Stop keeps what is done before it":  {FailFrom(1, Stop(boom)), verdict{done: 1, failed: 1, kind: kindStop}},
		"joined errors are searched as well": {errors.Join(boom, FailFrom(4, boom)), verdict{done: 4, failed: 1, kind: kindRetry}},

		"of two joined the lower counts":                   {errors.Join(FailFrom(4, boom), FailFrom(2, boom)), verdict{done: 2, failed: 1, kind: kindRetry}},
		"in either order":                                  {errors.Join(FailFrom(2, boom), FailFrom(4, boom)), verdict{done: 2, failed: 1, kind: kindRetry}},
		"at any depth":                                     {wrap(errors.Join(FailFrom(4, boom), wrap(errors.Join(boom, FailFrom(1, boom))))), verdict{done: 1, failed: 1, kind: kindRetry}},
		"of two nested the lower counts":                   {FailFrom(4, wrap(FailFrom(1, boom))), verdict{done: 1, failed: 1, kind: kindRetry}},
		"and an inner one speaks of its own record":        {FailFrom(1, wrap(FailFrom(4, Poison(boom)))), verdict{done: 1, failed: 1, kind: kindRetry}},
		"one past the end is lower than any":               {errors.Join(FailFrom(2, boom), FailFrom(9, boom)), verdict{failed: 5, kind: kindRetry}},
		"but not than the first":                           {errors.Join(FailFrom(9, Poison(boom)), FailFrom(0, boom)), verdict{failed: 1, kind: kindRetry}},
		"a later record's Poison is not the first one's":   {errors.Join(FailFrom(3, Poison(boom)), FailFrom(1, boom)), verdict{done: 1, failed: 1, kind: kindRetry}},
		"nor is its pause":                                 {errors.Join(FailFrom(3, RetryAfter(time.Hour, boom)), FailFrom(1, boom)), verdict{done: 1, failed: 1, kind: kindRetry}},
		"the first one's Poison is":                        {errors.Join(FailFrom(3, boom), FailFrom(1, Poison(boom))), verdict{done: 1, failed: 1, kind: kindPoison}},
		"Poison beside a FailFrom is about no record":      {errors.Join(Poison(boom), FailFrom(1, boom)), verdict{done: 1, failed: 1, kind: kindRetry}},
		"Poison around several is about the first as well": {Poison(errors.Join(FailFrom(3, boom), FailFrom(1, boom))), verdict{done: 1, failed: 1, kind: kindPoison}},
		"two remarks on one record are joined":             {errors.Join(FailFrom(1, RetryAfter(time.Second, boom)), FailFrom(1, RetryAfter(time.Minute, Poison(boom)))), verdict{done: 1, failed: 1, kind: kindPoison, after: time.Minute, named: true}},
		"Stop counts wherever it stands":                   {errors.Join(FailFrom(3, Stop(boom)), FailFrom(1, boom)), verdict{done: 1, failed: 1, kind: kindStop}},
		"without a FailFrom the gravest counts":            {errors.Join(boom, Poison(boom), RetryAfter(time.Second, boom)), verdict{failed: 5, kind: kindPoison, after: time.Second, named: true}},
		"a record that was not looked at is never poison":  {Poison(&failFrom{index: 2, err: boom, unseen: true}), verdict{done: 2, failed: 1, kind: kindRetry, unseen: true}},
		"one that was also looked at may be":               {Poison(errors.Join(&failFrom{index: 2, err: boom, unseen: true}, FailFrom(2, boom))), verdict{done: 2, failed: 1, kind: kindPoison}},
	} {
		t.Run(name, func(t *testing.T) {
			got := judge(test.err, 5)
			if !errors.Is(got.err, test.err) || test.err != nil && !errors.Is(got.err, boom) {
				t.Errorf("the error became %v", got.err)
			}
			got.err = nil
			if got != test.want {
				t.Errorf("verdict %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestVerdictsOfNilAreNil(t *testing.T) {
	if err := errors.Join(FailFrom(1, nil), Poison(nil), RetryAfter(time.Second, nil), Stop(nil)); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestDecide(t *testing.T) {
	boom := errors.New("boom")
	delay := backoff.Policy{Min: time.Second, Max: 10 * time.Second}
	for name, test := range map[string]struct {
		policy   policy
		verdict  verdict
		attempts int
		do       step
		reason   Reason
		cause    error
	}{
		"the zero configuration retries for ever": {policy{maxAttempts: -1}, verdict{kind: kindRetry, err: boom}, 1e6, stepRetry, "", nil},
		"below the last attempt":                  {policy{maxAttempts: 3, destination: true}, verdict{kind: kindRetry, err: boom}, 2, stepRetry, "", nil},
		"the last attempt":                        {policy{maxAttempts: 3, destination: true}, verdict{kind: kindRetry, err: boom}, 3, stepGiveUp, ReasonAttempts, nil},
		"the last attempt without a destination":  {policy{maxAttempts: 3}, verdict{kind: kindRetry, err: boom}, 3, stepStop, "", ErrAttempts},
		"RetryAfter counts as an attempt":         {policy{maxAttempts: 3}, verdict{kind: kindRetry, named: true, err: boom}, 3, stepStop, "", ErrAttempts},
		"a record that was not looked at":         {policy{maxAttempts: 1, destination: true}, verdict{kind: kindRetry, unseen: true, err: boom}, 1, stepRetry, "", nil},
		"poison":                                  {policy{maxAttempts: -1, destination: true}, verdict{kind: kindPoison, err: boom}, 1, stepGiveUp, ReasonPoison, nil},
		"poison without a destination":            {policy{maxAttempts: -1}, verdict{kind: kindPoison, err: boom}, 1, stepStop, "", boom},
		"stop":                                    {policy{maxAttempts: -1, destination: true}, verdict{kind: kindStop, err: boom}, 1, stepStop, "", boom},
	} {
		t.Run(name, func(t *testing.T) {
			test.policy.delay = delay
			d := test.policy.decide(test.verdict, test.attempts, nil)
			if d.do != test.do || d.reason != test.reason || !errors.Is(d.cause, test.cause) {
				t.Errorf("decision %+v, want %v %q %v", d, test.do, test.reason, test.cause)
			}
			if d.do == stepStop && !errors.Is(d.cause, boom) {
				t.Errorf("cause %v does not name the handler's error", d.cause)
			}
		})
	}

	t.Run("pauses grow up to the longest", func(t *testing.T) {
		p := policy{maxAttempts: -1, delay: delay}
		for attempt, ceiling := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 4: 8 * time.Second, 5: 10 * time.Second, 1000: 10 * time.Second} {
			longest := time.Duration(0)
			for range 200 {
				longest = max(longest, p.decide(verdict{kind: kindRetry, err: boom}, attempt, nil).pause)
			}
			if longest > ceiling || longest < ceiling/2 {
				t.Errorf("attempt %d: longest of 200 pauses is %v, want one just below %v", attempt, longest, ceiling)
			}
		}
	})
	t.Run("RetryAfter says the pause", func(t *testing.T) {
		d := policy{maxAttempts: -1, delay: delay}.decide(verdict{kind: kindRetry, named: true, after: time.Hour, err: boom}, 1, nil)
		if d.pause != time.Hour {
			t.Errorf("pause %v", d.pause)
		}
	})
}

func TestTooOld(t *testing.T) {
	now := time.Unix(1e9, 0)
	aged := func(ages ...time.Duration) (out []Record) {
		for _, a := range ages {
			out = append(out, Record{Arrival: now.Add(-a)})
		}
		return out
	}
	var got []int
	p := policy{maxAge: time.Minute}
	for _, r := range [][]Record{
		aged(time.Second), aged(time.Minute), aged(2*time.Minute, time.Second),
		aged(2*time.Minute, 3*time.Minute), aged(time.Second, 2*time.Minute),
	} {
		got = append(got, p.tooOld(r, now))
	}
	if want := []int{0, 0, 1, 2, 0}; !reflect.DeepEqual(got, want) {
		t.Errorf("too old: %v, want %v", got, want)
	}
	if n := (policy{}).tooOld(aged(time.Hour), now); n != 0 {
		t.Errorf("without a limit %d are too old", n)
	}
}
