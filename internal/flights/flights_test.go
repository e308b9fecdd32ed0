package flights

import (
	"strings"
	"testing"
)

func TestEmbedded(t *testing.T) {
	r, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var stats Stats
	n := 0
	for line, err := range Read(r) {
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 && string(line.Raw) != `{"date":"2001/01/01 00:47","delay":66,"distance":1750,"origin":"DTW","destination":"LAS"}` {
			t.Errorf("first line is %s", line.Raw)
		}
		n++
		stats.Add(line.Flight)
	}
	if n != 20000 {
		t.Errorf("read %d flights, want 20000", n)
	}
	if got := len(stats.airports); got != 220 {
		t.Errorf("%d origins, want 220", got)
	}
	sum := 0
	for _, a := range stats.Top(1000) {
		sum += a.Flights
	}
	if sum != n {
		t.Errorf("airports add up to %d flights, want %d", sum, n)
	}
}

func TestReadNamesTheBadLine(t *testing.T) {
	for name, text := range map[string]string{
		"not JSON":      "{\"origin\":\"A\"}\n\nnope\n",
		"no origin":     "{\"origin\":\"A\"}\n\n{}\n",
		"line too long": "{\"origin\":\"A\"}\n\n" + strings.Repeat("x", 1<<20+1),
	} {
		t.Run(name, func(t *testing.T) {
			good := 0
			for _, err := range Read(strings.NewReader(text)) {
				if err == nil {
					good++
					continue
				}
				if !strings.HasPrefix(err.Error(), "line 3: ") {
					t.Errorf("error %q does not name line 3", err)
				}
				if good != 1 {
					t.Errorf("%d good lines before the error, want 1", good)
				}
				return
			}
			t.Error("no error")
		})
	}
}

func TestStats(t *testing.T) {
	var a, b Stats
	for _, f := range []Flight{{Origin: "X", Delay: 10}, {Origin: "Y", Delay: -3}, {Origin: "X", Delay: 5}, {Origin: "Z", Delay: 1}} {
		a.Add(f)
	}
	top := a.Top(2)
	if len(top) != 2 || top[0] != (Airport{"X", 2, 15}) || top[1] != (Airport{"Y", 1, -3}) {
		t.Errorf("Top(2) = %+v", top)
	}
	if top[0].MeanDelay() != 7.5 || (Airport{}).MeanDelay() != 0 {
		t.Error("mean delay is wrong")
	}
	if a.Equal(&b) {
		t.Error("different statistics are equal")
	}
	b.Add(Flight{Origin: "Z", Delay: 1})
	b.Add(Flight{Origin: "X", Delay: 14})
	b.Add(Flight{Origin: "X", Delay: 1})
	b.Add(Flight{Origin: "Y", Delay: -3})
	if !a.Equal(&b) {
		t.Error("equal statistics differ")
	}
	b.Add(Flight{Origin: "Y"})
	if a.Equal(&b) {
		t.Error("statistics with another count are equal")
	}
}
