package lease

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// listing reads shards as [rowOf] does, separated by commas.
func listing(t *testing.T, text string) Listing {
	t.Helper()
	var l Listing
	for s := range strings.SplitSeq(text, ",") {
		l.Shards = append(l.Shards, rowOf(t, s))
	}
	return l
}

func view(t *testing.T, text string) View {
	t.Helper()
	v := View{Now: 1000, Sessions: []Session{{ID: "living", Streams: []string{"s:1"}}, {ID: "lapsed"}}, Late: map[string]int64{"lapsed": 1000}}
	if text != "" {
		v.Leases = leasesOf(t, strings.Split(text, ","))
	}
	return v
}

// shardsOf are the shards of lease names.
func shardsOf(names []string) string {
	var out []string
	for _, n := range names {
		out = append(out, ShardOf(n))
	}
	return strings.Join(out, " ")
}

func TestAuditDecides(t *testing.T) {
	// S was split into a and b, S2 into c and d, b and c were merged into m, and m
	// was split into e and f.
	const all = "S 0 4,S2 4 8,a* 0 2 S,b 2 4 S,c 4 6 S2,d* 6 8 S2,m 2 6 b c,e* 2 4 m,f* 4 6 m"
	for name, test := range map[string]struct {
		before  string // leases; afterwards, if nothing else is said
		first   string // listing; the second, if nothing else is said
		after   string
		second  string
		adopt   string // rows
		missing string
		retire  []string // "shard: heirs with their parents"
		collect string
		unknown int
	}{
		"nothing to do": {before: "S+ 0 4,S2+ 4 8", first: all},
		"the children of shards that are read get their rows from those": {
			before: "S!+ 0 4,S2+ 4 8,a 0 2 S,b 2 4 S", first: all,
		},
		"those that began long after the first have no rows of these": {
			before: "a+ 0 2,d+ 6 8,e+ 2 4,f+ 4 6", first: all,
		},
		"a shard without a row, with what follows it": {
			before: "S!+ 0 4,S2+ 4 8,a+ 0 2", first: all, missing: "b", adopt: "b e f m",
		},
		"one that was handled, as something after it has begun": {
			before: "S!+ 0 4,S2!+ 4 8,a+ 0 2,d+ 6 8,m+ 2 6", first: all,
		},
		"also when that comes generations later": {
			before: "S!+ 0 4,S2!+ 4 8,a+ 0 2,d+ 6 8,f+ 4 6,e 2 4 m", first: all, adopt: "f m",
		},
		"not while another shard before it is to be handled": {
			before: "b!+ 2 4,c+ 4 6,a+ 0 2,d+ 6 8", first: all,
		},
		"nor one of which the ancestors are gone, but for one": {
			before: "S2+ 4 8,a+ 0 2,b!+ 2 4", first: "a* 0 2,b 2 4,d* 6 8 S2,m 2 6 b c,e* 2 4 m,f* 4 6 m",
			retire: []string{"S2: d S2,m S2 b"},
		},
		"one that is in the first listing only": {
			before: "S!+ 0 4,S2+ 4 8,a+ 0 2,b+ 2 4", first: all + ",x 0 1 a,y* 1 2 a,z* 0 1 x", second: all,
		},
		"one that is in the second only": {
			before: "S!+ 0 4,S2+ 4 8,a!+ 0 2,b+ 2 4", first: all, second: all + ",x* 0 1 a,y* 1 2 a",
		},
		"a shard that got its row meanwhile": {
			before: "S!+ 0 4,S2+ 4 8,a+ 0 2", first: all, after: "S!+ 0 4,S2+ 4 8,a+ 0 2,b 2 4",
		},
		"a shard that is gone, with its children": {
			before: "S+ 0 4,S2& 4 8", first: "S2 4 8,a* 0 2 S,b 2 4 S,c 4 6 S2,d* 6 8 S2,m 2 6 b c,e* 2 4 m,f* 4 6 m",
			retire: []string{"S: a S,b S"},
		},
		"but not one that is listed in the first": {
			before: "S+ 0 4,S2& 4 8", first: all, second: "S2 4 8,a* 0 2 S,b* 2 4 S",
		},
		"or in the second": {
			before: "S+ 0 4,S2& 4 8", first: "S2 4 8,a* 0 2 S,b* 2 4 S", second: all,
		},
		"nor one that the living hold": {
			before: "S& 0 4,S2& 4 8", first: "S2* 4 8,a* 0 2 S,b* 2 4 S",
		},
		"or held by then": {
			before: "S+ 0 4,S2& 4 8", first: "S2* 4 8,a* 0 2 S,b* 2 4 S", after: "S& 0 4,S2& 4 8",
		},
		"of several that are gone the older ones first": {
			before: "b+ 0 4,a+ 0 4 b,S2& 4 8", first: "S2* 4 8,x* 0 4 a",
			retire: []string{"b: x a b", "a: x a b"},
		},
		"nor one that was born behind the first listing": {
			before: "S& 0 4,S2& 4 8", first: "S* 0 4,S2* 4 8", after: "S!+ 0 4,S2& 4 8,a 0 2,b 2 4",
		},
		"a shard of which nothing follows": {
			before: "S+ 0 4,S2& 4 8", first: "S2* 4 8,b* 2 4,a 0 2 x,g* 0 1 a,h* 1 2 a", after: "S+ 0 4,S2& 4 8,a!+ 0 2,g!+ 0 1",
			second: "S2* 4 8,b* 2 4,g* 0 1 a,h* 1 2 a", unknown: 1,
		},
		"what waits for a shard that never had a row": {
			before: "a+ 0 2,d+ 6 8,m 2 6 b c,b!+ 2 4", first: "a* 0 2,b 2 4,d* 6 8,m 2 6 b c,e* 2 4 m,f* 4 6 m",
			retire: []string{"c:"},
		},
		"not while something else before it is to be handled": {
			before: "a+ 0 2,d+ 6 8,m 2 6 b c,S2& 4 8,b!+ 2 4", first: "a* 0 2,b 2 4,d* 6 8,m 2 6 b c,e* 2 4 m,f* 4 6 m",
		},
		"nor when it was not waited for before": {
			before: "a+ 0 2,d+ 6 8,b!+ 2 4", first: "a* 0 2,b 2 4,d* 6 8,m 2 6 b c,e* 2 4 m,f* 4 6 m",
			after: "a+ 0 2,d+ 6 8,m 2 6 b c,b!+ 2 4",
		},
		"rows of which all is handled and gone": {
			before: "S!+ 0 4,a+ 0 2,b!+ 2 4,S2!+ 4 8,c!+ 4 6,d+ 6 8,m+ 2 6", first: "a* 0 2 S,b 2 4 S,d* 6 8 S2,m* 2 6 b c", collect: "S S2 c",
		},
		"not those that are waited for": {
			before: "b!+ 2 4,c!+ 4 6,m 2 6 b c,a+ 0 2,d+ 6 8", first: "a* 0 2 S,d* 6 8 S2,m* 2 6 b c",
		},
		"nor those that are listed": {
			before: "b!+ 2 4,c!+ 4 6,m+ 2 6,a+ 0 2,d+ 6 8", first: "a* 0 2 S,c 4 6,d* 6 8 S2,m* 2 6 b c", collect: "b",
		},
		"nor those whose child has no row yet": {
			before: "b!+ 2 4,c!+ 4 6,a+ 0 2,d+ 6 8", first: "a* 0 2 S,d* 6 8 S2,m* 2 6 b c", missing: "m", adopt: "m",
		},
		"nor those that were in the first": {
			before: "S!+ 0 4,a+ 0 2,b+ 2 4,S2+ 4 8", first: all, second: "a* 0 2 S,b* 2 4 S,S2* 4 8",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := survey{stream: "s:1", before: view(t, test.before), first: listing(t, test.first)}
			s.after, s.second = s.before, s.first
			if test.after != "" {
				s.after = view(t, test.after)
			}
			if test.second != "" {
				s.second = listing(t, test.second)
			}
			r, err := s.decide()
			if err != nil {
				t.Fatal(err)
			}
			var adopt, retire []string
			for _, row := range r.adopt {
				adopt = append(adopt, row.Name)
			}
			for _, ret := range r.retire {
				retire = append(retire, ShardOf(ret.Name)+strings.TrimRight(": "+strings.Join(textOf(ret.Children), ","), " "))
			}
			if shardsOf(adopt) != test.adopt || shardsOf(r.missing) != test.missing {
				t.Errorf("adopts %q, of which are missing %q; want %q, %q", shardsOf(adopt), shardsOf(r.missing), test.adopt, test.missing)
			}
			if !slices.Equal(retire, test.retire) || len(r.unknown) != test.unknown {
				t.Errorf("retires %q, want %q; does not know what follows %q, want %d", retire, test.retire, r.unknown, test.unknown)
			}
			if shardsOf(r.collect) != test.collect {
				t.Errorf("collects %q, want %q", shardsOf(r.collect), test.collect)
			}
		})
	}
}

