package rediskeys_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardrun/shardrun/internal/rediskeys"
	"github.com/shardrun/shardrun/internal/redistest"
)

const group = "billing"

func newDB(t *testing.T) *rediskeys.DB {
	t.Helper()
	_, client := redistest.Mini(t)
	db, err := rediskeys.Open(rediskeys.Options{Client: client})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // the test is over
	return db
}

// run calls a script, which must answer with a status.
func run(t *testing.T, db *rediskeys.DB, want string, s rediskeys.Script, args ...any) rediskeys.Reply {
	t.Helper()
	r, err := db.Run(t.Context(), s, group, "", args...)
	if err != nil || r.Status != want {
		t.Fatalf("script %d: %s %v, %v; want %s", s, r.Status, r.Rest, err, want)
	}
	return r
}

func join(t *testing.T, db *rediskeys.DB, session string, number int) {
	t.Helper()
	run(t, db, "OK", rediskeys.Beat, "inc", session, session, number, 0, 0, 1, 0, `{"name":"`+session+`"}`, 0, 1000, 200)
}

// TestAHalfMadeSetIsTheirsWhoMakesIt holds that a set under way is not
// disturbed by another worker, and that one given up is made from the beginning.
func TestAHalfMadeSetIsTheirsWhoMakesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDB(t)
		join(t, db, "a", 1)
		join(t, db, "b", 1)
		run(t, db, "OK", rediskeys.Create, "a", "S", "a#1", 1, 0, "S/old", "{}", "0|0|0|0|0|0", "")
		run(t, db, "HELD", rediskeys.Create, "b", "S", "b#1", 1, 1, "S/new", "{}", "0|0|0|0|0|0", "")
		if r := run(t, db, "OK", rediskeys.Acquire, "a", 1, "S/old"); r.Texts(0)[0] != "NOTREADY" {
			t.Errorf("a lease of a half-made set: %v", r.Texts(0))
		}
		for i := range 4 { // a falls silent
			time.Sleep(300 * time.Millisecond)
			join(t, db, "b", i+2)
		}
		run(t, db, "OK", rediskeys.Create, "b", "S", "b#2", 1, 1, "S/new", "{}", "0|0|0|0|0|0", "")
		join(t, db, "a", 2)
		run(t, db, "EXISTS", rediskeys.Create, "a", "S", "a#1", 0, 1, "S/old2", "{}", "0|0|0|0|0|0", "")
		r := run(t, db, "OK", rediskeys.Acquire, "a", 2, "S/old", "S/old2", "S/new")
		for i, want := range []string{"GONE", "GONE", "OK"} {
			if got := r.Texts(i)[0]; got != want {
				t.Errorf("lease %d: %s, want %s", i, got, want)
			}
		}
	})
}

// TestASetThatIsGivenUpTakesNoSeedWithIt holds that what is left of a set of a
// worker that died is removed, and what workers remembered is not.
func TestASetThatIsGivenUpTakesNoSeedWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDB(t)
		r, err := db.Run(t.Context(), rediskeys.Beat, group, "former", "inc", "a", "a", 1, 0, 0, 1, 0, `{"name":"a"}`, 0, 1000, 200)
		if err != nil || r.Status != "LOST" {
			t.Fatalf("beat: %s, %v", r.Status, err)
		}
		join(t, db, "a", 1)
		run(t, db, "OK", rediskeys.Seed, "former", 0, 0, "S/seeded", "{}", "1|5|0|0|0|0|0", 7, "", 0, "", 0)
		for i := range 4 {
			time.Sleep(300 * time.Millisecond)
			join(t, db, "a", i+2)
		}
		run(t, db, "OK", rediskeys.Create, "a", "S", "a#1", 1, 0, "S/old", "{}", "0|0|0|0|0|0", "", "S/seeded", "{}", "0|0|0|0|0|0", "")
		run(t, db, "OK", rediskeys.Create, "a", "S", "a#2", 1, 1, "S/new", "{}", "0|0|0|0|0|0", "", "S/seeded", "{}", "0|0|0|0|0|0", "")
		r = run(t, db, "OK", rediskeys.Acquire, "a", 1, "S/old", "S/new", "S/seeded")
		for i, want := range []string{"GONE", "OK", "OK"} {
			if got := r.Texts(i)[0]; got != want {
				t.Errorf("lease %d: %s, want %s", i, got, want)
			}
		}
		if c := r.Texts(2)[3]; c != "1|5|0|0|0|0|0" {
			t.Errorf("the seed is at %s", c)
		}
	})
}

