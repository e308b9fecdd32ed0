//go:build unix

package main

import (
	"os"
	"slices"
	"testing"
	"time"
)

// Each life of a node is ready when that life says so, and by nothing else.
func TestANodeIsReadyWhenItSaysThatItIsUp(t *testing.T) {
	f, err := newFleet(t.Context(), config{workers: 2, producers: 2, ttl: time.Second}, t.TempDir(), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range slices.Concat(f.workers, f.producers) {
		for life := 1; life <= 2; life++ {
			args := p.command(p, life).Args
			at := slices.Index(args, "-up")
			if at < 0 {
				t.Fatalf("%s is started with %q", p.name, args)
			}
			if err := p.ready(t.Context(), life); err == nil {
				t.Errorf("life %d of %s is ready before it is up", life, p.name)
			}
			if err := os.WriteFile(args[at+1], nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := p.ready(t.Context(), life+1); err == nil {
				t.Errorf("life %d of %s is ready because the one before was up", life+1, p.name)
			}
			if err := p.ready(t.Context(), life); err != nil {
				t.Errorf("life %d of %s is up, and not ready: %v", life, p.name, err)
			}
		}
	}
}

func TestFailuresAreToldOfOnce(t *testing.T) {
	var f failures
	for _, text := range []string{"b", "a", "b", "b"} {
		f.add(text)
	}
	if got := f.texts(); !slices.Equal(got, []string{"b (3 times)", "a"}) {
		t.Errorf("%q", got)
	}
}