func TestAuditRefusesListings(t *testing.T) {
	good := listing(t, "S 0 4,S2* 4 8,a* 0 2 S,b* 2 4 S")
	for name, test := range map[string]struct {
		bad  Listing
		want string
	}{
		"an empty one":                  {Listing{}, "no shards"},
		"with hash keys that none has":  {listing(t, "S2* 4 8,a* 0 2 S"), "uncovered"},
		"of a child without the other":  {listing(t, "S 0 4,S2* 4 8,a* 0 2 S"), "uncovered"},
		"with a shard twice":            {listing(t, "S* 0 4,S2* 4 8,S2* 4 8"), "stands twice"},
		"of another stream":             {Listing{Shards: []Row{{Name: "s:2/S", Shard: Shard{StartingHashKey: "0", EndingHashKey: "1"}}}}, "not a lease of it"},
		"with hash keys that are words": {Listing{Shards: []Row{{Name: "s:1/S", Shard: Shard{StartingHashKey: "x", EndingHashKey: "y"}}}}, "s:1/S"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, pair := range [][2]Listing{{test.bad, good}, {good, test.bad}} {
				v := view(t, "x+ 0 4,y!+ 4 8")
				if r, err := (survey{stream: "s:1", before: v, first: pair[0], second: pair[1], after: v}).decide(); err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want one of %q; repairs %+v", err, test.want, r)
				}
			}
		})
	}
}