// TestScriptsUseOnlyWhatRedis62Has holds that scripts call only commands of Redis
// 6.2, in a form that it knows, and only those that an operator is told to allow;
// and that of the libraries and functions for scripts they take only old ones.
func TestScriptsUseOnlyWhatRedis62Has(t *testing.T) {
	allowed := " exists unlink time hget hmget hset hsetnx hincrby hdel hgetall zadd zscore zrangebyscore zrem "
	newer := regexp.MustCompile(`'(REV|BYSCORE|BYLEX|GT|LT|GET|NX|XX|WITHSCORE|FIELDS)'`)
	library := regexp.MustCompile(`\b(redis|cjson|struct|cmsgpack|bit|os|server)\.(\w+)`)
	found := 0
	for _, source := range rediskeys.Sources() {
		for _, call := range strings.Split(source, "redis.call('")[1:] {
			command, rest, _ := strings.Cut(call, "'")
			found++
			if !strings.Contains(allowed, " "+strings.ToLower(command)+" ") {
				t.Errorf("a script calls %s", command)
			}
			line, _, _ := strings.Cut(rest, "\n")
			if option := newer.FindString(line); option != "" {
				t.Errorf("a script calls %s with %s, which not every version has", command, option)
			}
		}
		for _, f := range library.FindAllStringSubmatch(source, -1) {
			if name := f[1] + "." + f[2]; name != "redis.call" && name != "cjson.encode" && name != "cjson.decode" {
				t.Errorf("a script uses %s", name)
			}
		}
	}
	if found < 20 {
		t.Errorf("%d calls found", found)
	}
}

func TestKeysAreInOneSlot(t *testing.T) {
	keys := rediskeys.Keys("my group")
	if len(keys) != 8 || keys[0] != "{my group}:m" || rediskeys.Channel("my group") != "{my group}:ev" {
		t.Errorf("keys %v", keys)
	}
}

func TestRowsThatCannotBeRead(t *testing.T) {
	for _, v := range []string{"", "a|b", "a|x||0||", "a|1||x||"} {
		if o, err := rediskeys.ParseOwner(v); err == nil {
			t.Errorf("owner %q is read as %+v", v, o)
		}
	}
	for _, v := range []string{"", "1|2", "3|1|0|0|0|0", "1|1|x|0|0|0", "1|1|0|x|0|0", "1|1|0|0|999|0"} {
		if p, err := rediskeys.ParsePosition(v); err == nil {
			t.Errorf("position %q is read as %+v", v, p)
		}
	}
	o, err := rediskeys.ParseOwner("s#1|1767225600000000|w|77|l|flags|newer")
	if err != nil || o != (rediskeys.Owner{Token: "s#1", Epoch: 1767225600000000, Want: "w", WantUntil: 77, Flags: "flags"}) {
		t.Errorf("owner %+v, %v", o, err)
	}
	p := rediskeys.Position{Rank: 1, Sequence: "123", Subsequence: 1 << 63, Counter: 4, Weight: 5}
	if got, err := rediskeys.ParsePosition(p.Row()); err != nil || got != p {
		t.Errorf("position %+v, %v", got, err)
	}
}

func TestAWatchEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDB(t)
		ctx, cancel := context.WithCancel(t.Context())
		told := make(chan struct{}, 10)
		ended := make(chan error, 1)
		go func() { ended <- db.Watch(ctx, group, func() { told <- struct{}{} }) }()
		<-told                       // subscribed
		time.Sleep(20 * time.Second) // silence is answered with pings
		select {
		case err := <-ended:
			t.Fatal(err)
		default:
		}
		join(t, db, "a", 1)
		<-told
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}
