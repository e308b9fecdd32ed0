package flights

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	_ "embed" // the data
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
)

//go:embed flights-20k.ndjson.gz
var compressed []byte

// Flight is one line of the data.
type Flight struct {
	// Date is the local departure, "2001/01/01 00:47".
	Date string `json:"date"`
	// Delay is the arrival delay in minutes, negative when early.
	Delay int `json:"delay"`
	// Distance is in miles.
	Distance int `json:"distance"`
	// Origin and Destination are IATA airport codes.
	Origin      string `json:"origin"`
	Destination string `json:"destination"`
}

// Embedded reads the embedded data, one JSON object a line.
func Embedded() (io.ReadCloser, error) {
	r, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, fmt.Errorf("embedded flights: %w", err)
	}
	return r, nil
}

// Line is a flight and the bytes that it was read from.
type Line struct {
	Raw    []byte
	Flight Flight
}

// Read yields the flights of r, one JSON object a line; empty lines are
// skipped. It stops at the first error, which names the line.
func Read(r io.Reader) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 1<<20)
		n := 0
		for lines.Scan() {
			n++
			if len(bytes.TrimSpace(lines.Bytes())) == 0 {
				continue
			}
			line := Line{Raw: bytes.Clone(lines.Bytes())}
			if err := json.Unmarshal(line.Raw, &line.Flight); err != nil {
				yield(Line{}, fmt.Errorf("line %d: %w", n, err))
				return
			}
			if line.Flight.Origin == "" {
				yield(Line{}, fmt.Errorf("line %d: %w", n, errors.New(`no "origin"`)))
				return
			}
			if !yield(line, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(Line{}, fmt.Errorf("line %d: %w", n+1, err))
		}
	}
}

// Airport is what is known of the flights from one airport.
type Airport struct {
	Code    string `json:"airport"`
	Flights int    `json:"flights"`
	// Delay is the sum of the arrival delays in minutes.
	Delay int `json:"delay"`
}

// MeanDelay is the mean arrival delay in minutes.
func (a Airport) MeanDelay() float64 {
	if a.Flights == 0 {
		return 0
	}
	return float64(a.Delay) / float64(a.Flights)
}

// Stats counts flights by their origin. It is not safe for concurrent use. The
// zero value is empty and ready.
type Stats struct{ airports map[string]Airport }

// Add counts one flight.
func (s *Stats) Add(f Flight) {
	if s.airports == nil {
		s.airports = make(map[string]Airport)
	}
	a := s.airports[f.Origin]
	a.Code, a.Flights, a.Delay = f.Origin, a.Flights+1, a.Delay+f.Delay
	s.airports[f.Origin] = a
}

// Equal reports whether both counted the same flights by airport.
func (s *Stats) Equal(o *Stats) bool {
	if len(s.airports) != len(o.airports) {
		return false
	}
	for code, a := range s.airports {
		if o.airports[code] != a {
			return false
		}
	}
	return true
}

// Top is the n airports of most flights, most first, ties by code.
func (s *Stats) Top(n int) []Airport {
	all := make([]Airport, 0, len(s.airports))
	for _, a := range s.airports {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b Airport) int {
		return cmp.Or(cmp.Compare(b.Flights, a.Flights), cmp.Compare(a.Code, b.Code))
	})
	return all[:min(n, len(all))]
}