func TestAuditRemovesStreamsThatWereThereBefore(t *testing.T) {
	const day = 24 * time.Hour
	created := time.UnixMilli(1_700_000_000_000)
	stream := "acc:eu:orders:1700000000000"
	keys := listing(t, "S* 0 8").Shards[0].Shard
	l := Listing{Shards: []Row{{Name: stream + "/S", Shard: keys}}, Retention: day}
	v := View{
		Leases: []Lease{
			{Name: stream + "/S", Shard: keys},
			{Name: "acc:eu:orders:1600000000000/S", Shard: keys},
			{Name: "acc:eu:orders:1600000000000/T", Shard: keys},
			{Name: "acc:eu:orders:1650000000000/S", Shard: keys},
			{Name: "acc:eu:orders:1800000000000/S", Shard: keys},
			{Name: "acc:eu:invoices:1600000000000/S", Shard: keys},
			{Name: "acc:us:orders:1600000000000/S", Shard: keys},
			{Name: "odd", Shard: keys},
		},
		Sessions: []Session{{ID: "x", Streams: []string{"acc:eu:orders:1650000000000"}}},
	}
	for name, test := range map[string]struct {
		age, retention time.Duration
		want           []string
	}{
		"past the retention":       {day, day, []string{"acc:eu:orders:1600000000000/S", "acc:eu:orders:1600000000000/T"}},
		"not before":               {day - 1, day, nil},
		"nor when it is not known": {10 * day, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			l := l
			l.Retention = test.retention
			r, err := survey{stream: stream, before: v, first: l, second: l, after: v, now: created.Add(test.age)}.decide()
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(r.deleted, test.want) {
				t.Errorf("removes %q, want %q", r.deleted, test.want)
			}
			if len(r.adopt)+len(r.retire)+len(r.collect) > 0 {
				t.Errorf("does %+v", r)
			}
		})
	}
}

func TestAuditsHaveOneLine(t *testing.T) {
	var sessions []Session
	for i := range 20 {
		m := Session{ID: strconv.Itoa(i), State: StateUp, Streams: []string{"s:1"}}
		if i%4 == 0 {
			m.Streams = []string{"s:2"}
		}
		if i%5 == 1 {
			m.State = StateDrain
		}
		sessions = append(sessions, m)
	}
	first := map[string]string{}
	for _, stream := range []string{"s:1", "s:2"} {
		var line []int
		for _, m := range sessions {
			if m.State == StateUp && slices.Contains(m.Streams, stream) {
				n := inLine(stream, m.ID, sessions)
				if line = append(line, n); n == 0 {
					first[stream] = m.ID
				}
			}
		}
		slices.Sort(line)
		for i, n := range line {
			if n != i {
				t.Errorf("%s: places %v", stream, line)
			}
		}
	}
	if len(first) != 2 {
		t.Errorf("first are %v", first)
	}
}
